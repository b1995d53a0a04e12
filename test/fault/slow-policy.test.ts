import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JsonValue } from '../../src/decision/json.ts';
import type { AuthorizePorts, Generation, Outcome } from '../../src/decision/ports.ts';
import { createJsEngine } from '../../src/policy/js-engine.ts';
import type { CompiledPolicy, LoadedPolicy } from '../../src/policy/policy-engine.ts';
import { createTenantShare } from '../../src/policy/tenant-share.ts';
import { threadCpuMs } from '../../src/telemetry/system-clock.ts';
import { compilePlan } from '../contract/policy-support/compile-policy.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { accessRequest, core, generation, inspected, NAMED, tenantA, verified } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { caseCount } from '../support/seed.ts';

const NAMES = { decision: 'slow/decision', limits: 'slow/limits', result: 'sallyport' } as const;
const BUDGET_MS = 5;
const SHARE = 0.25;

/** Functions that each call the next one twice. */
function generated(): string {
  const doubling = Array.from({ length: 40 }, (_, n) => `f${n}(x) := f${n + 1}(x) + f${n + 1}(x + 1)`);
  return [...doubling, 'f40(x) := x'].join('\n\n');
}

const REGO = `${readFileSync(new URL('./fixtures/slow.rego', import.meta.url), 'utf8')}\n${generated()}\n`;
const BOMBS = [...REGO.matchAll(/^bomb\("([^"]+)"\)/gm)].map(([, name = '']) => name);

const HOSTILE: { readonly [name: string]: JsonValue } = {
  text: 'a'.repeat(50_000),
  pattern: '(x+x+)+y|(a|a?)+',
  deep: `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
  nested: `${'['.repeat(900)}${']'.repeat(900)}`,
  list: Array.from({ length: 20_000 }, (_, n) => `${n % 7}-${'x'.repeat(40)}-${n}`),
};

describeWith(['opa'], 'a policy that is too slow', () => {
  let compiled: CompiledPolicy;
  const loaded: LoadedPolicy[] = [];

  beforeAll(() => {
    const plan = compilePlan({ rego: { 'slow.rego': REGO }, entrypoints: [NAMES.decision, NAMES.limits] });
    compiled = { plan, wasm: new Uint8Array(), data: Buffer.from('{}') };
  }, 120_000);
  afterAll(() => {
    for (const policy of loaded) policy.close();
  });

  async function load(cpuMs: () => number): Promise<LoadedPolicy> {
    const config = { budget_ms: BUDGET_MS, decisions: { default: NAMES } };
    const engine = createJsEngine({ config, randomBytes: (count) => new Uint8Array(count), cpuMs });
    const policy = await engine.load(compiled);
    loaded.push(policy);
    return policy;
  }

  /** The core with the real engine: a request names the bomb that its evaluation is, and its tenant. */
  function ask(policy: LoadedPolicy, hostile: typeof HOSTILE, ports: Partial<AuthorizePorts> = {}) {
    let bomb: string | undefined;
    const current: Generation = generation(
      {},
      {
        inspect: () => inspected(),
        evaluate: (entrypoint, _input, at) =>
          policy.evaluate(entrypoint, policyInput({ attributes: bomb === undefined ? {} : { ...hostile, bomb } }), at),
      },
    );
    const { authorize } = core({
      authenticate: ({ host }) => verified({ ...tenantA, tenant: host ?? '' }),
      currentGeneration: () => current,
      decisions: new Map([['default', { ...NAMED, ...NAMES }]]),
      ...ports,
    });
    return async (tenant: string, name?: string): Promise<Outcome> => {
      bomb = name;
      return authorize(accessRequest({ host: tenant }));
    };
  }

  it('is denied, whatever it does, and the process lives with the memory it had', async () => {
    const request = ask(await load(threadCpuMs), HOSTILE);
    expect(BOMBS.length).toBeGreaterThan(20);
    const told: string[] = [];
    const wrong: string[] = [];
    const rounds = caseCount(2);
    const before = process.memoryUsage().rss;
    for (let round = 0; round < rounds; round += 1) {
      for (const bomb of BOMBS) {
        const startMs = threadCpuMs();
        const { decision, cause } = await request('tenant-a', bomb);
        const code = decision.kind === 'deny' ? decision.code : 'allowed';
        if (round === 0) told.push(`${bomb}: ${code} after ${(threadCpuMs() - startMs).toFixed(1)} ms: ${cause}`);
        if (code !== 'policy_budget' && code !== 'policy_error') wrong.push(`${bomb}: ${code}: ${cause}`);
        // The next one is answered as if nothing had been.
        expect((await request('tenant-b')).decision.kind, `after ${bomb}`).toBe('allow');
      }
    }
    const grownMb = (process.memoryUsage().rss - before) / 2 ** 20;
    console.info(`${told.join('\n')}\n${rounds * BOMBS.length} bombs, memory grew by ${grownMb.toFixed(0)} MB`);
    expect(wrong).toEqual([]);
    expect(grownMb).toBeLessThan(512);
  }, 300_000);

  it.each([50, 500])(
    'of one tenant, %i times a second, takes its share and nothing of the others’',
    async (perSecond) => {
      const seconds = caseCount(2);
      // Stepped: each look, after 10,000 steps, finds 0.1 ms gone.
      let cpuMs = 0;
      const clock = createManualClock();
      const spent = new Map<string | undefined, number>();
      const share = createTenantShare({ share: SHARE });
      const request = ask(
        await load(() => (cpuMs += 0.1)),
        {},
        {
          clock,
          policyShare: {
            admits: (principal, at) => share.admits(principal, at),
            spend: (principal, steps, at) => {
              spent.set(principal?.tenant, (spent.get(principal?.tenant) ?? 0) + steps);
              share.spend(principal, steps, at);
            },
          },
        },
      );
      const counts = { others: 0, allowed: 0, bombs: 0, denied: 0, evaluated: 0 };
      for (let tick = 0; tick < seconds * perSecond; tick += 1) {
        clock.advance(1_000 / perSecond);
        const { decision, overBudget, cause } = await request(
          'tenant-a',
          tick % 2 === 0 ? 'exponential' : 'comprehensions',
        );
        counts.bombs += 1;
        if (decision.kind === 'deny' && decision.code === 'policy_budget' && overBudget) counts.denied += 1;
        if (cause?.includes('tenant_share') !== true) counts.evaluated += 1;
        for (const tenant of ['tenant-b', 'tenant-c']) {
          const { decision } = await request(tenant);
          counts.others += 1;
          if (decision.kind === 'allow') counts.allowed += 1;
        }
      }
      console.info(`${seconds} s at ${perSecond}/s: ${JSON.stringify(counts)}`);
      expect(counts.allowed).toBe(counts.others);
      expect(counts.denied).toBe(counts.bombs);
      // A second's worth at once, what came in since, and the one that overdraws it.
      const mostSteps = (seconds + 1) * SHARE * 1e8 + BUDGET_MS * 1.1e5;
      expect(spent.get('tenant-a')).toBeLessThanOrEqual(mostSteps);
      if (perSecond === 500) expect(counts.evaluated).toBeLessThan(counts.bombs / 2);
      // The share is theirs to the last: it is used, not withheld.
      expect(spent.get('tenant-a')).toBeGreaterThan(Math.min(counts.bombs * 4e5, seconds * SHARE * 1e8));
    },
    300_000,
  );
});
