import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { INPUT_MEMBERS } from '../../src/decision/input.ts';
import type { JsonValue } from '../../src/decision/json.ts';
import { toJsonText } from '../../src/policy/input-text.ts';
import type { LoadedPolicy } from '../../src/policy/policy-engine.ts';
import { createResultReader } from '../../src/policy/result-text.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';
import { compilePolicy, fixture } from './policy-support/compile-policy.ts';
import {
  AT,
  type CreateEngine,
  createJsEngineForTest,
  createWasmEngineForTest,
  policyInput,
} from './policy-support/engine.ts';
import { type Members, randomData, randomInput } from './policy-support/random-input.ts';

const UNDEFINED = 'undefined';

interface Case {
  readonly rule: string;
  readonly input: Members;
}

const ENGINES: readonly (readonly [string, CreateEngine])[] = [
  ['js', createJsEngineForTest],
  ['wasm', createWasmEngineForTest],
];

describeWith(['opa'], 'the same answer as OPA', () => {
  test.each(ENGINES)(
    'of %s on random inputs of the right and the wrong types, with hostile keys',
    { timeout: 300_000 },
    async (engine, create) => {
      const rego = fixture('differential');
      const rules = [...new Set(rego.match(/^[a-z_]+(?= (?::=|if|contains)|\[)/gm))].filter((rule) => rule !== 'some');
      const random = createRandom(seedOf('policy differential'));
      const data = randomData(random);
      const policy = await loadFor(create, rego, rules, data);
      const cases = Array.from({ length: caseCount(2_000) }, () => ({
        rule: random.pick(rules),
        input: randomInput(random),
      }));
      const ofOpa = evaluateWithOpa(rego, data, cases);
      const disagreements: unknown[] = [];
      let defined = 0;
      for (const [index, { rule, input }] of cases.entries()) {
        const ours = normal(policy.evaluate(`differential/${rule}`, policyInput(input), AT).value);
        if (ours !== UNDEFINED) defined++;
        const theirs = normal(ofOpa[index]);
        if (ours !== theirs) disagreements.push({ rule, input: toJsonText(asObject(input)), ours, theirs });
      }
      policy.close();
      console.info(
        `policy differential of ${engine}: ${cases.length} pairs, ${defined} of them defined, ${disagreements.length} disagreements`,
      );
      expect(disagreements.slice(0, 40)).toEqual([]);
      expect(defined).toBeGreaterThan(cases.length / 4);
    },
  );
});

describeWith(['opa'], 'projection', () => {
  test.each(ENGINES)(
    'of %s changes no verdict: a member that a rule cannot read may be anything',
    { timeout: 300_000 },
    async (engine, create) => {
      const seed = seedOf('policy projection');
      const random = createRandom(seed);
      let compared = 0;
      for (const name of ['projected', 'differential', 'tenant'] as const) {
        const rego = fixture(name);
        const rules = [...new Set(rego.match(/^[a-z_]+(?= (?::=|if|contains)|\[)/gm))].filter(
          (rule) => rule !== 'some',
        );
        const policy = await loadFor(create, rego, rules, randomData(random), name);
        for (let count = 0; count < caseCount(700); count++) {
          const rule = `${name}/${random.pick(rules)}`;
          const input = nearMiss(random);
          const paths = policy.inputPaths(rule);
          // The answer must not change when everything outside the paths is taken away or replaced.
          const other = disturb(random, input, paths);
          const value = policy.evaluate(rule, policyInput(input), AT).value;
          expect([rule, normal(policy.evaluate(rule, policyInput(other), AT).value)]).toEqual([rule, normal(value)]);
          compared++;
        }
        policy.close();
      }
      console.info(`policy projection of ${engine}: ${compared} pairs`);
    },
  );

  test.each(ENGINES)('of %s agrees with OPA on the full input', { timeout: 300_000 }, async (_engine, create) => {
    const random = createRandom(seedOf('policy projection against OPA'));
    const rego = fixture('projected');
    const rules = [...new Set(rego.match(/^[a-z_]+(?= (?::=|if|contains)|\[)/gm))];
    const data = randomData(random);
    const policy = await loadFor(create, rego, rules, data, 'projected');
    const cases = Array.from({ length: caseCount(1_000) }, () => ({
      rule: random.pick(rules),
      input: nearMiss(random),
    }));
    const ofOpa = evaluateWithOpa(rego, data, cases, 'projected');
    for (const [index, { rule, input }] of cases.entries()) {
      const value = policy.evaluate(`projected/${rule}`, policyInput(input), AT).value;
      expect([rule, normal(value)]).toEqual([rule, normal(ofOpa[index])]);
    }
    policy.close();
  });
});

async function loadFor(
  create: CreateEngine,
  rego: string,
  rules: readonly string[],
  data: JsonValue,
  name = 'differential',
): Promise<LoadedPolicy> {
  const entrypoints = rules.map((rule) => `${name}/${rule}`);
  const compiled = compilePolicy({ rego: { 'policy.rego': rego }, entrypoints });
  return create().load({ ...compiled, data: Buffer.from(toJsonText(data)) });
}

/** Inputs in which each condition of the `projected` fixture is often just met. */
function nearMiss(random: Random): Members {
  const base = randomInput(random);
  if (random.chance(0.2)) return base;
  const or = (value: JsonValue): JsonValue | undefined => (random.chance(0.15) ? base['parsed_body'] : value);
  return {
    ...base,
    request: or({ method: random.pick(['GET', 'POST']), path: '/p', size: { known: true, bytes: 5 } }),
    identity: or({
      kind: random.pick(['jwt', 'anonymous']),
      tenant: 'a',
      tier: 'free',
      roles: random.pick([['admin'], ['r1', 'r2'], []]),
      subject: 'x',
      claims: { level: 3, a: 1, b: 2 },
    }),
    route: or(random.pick([null, { name: random.pick(['a', 'b', 'constructor']), tenant: 'a', operation: 'infer' }])),
    network: or({ client_ip: '192.0.2.1', asn: 3 }),
    peer: or(random.pick([null, { spiffe_id: 'spiffe://a/b', method: 'GET' }])),
    inference: or({ model: 'deep' }),
    parsed_path: random.pick([['v1'], ['v2', 'v1'], []]),
  };
}

/** Takes away or replaces members that none of the paths leads to or through. */
function disturb(random: Random, input: Members, paths: readonly string[]): Members {
  if (paths.includes('*')) return input;
  const trees = paths.map((path) => path.split('.'));
  const walk = (value: JsonValue | undefined, below: readonly (readonly string[])[]): JsonValue | undefined => {
    if (below.some((path) => path.length === 0)) return value;
    if (below.length === 0) return random.chance(0.5) ? undefined : 'disturbed';
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value as { readonly [key: string]: JsonValue | undefined }).map(
      ([key, member]) =>
        [
          key,
          walk(
            member,
            below.filter(([head]) => head === key).map(([, ...rest]) => rest),
          ),
        ] as const,
    );
    return Object.fromEntries([...entries, ['added', 'by the test']]);
  };
  return Object.fromEntries(
    INPUT_MEMBERS.map((name) => [
      name,
      walk(
        input[name],
        trees.filter(([head]) => head === name).map(([, ...rest]) => rest),
      ),
    ]),
  );
}

function evaluateWithOpa(
  rego: string,
  data: JsonValue,
  cases: readonly Case[],
  name = 'differential',
): readonly unknown[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-differential-'));
  try {
    writeFileSync(join(folder, 'policy.rego'), rego);
    const tests = cases.map(({ rule, input }) => ({ rule, input: asObject(input) }));
    writeFileSync(join(folder, 'data.json'), toJsonText({ ...asObject(data as Members), cases: tests }));
    // Both are bound before the `with`: in one expression with it they would be looked up under the new input.
    const query = `{i: value | some i, test in data.cases; rule := test.rule; given := test.input; value := data.${name}[rule] with input as given}`;
    const out = execFileSync(requireTool('opa'), ['eval', '-f', 'raw', '-d', folder, query], {
      encoding: 'utf8',
      maxBuffer: 512 * 1_048_576,
    });
    // The engine's own reader keeps digits beyond 2^53.
    const values = createResultReader()(`{{"result": ${out.trim()}}}`) as { readonly [index: string]: unknown };
    return cases.map((_case, index) => values[index]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function asObject(members: Members): { readonly [key: string]: JsonValue | undefined } {
  return members;
}

/** A value as text in which the order of keys does not matter, and what JSON would confuse stays apart. */
function normal(value: unknown): string {
  if (value === undefined) return UNDEFINED;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(normal).join(',')}]`;
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${normal((value as { readonly [key: string]: unknown })[key])}`)
    .join(',')}}`;
}
