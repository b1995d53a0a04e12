import { describe, expect, test } from 'vitest';
import type { PolicyInput } from '../../../src/decision/input.ts';
import type { JsonValue } from '../../../src/decision/json.ts';
import type { Instant } from '../../../src/decision/ports.ts';
import type { PolicyConfig } from '../../../src/policy/config.ts';
import type { LoadedPolicy } from '../../../src/policy/policy-engine.ts';
import { AT, createJsEngineForTest, policyInput } from '../../contract/policy-support/engine.ts';
import { block, createTexts, local, type RawOperand, type RawStatement, rawPlan, stmt } from './plan-kit.ts';

const texts = createTexts();
const [identity, tenant, network, ip] = ['identity', 'tenant', 'network', 'client_ip'].map(texts.text);
const [result, never] = ['result', 'never'].map(texts.text);

/**
 * Reads the caller's tenant into the local 2, and his address into 3; what follows is left where there is none. A loop is
 * what takes a step.
 */
const READS = [
  stmt('MakeArrayStmt', { capacity: 1, target: 10 }),
  stmt('ArrayAppendStmt', { value: never, array: 10 }),
  stmt('ScanStmt', { source: 10, key: 11, value: 12, block: block() }),
  stmt('DotStmt', { source: local(0), key: identity, target: 4 }),
  stmt('DotStmt', { source: local(4), key: tenant, target: 2 }),
  stmt('DotStmt', { source: local(0), key: network, target: 5 }),
  stmt('DotStmt', { source: local(5), key: ip, target: 3 }),
];

function answers(value: number): readonly RawStatement[] {
  return [
    stmt('MakeObjectStmt', { target: 20 }),
    stmt('ObjectInsertStmt', { key: result, value: local(value), object: 20 }),
    stmt('ResultSetAddStmt', { value: 20 }),
  ];
}

function call(func: string, args: readonly RawOperand[], target: number): RawStatement {
  return stmt('CallStmt', { func, args, result: target });
}

const DEFAULT = { decision: 'deciding', limits: 'main', result: 'sallyport' } as const;

interface Settings {
  readonly builtins?: readonly string[];
  readonly decisions?: PolicyConfig['decisions'];
}

/** A policy with a decision and limits that do the same. */
async function load(main: readonly RawStatement[], settings: Settings = {}): Promise<LoadedPolicy> {
  const { builtins = [], decisions = { default: DEFAULT } } = settings;
  const plan = rawPlan({ strings: [], builtins, main: [main] });
  const both = plan.plans.plans.flatMap((one) => [one, { ...one, name: 'deciding' }]);
  const strings = texts.list.map((value) => ({ value }));
  return await createJsEngineForTest({ config: { decisions } }).load({
    plan: Buffer.from(JSON.stringify({ ...plan, static: { ...plan.static, strings }, plans: { plans: both } })),
    wasm: new Uint8Array(),
    data: Buffer.from('{}'),
  });
}

const CALLER = Object.freeze({ tenant: 'tenant-a' });

function inputOf(members: { readonly [name: string]: JsonValue } = {}): PolicyInput {
  return policyInput({ identity: CALLER, network: { client_ip: '192.0.2.1' }, ...members });
}

/** What so many evaluations took, each at a moment of its own; 0 is the mark of a remembered result. */
function steps(policy: LoadedPolicy, entrypoint = 'main', input = inputOf()): readonly boolean[] {
  return Array.from({ length: 8 }, (_, at) => policy.evaluate(entrypoint, input, later(at)).steps === 0);
}

function later(ms: number): Instant {
  return { epochMs: AT.epochMs + ms, monotonicMs: AT.monotonicMs + ms };
}

const REMEMBERED = [false, false, false, false, true, true, true, true];
const FORGOTTEN = REMEMBERED.map(() => false);
const ALIKE = [...READS, ...answers(3)];

