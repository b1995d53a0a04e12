import { afterEach, beforeAll, expect, test } from 'vitest';
import { RequestFault } from '../../src/decision/errors.ts';
import { type JsonValue, RawJson } from '../../src/decision/json.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { CompiledPolicy, LoadedPolicy, PolicyLoadCode, PolicyLoadError } from '../../src/policy/policy-engine.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { compilePolicy, fixture } from './policy-support/compile-policy.ts';
import { AT, type CreateEngine, type EngineSettings, policyInput } from './policy-support/engine.ts';

const ENTRYPOINTS = [
  'echo_inference',
  'echo_body',
  'echo_identity',
  'missing',
  'no_input_read',
  'falsy',
  'is_false',
  'is_zero',
  'is_empty',
  'is_null',
  'sum',
  'now',
  'random',
  'from_data',
  'own_key',
  'constructed',
  'lengths',
  'reasons',
  'conflict',
  'costly',
  'endless',
  'limits',
  'lenient',
  'constant',
  'decoded',
].map((name) => `behaviour/${name}`);

const DATA = JSON.parse(`{
  "facts": {"alice": 1, "__proto__": "fact", "constructor": [1], "big": 12345678901234567890},
  "hostile": {"__proto__": [1, 2], "constructor": "abc", "toString": {}, "": [0]}
}`) as unknown;

/** What an engine's own nature decides. */
export interface EngineNature {
  /** It runs `policy.wasm`: it reads that, it has a memory that may be full, and an abort costs it an instance. */
  readonly runsModule: boolean;
  /** It ends an evaluation that is over its budget; another can only say so. */
  readonly interrupts: boolean;
}