describe('limits', () => {
  test('of the same caller and the same input are remembered, at whatever moment', async () => {
    const policy = await load(ALIKE);
    expect(steps(policy)).toEqual(REMEMBERED);
    expect(policy.evaluate('main', inputOf(), later(-1))).toEqual({ value: '192.0.2.1', overBudget: false, steps: 0 });
    expect(policy.evaluate('main', inputOf({ network: { client_ip: '192.0.2.2' } }), AT).value).toBe('192.0.2.2');
    expect(steps(policy, 'main', inputOf({ identity: Object.freeze({ ...CALLER }) }))[0]).toBe(false);
  });

  test('that are undefined are remembered as such', async () => {
    const policy = await load(ALIKE);
    const input = inputOf({ network: {} });
    expect(steps(policy, 'main', input)).toEqual(REMEMBERED);
    expect(policy.evaluate('main', input, AT).value).toBeUndefined();
  });

  test('are another policy’s own, and end with it', async () => {
    const policy = await load(ALIKE);
    expect(steps(policy)).toEqual(REMEMBERED);
    expect(steps(await load(ALIKE))).toEqual(REMEMBERED);
    policy.close();
    expect(() => policy.evaluate('main', inputOf(), AT)).toThrow('the policy was closed');
  });

  test('of an input that is JSON text are evaluated each time', async () => {
    const policy = await load(ALIKE);
    steps(policy);
    const text = '{"identity": {"tenant": "tenant-a"}, "network": {"client_ip": "192.0.2.1"}}';
    expect(policy.evaluateText('main', text, AT).steps).toBeGreaterThan(0);
  });

  test.each<[string, string, readonly RawOperand[]]>([
    ['the clock', 'time.now_ns', []],
    ['chance', 'rand.intn', [local(2), { type: 'local', value: 6 }]],
    ['a name of chance', 'uuid.rfc4122', [local(2)]],
    ['a print', 'internal.print', [local(7)]],
    ['a trace', 'trace', [local(2)]],
  ])('that ask for %s are never remembered', async (_, func, args) => {
    const limit = stmt('MakeNumberIntStmt', { value: 1_000_000, target: 6 });
    const list = stmt('MakeArrayStmt', { capacity: 0, target: 7 });
    const policy = await load([...READS, limit, list, call(func, args, 8), ...answers(3)], { builtins: [func] });
    expect(steps(policy)).toEqual(FORGOTTEN);
  });

  test('that ask for the clock at one address only are remembered at the others', async () => {
    const there = stmt('EqualStmt', { a: local(3), b: texts.text('198.51.100.1') });
    const asks = stmt('BlockStmt', { blocks: [block(there, call('time.now_ns', [], 8), ...answers(8))] });
    const elsewhere = stmt('NotStmt', { block: block(there) });
    const policy = await load([...READS, asks, elsewhere, ...answers(3)], { builtins: ['time.now_ns'] });
    const asking = inputOf({ network: { client_ip: '198.51.100.1' } });
    for (let round = 0; round < 2; round += 1) {
      expect(steps(policy, 'main', asking)).toEqual(FORGOTTEN);
      expect(steps(policy).slice(4)).toEqual(REMEMBERED.slice(4));
    }
    const moments = [later(1), later(2)].map((at) => policy.evaluate('main', asking, at).value);
    expect(new Set(moments).size).toBe(2);
  });

  test.each<[string, readonly RawStatement[]]>([
    ['a builtin', [call('to_number', [local(2)], 8)]],
    [
      'a conflict',
      [
        stmt('AssignVarOnceStmt', { source: local(2), target: 9 }),
        stmt('AssignVarOnceStmt', { source: local(3), target: 9 }),
      ],
    ],
  ])('that end with the fault of %s end with it each time', async (_, faulty) => {
    const policy = await load([...READS, ...faulty, ...answers(3)], { builtins: ['to_number'] });
    for (let nth = 0; nth < 8; nth += 1) {
      expect(() => policy.evaluate('main', inputOf(), AT)).toThrow(expect.objectContaining({ code: 'policy_error' }));
    }
  });

  test('of an input that cannot be read are a fault, also beside remembered ones', async () => {
    const policy = await load(ALIKE);
    const faulty = inputOf({ network: { client_ip: Number.NaN } });
    for (let nth = 0; nth < 8; nth += 1) {
      expect(() => policy.evaluate('main', faulty, AT)).toThrow('`input` cannot be read');
      expect(policy.evaluate('main', inputOf(), AT).value).toBe('192.0.2.1');
    }
    expect(() => policy.evaluate('main', faulty, AT)).toThrow('`input` cannot be read');
  });

  test('of an input that asks for others while it is read are its own', async () => {
    const policy = await load(ALIKE);
    const other = inputOf({ network: { client_ip: '192.0.2.9' } });
    const asking: PolicyInput = {
      ...inputOf(),
      network: () => {
        expect(policy.evaluate('main', other, AT).value).toBe('192.0.2.9');
        return { client_ip: '192.0.2.1' };
      },
    };
    for (let nth = 0; nth < 12; nth += 1) {
      expect(policy.evaluate('main', asking, AT).value).toBe('192.0.2.1');
      expect(policy.evaluate('main', other, AT).value).toBe('192.0.2.9');
    }
  });
});

describe('a decision', () => {
  test('is evaluated for each request', async () => {
    const policy = await load(ALIKE);
    steps(policy);
    expect(steps(policy, 'deciding')).toEqual(FORGOTTEN);
  });

  test.each<[string, PolicyConfig['decisions']]>([
    ['its own limits', { default: { ...DEFAULT, decision: 'main' } }],
    ['the limits of another', { default: DEFAULT, other: { decision: 'main', result: 'sallyport' } }],
    ['what no local config names', { default: { decision: 'deciding', result: 'sallyport' } }],
  ])('that is %s is evaluated for each request too', async (_, decisions) => {
    expect(steps(await load(ALIKE, { decisions }))).toEqual(FORGOTTEN);
  });
});

test('a result that a caller changes is not the one that is remembered', async () => {
  const list = [
    stmt('MakeArrayStmt', { capacity: 1, target: 6 }),
    stmt('ArrayAppendStmt', { value: local(3), array: 6 }),
  ];
  const policy = await load([...READS, ...list, ...answers(6)]);
  const given = Array.from({ length: 6 }, () => policy.evaluate('main', inputOf(), AT).value as unknown[]);
  for (const one of given.slice(0, 4)) one.push(never);
  expect(() => given[5]?.push(never)).toThrow(TypeError);
  expect(given[5]).toBe(given[4]);
  expect(given[5]).toEqual(['192.0.2.1']);
});