/** What every policy engine must do, whatever it is made of. Another joins by calling this with its maker. */
export function describePolicyEngine(name: string, create: CreateEngine, nature: EngineNature): void {
  describeWith(['opa'], `policy engine ${name}`, () => {
    let compiled: CompiledPolicy;
    const loaded: LoadedPolicy[] = [];

    beforeAll(() => {
      compiled = compilePolicy({ rego: { 'b.rego': fixture('behaviour') }, entrypoints: ENTRYPOINTS, data: DATA });
    }, 60_000);

    afterEach(() => {
      for (const policy of loaded.splice(0)) policy.close();
    });

    async function load(settings?: EngineSettings, policy = compiled): Promise<LoadedPolicy> {
      const result = await create(settings).load(policy);
      loaded.push(result);
      return result;
    }

    async function answerOf(entrypoint: string, members: { readonly [name: string]: JsonValue | undefined } = {}) {
      return (await load()).evaluate(`behaviour/${entrypoint}`, policyInput(members), AT).value;
    }

    test('names its entrypoints', async () => {
      expect([...(await load()).entrypoints].sort()).toEqual([...ENTRYPOINTS].sort());
    });

    test('answers undefined where the policy is undefined', async () => {
      expect(await answerOf('missing', { identity: { kind: 'jwt' } })).toBeUndefined();
      expect(await answerOf('missing')).toBeUndefined();
    });

    test('answers without any input', async () => {
      expect(await answerOf('no_input_read')).toEqual({ fixed: true });
    });

    test.each([
      ['is_false', false],
      ['is_zero', 0],
      ['is_empty', ''],
      ['is_null', null],
    ])('tells the falsy result %s from undefined', async (entrypoint, value) => {
      expect(await answerOf(entrypoint)).toBe(value);
    });

    test('keeps falsy members', async () => {
      expect(await answerOf('falsy')).toEqual({ false: false, zero: 0, empty: '', null: null, list: [], object: {} });
    });

    test.each<[string, JsonValue]>([
      ['false', false],
      ['zero', 0],
      ['an empty text', ''],
      ['null', null],
      ['an empty list', []],
    ])('takes the falsy input %s', async (_name, value) => {
      expect(await answerOf('echo_body', { parsed_body: value })).toEqual(value);
    });

    test('keeps the digits of large integers, in input, arithmetic, data and spliced text', async () => {
      expect(await answerOf('echo_inference', { inference: { max_tokens: 2n ** 70n } })).toEqual({
        max_tokens: 2n ** 70n,
      });
      expect(await answerOf('sum', { inference: { max_tokens: 9_007_199_254_740_993n } })).toBe(9_007_199_254_740_994n);
      expect(await answerOf('from_data', { identity: { subject: 'alice' } })).toBe(1);
      expect(await answerOf('echo_body', { parsed_body: new RawJson('[12345678901234567890]') })).toEqual([
        12_345_678_901_234_567_890n,
      ]);
    });

    test('finds hostile keys where they are own keys of input or data', async () => {
      const claims = JSON.parse('{"__proto__": {"admin": true}, "constructor": "c"}') as JsonValue;
      expect(await answerOf('own_key', { identity: { claims } })).toEqual({ admin: true });
      expect(await answerOf('constructed', { identity: { claims } })).toBe('c');
      expect(await answerOf('from_data', { identity: { subject: '__proto__' } })).toBe('fact');
      expect(await answerOf('from_data', { identity: { subject: 'constructor' } })).toEqual([1]);
      const lengths = (await answerOf('lengths')) as object;
      expect(Object.fromEntries(Object.entries(lengths))).toEqual(
        Object.fromEntries([
          ['', 1],
          ['__proto__', 2],
          ['constructor', 3],
          ['toString', 0],
        ]),
      );
    });

    test('finds no inherited key', async () => {
      expect(await answerOf('own_key', { identity: { claims: {} } })).toBeUndefined();
      expect(await answerOf('constructed', { identity: { claims: {} } })).toBeUndefined();
      for (const subject of ['toString', 'hasOwnProperty', 'valueOf']) {
        expect(await answerOf('from_data', { identity: { subject } })).toBeUndefined();
      }
    });

    test('gives sets in order', async () => {
      expect(await answerOf('reasons')).toEqual(['10', '9', 'alpha', 'beta', 'mid', 'zeta', 'Ä']);
    });

    test('replaces lone surrogates, in text and in spliced text', async () => {
      expect(await answerOf('echo_body', { parsed_body: 'a\ud800b' })).toBe('a\ufffdb');
      const text = String.raw`["\ud83d\ude00", "\udc00x", "\\ud800", "\uD800\uD800"]`;
      expect(await answerOf('echo_body', { parsed_body: new RawJson(text) })).toEqual([
        '😀',
        '\ufffdx',
        '\\ud800',
        '\ufffd\ufffd',
      ]);
    });

    test('pins time to the instant it is given', async () => {
      const policy = await load();
      const ns = BigInt(AT.epochMs) * 1_000_000n;
      expect(policy.evaluate('behaviour/now', policyInput({}), AT).value).toEqual([ns, ns]);
      const later = { ...AT, epochMs: AT.epochMs + 1.5 };
      expect(policy.evaluate('behaviour/now', policyInput({}), later).value).toEqual([
        ns + 1_500_000n,
        ns + 1_500_000n,
      ]);
    });

    test('gives the same random values throughout a decision, and others in the next', async () => {
      const policy = await load();
      const draw = (at = AT) =>
        policy.evaluate('behaviour/random', policyInput({}), at).value as Record<string, unknown>;
      const first = draw();
      expect(first['a']).toBe(first['again']);
      expect(first['id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(draw()).toEqual(first);
      expect(draw({ ...AT })['id']).not.toBe(first['id']);
    });

    test('fails for an entrypoint that there is not', async () => {
      const policy = await load();
      for (const name of ['behaviour/nobody', '__proto__', 'constructor', '']) {
        expect(faultOf(() => policy.evaluate(name, policyInput({}), AT)).code).toBe('policy_error');
      }
    });

    test('fails where the policy aborts, and answers again afterwards', async () => {
      const policy = await load();
      for (let count = 0; count < 4; count++) {
        const conflict = policyInput({ identity: { kind: 'jwt', subject: 'conflict' } });
        const fault = faultOf(() => policy.evaluate('behaviour/conflict', conflict, AT));
        expect(fault.code).toBe('policy_error');
        await turns();
        const value = policy.evaluate('behaviour/conflict', policyInput({ identity: { kind: 'jwt' } }), AT).value;
        expect(value).toBe(1);
        expect(policy.evaluate('behaviour/from_data', policyInput({ identity: { subject: 'alice' } }), AT).value).toBe(
          1,
        );
      }
    });

    test.runIf(nature.runsModule)('never answers on what an aborted evaluation left behind', async () => {
      const policy = await load();
      const conflict = policyInput({ identity: { kind: 'jwt', subject: 'conflict' } });
      const outcomes: string[] = [];
      for (let count = 0; count < 6; count++) {
        faultOf(() => policy.evaluate('behaviour/conflict', conflict, AT));
        try {
          outcomes.push(String(policy.evaluate('behaviour/is_zero', policyInput({}), AT).value));
        } catch (error) {
          outcomes.push((error as RequestFault).code);
        }
      }
      // Without a turn of the event loop no further instance can be made ready.
      expect(new Set(outcomes)).toEqual(new Set(['policy_error']));
      await turns();
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT).value).toBe(0);
    });

    test('passes on the fault of a member of input', async () => {
      const policy = await load();
      const input = {
        ...policyInput({}),
        parsed_body: () => {
          throw new RequestFault('malformed_request', 'a body that is no JSON');
        },
      };
      expect(faultOf(() => policy.evaluate('behaviour/echo_body', input, AT)).code).toBe('malformed_request');
    });

    test('calls no member that the entrypoint cannot read', async () => {
      const policy = await load();
      const asked: string[] = [];
      const input = Object.fromEntries(
        Object.keys(policyInput({})).map((member) => [member, () => void asked.push(member)]),
      ) as unknown as ReturnType<typeof policyInput>;
      policy.evaluate('behaviour/from_data', input, AT);
      expect(asked).toEqual(['identity']);
    });

    test.each<[string, JsonValue]>([
      ['a number that is none', Number.NaN],
      ['an infinite number', Number.POSITIVE_INFINITY],
      ['a value nested too deeply', nest(5_000)],
    ])('fails for %s in input', async (_name, value) => {
      const policy = await load();
      const fault = faultOf(() => policy.evaluate('behaviour/echo_body', policyInput({ parsed_body: value }), AT));
      expect(fault.code).toBe('policy_error');
    });

    test('survives text that is no JSON and text nested too deeply, where its maker let it pass', async () => {
      const policy = await load();
      for (const text of ['{"a"}', '', '['.repeat(200_000)]) {
        const input = policyInput({ parsed_body: new RawJson(text) });
        expect(faultOf(() => policy.evaluate('behaviour/echo_body', input, AT)).code).toBe('policy_error');
        await turns();
        expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT).value).toBe(0);
      }
    });

    test('answers many callers that take turns', async () => {
      const policy = await load();
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          await turns(index % 3);
          const input = policyInput({ inference: { max_tokens: index } });
          return policy.evaluate('behaviour/sum', input, { ...AT, epochMs: AT.epochMs + index }).value;
        }),
      );
      expect(answers).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    });

    test.skipIf(nature.interrupts)('flags and counts what took longer than the budget', async () => {
      const clock = steppingClock();
      const policy = await load({ clock, config: { budget_ms: 5 } });
      clock.stepMs = 5;
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT).overBudget).toBe(false);
      expect(policy.budgetOverruns()).toBe(0);
      clock.stepMs = 6;
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT)).toMatchObject({ value: 0, overBudget: true });
      expect(policy.budgetOverruns()).toBe(1);
    });

    test.runIf(nature.interrupts)('ends what takes longer than the budget, and answers again afterwards', async () => {
      const clock = steppingClock();
      clock.stepMs = 6;
      const policy = await load({ clock, config: { budget_ms: 5 } });
      expect(faultOf(() => policy.evaluate('behaviour/costly', policyInput({}), AT)).code).toBe('policy_budget');
      expect(policy.budgetOverruns()).toBe(1);
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT)).toMatchObject({ value: 0, overBudget: false });
      clock.stepMs = 0;
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT).value).toBe(0);
      expect(policy.budgetOverruns()).toBe(1);
    });

    test.runIf(nature.interrupts)('ends what would never end, though the clock stands still', async () => {
      const policy = await load({ config: { budget_ms: 5 } });
      expect(faultOf(() => policy.evaluate('behaviour/endless', policyInput({}), AT)).code).toBe('policy_budget');
      expect(policy.evaluate('behaviour/is_zero', policyInput({}), AT).value).toBe(0);
    });

    test.skipIf(nature.interrupts)('counts an overrun that ends in a fault', async () => {
      const clock = steppingClock();
      const policy = await load({ clock, config: { budget_ms: 5 } });
      clock.stepMs = 6;
      faultOf(() => policy.evaluate('behaviour/echo_body', policyInput({ parsed_body: Number.NaN }), AT));
      expect(policy.budgetOverruns()).toBe(1);
    });

    test('is strict about failing builtins in limits, and only there', async () => {
      const decisions = {
        default: { decision: 'behaviour/lenient', limits: 'behaviour/limits', result: 'sallyport' },
      } as const;
      const policy = await load({ config: { decisions } });
      const bad = policyInput({ identity: { subject: 'no time' } });
      expect(policy.evaluate('behaviour/lenient', bad, AT).value).toEqual([]);
      const fault = faultOf(() => policy.evaluate('behaviour/limits', bad, AT));
      expect(fault.code).toBe('policy_error');
      // Neither it nor its cause quotes what the builtin was given.
      expect([fault.message, fault.cause]).toEqual([
        expect.stringMatching(/^`[a-z0-9_.]+` failed \(eval_builtin_error\)$/),
        undefined,
      ]);
      const good = policyInput({ identity: { subject: '1970-01-01T00:00:01Z' } });
      expect(policy.evaluate('behaviour/limits', good, AT).value).toEqual([{ at: 1_000_000_000 }]);
    });

    test('has no text, or that of an unknown character, where a builtin decodes bytes that are no UTF-8', async () => {
      const policy = await load();
      expect(
        policy.evaluate('behaviour/decoded', policyInput({ identity: { subject: 'zz' } }), AT).value,
      ).toBeUndefined();
      const binary = policyInput({ identity: { subject: 'ff' } });
      const decode = () => policy.evaluate('behaviour/decoded', binary, AT).value;
      if (nature.runsModule) expect(faultOf(decode).code).toBe('policy_error');
      else expect(decode()).toBe('\ufffd');
      // It cost no instance: the next answer needs no turn of the event loop.
      expect(policy.evaluate('behaviour/decoded', policyInput({ identity: { subject: '61' } }), AT).value).toBe('a');
    });

    test('knows the texts that the policy itself holds', async () => {
      const policy = await load();
      expect(policy.isPolicyConstant('a text of the policy')).toBe(true);
      for (const text of ['a text', '__proto__x', 'toString']) expect(policy.isPolicyConstant(text)).toBe(false);
    });

    test('names the paths of input that it can read', async () => {
      const policy = await load();
      expect(policy.inputPaths('behaviour/from_data')).toEqual(['identity.subject']);
      expect(policy.inputPaths('behaviour/nobody')).toEqual([]);
    });

    test('fails after it was closed', async () => {
      const policy = await load();
      policy.close();
      policy.close();
      expect(faultOf(() => policy.evaluate('behaviour/is_zero', policyInput({}), AT)).code).toBe('policy_error');
    });

    test('loads 12 MB of data and answers from it', { timeout: 60_000 }, async () => {
      const facts = Object.fromEntries(
        Array.from({ length: 150_000 }, (_, index) => [
          `subject-${index}`,
          { tier: 'premium', quota: index, note: 'n'.repeat(40) },
        ]),
      );
      const data = Buffer.from(JSON.stringify({ facts }));
      expect(data.length).toBeGreaterThan(12_000_000);
      const policy = await load({}, { ...compiled, data });
      const answer = (subject: string): unknown =>
        policy.evaluate('behaviour/from_data', policyInput({ identity: { subject } }), AT).value;
      expect(answer('subject-149999')).toMatchObject({ quota: 149_999 });
      expect(answer('subject-150000')).toBeUndefined();
      // The instance that takes over has the data too.
      const conflict = policyInput({ identity: { kind: 'jwt', subject: 'conflict' } });
      for (let count = 0; count < 2; count++) {
        await untilReady(policy);
        faultOf(() => policy.evaluate('behaviour/conflict', conflict, AT));
      }
      await untilReady(policy);
      expect(answer('subject-7')).toMatchObject({ quota: 7 });
    });

    const other = (rego: string, entrypoints: readonly string[] = ['behaviour/x']) =>
      compilePolicy({ rego: { 'b.rego': `package behaviour\n\n${rego}\n` }, entrypoints });

    const refusals: readonly [string, PolicyLoadCode, string, () => CompiledPolicy][] = [
      [
        'a call of the network',
        'forbidden_builtin',
        'http.send',
        () => other('x := http.send({"url": "a", "method": "get"})'),
      ],
      ['a look at the process', 'forbidden_builtin', 'opa.runtime', () => other('x := opa.runtime()')],
      ['a look at names', 'forbidden_builtin', 'net.lookup_ip_addr', () => other('x := net.lookup_ip_addr("a")')],
      [
        'a builtin nobody answers',
        'unknown_builtin',
        'graphql.is_valid',
        () => other('x := graphql.is_valid("a", "b")'),
      ],
      ['a plan that is no JSON', 'invalid_plan', 'plan.json', () => ({ ...compiled, plan: Buffer.from('{') })],
      [
        'a plan that is something else',
        'invalid_plan',
        'entrypoints',
        () => ({ ...compiled, plan: Buffer.from('{}') }),
      ],
      ['a module that is none', 'invalid_wasm', 'policy.wasm', () => ({ ...compiled, wasm: Buffer.from('\0asm') })],
      ['data that is no JSON', 'invalid_data', 'data.json', () => ({ ...compiled, data: Buffer.from('{"a":') })],
      ['data that is no object', 'invalid_data', 'data.json', () => ({ ...compiled, data: Buffer.from('[]') })],
      [
        'data that is no UTF-8',
        'invalid_data',
        'data.json',
        () => ({ ...compiled, data: Buffer.from([0x22, 0xff, 0x22]) }),
      ],
      [
        'a plan and a module with other entrypoints',
        'plan_wasm_disagree',
        'behaviour/y',
        () => ({ ...other('x := 1\n\ny := 2'), wasm: other('x := 1\n\ny := 2', ['behaviour/x', 'behaviour/y']).wasm }),
      ],
      [
        'a module that calls what the plan does not',
        'plan_wasm_disagree',
        'crypto.md5',
        () => ({ ...other('x := 1'), wasm: other('x := crypto.md5("a")').wasm }),
      ],
    ];
    const ofModule: readonly PolicyLoadCode[] = ['invalid_wasm', 'plan_wasm_disagree'];
    test.each(refusals.filter(([, code]) => nature.runsModule || !ofModule.includes(code)))(
      'refuses %s: %s',
      async (_name, code, named, make) => {
        const error = await create()
          .load(make())
          .then(undefined, (reason: unknown) => reason);
        expect(error).toMatchObject({ name: 'PolicyLoadError', code });
        expect((error as PolicyLoadError).message).toContain(named);
      },
      30_000,
    );

    test('refuses a policy without a configured entrypoint', async () => {
      const decisions = { default: { decision: 'authz/decision', result: 'sallyport' } } as const;
      await expect(create({ config: { decisions } }).load(compiled)).rejects.toMatchObject({
        code: 'missing_entrypoint',
        message: expect.stringContaining('`authz/decision`') as string,
      });
    });

    test.runIf(nature.runsModule)('refuses data that the memory cannot hold', async () => {
      const data = Buffer.from(JSON.stringify({ facts: Array.from({ length: 600_000 }, (_, index) => [index]) }));
      await expect(create({ config: { memory_max_mb: 32 } }).load({ ...compiled, data })).rejects.toMatchObject({
        code: 'memory_exceeded',
      });
    });
  });
}

function faultOf(evaluate: () => unknown): RequestFault {
  try {
    evaluate();
  } catch (error) {
    if (error instanceof RequestFault) return error;
    throw error;
  }
  throw new Error('there was an answer');
}

async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function untilReady(policy: LoadedPolicy): Promise<void> {
  // Enough turns to copy the data of the largest policy here, slice by slice.
  await turns(2_000);
  policy.evaluate('behaviour/is_zero', policyInput({}), AT);
}

function nest(depth: number): JsonValue {
  let value: JsonValue = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

/** A clock of which each reading is `stepMs` later than the one before. */
function steppingClock(): Clock & { stepMs: number } {
  const clock = createManualClock();
  const stepping = {
    stepMs: 0,
    now: () => {
      clock.advance(stepping.stepMs);
      return clock.now();
    },
  };
  return stepping;
}
