import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { createAuthorize } from '../../src/decision/authorize.ts';
import { RequestFault } from '../../src/decision/errors.ts';
import { createGenerations, type GenerationParts } from '../../src/decision/generations.ts';
import type { Evaluate, Outcome } from '../../src/decision/ports.ts';
import type { Authentication } from '../../src/decision/principal.ts';
import { createRedecide, createTry } from '../../src/decision/trial.ts';
import { loadGeneration } from '../../src/generation.ts';
import type { Rollout } from '../../src/rollout/port.ts';
import { createRollout } from '../../src/rollout/rollout.ts';
import type { RolloutStatus } from '../../src/rollout/status.ts';
import { withRollout } from '../../src/rollout/with-rollout.ts';
import { accessRequest, anonymous, NAMED, tenantA, verified } from '../support/core.ts';
import { createRandom, seedOf } from '../support/seed.ts';
import { startSystemTimer, systemClock, threadCpuMs } from '../support/system-ports.ts';
import { filesOf, repacked, SHIPPED, SHIPPED_ROOTS } from '../unit/bundle/shipped.ts';

/**
 * Rollouts of the shipped policy over a catalog of sixty tenants, in real time: for each request of an honest tenant a
 * hundred of junk, a third of them anonymous, a third of one exploiter's tenant with 10,000
 * subjects, a third of 10,000 verified subjects without a tenant.
 */
const TENANTS = 60;
const JUNK_PER_REQUEST = 100;
const EVIL = 'tenant-evil';
const MAX_MS = 120_000;

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe('guard rails under a flood', () => {
  test.each([
    ['a good candidate', (parts: GenerationParts) => parts],
    [
      'a candidate at which only the exploiter makes it throw',
      (parts: GenerationParts) =>
        evaluating(parts, (evaluate) => (entrypoint, input, at) => {
          if (JSON.stringify(input.route()).includes(EVIL)) throw new RequestFault('policy_error', 'provoked');
          return evaluate(entrypoint, input, at);
        }),
    ],
  ])('%s is promoted, and nothing trips', async (name, change) => {
    const run = await openRun(`rollout flood, ${name}`);
    await run.stage({}, change);
    await run.until((status) => status.state === 'idle');
    run.print(name);
    expect(run.rollout.status().last).toMatchObject({ state: 'promoted', trips: 0 });
    expect(run.figures).toMatchObject({ honestFailed: 0, unanswered: 0 });
  });

  test('a candidate that closes the exploiter’s hole is promoted, and he is denied', async () => {
    const run = await openRun('rollout flood, hole closed');
    await run.stage({ without: EVIL });
    await run.until((status) => status.state === 'idle');
    run.print('hole closed');
    expect(run.rollout.status().last).toMatchObject({ state: 'promoted', trips: 0 });
    expect(run.rollout.status().last?.findings.results.allow_to_deny).toBeGreaterThan(0);
    expect(run.figures.honestFailed).toBe(0);
    expect((await run.ask(EVIL, 'subject-1')).decision).toMatchObject({ kind: 'deny' });
  });

  test.each([
    ['throws', 'error', (parts: GenerationParts) => evaluating(parts, () => throwing)],
    ['denies everybody', 'deny_changed', undefined],
    [
      'answers what is no verdict',
      'error',
      (parts: GenerationParts) => evaluating(parts, () => () => ({ value: { allow: 'yes' }, overBudget: false })),
    ],
    ['loops over budget', 'error', (parts: GenerationParts) => evaluating(parts, loopingFor(10))],
  ] as const)('a candidate that %s is taken back before it decides for anybody', async (name, rail, change) => {
    const run = await openRun(`rollout flood, ${name}`);
    await run.stage(change === undefined ? { deniesAll: true } : {}, change);
    await run.until((status) => status.state === 'idle');
    run.print(name);
    const { last, refused } = run.rollout.status();
    expect(last).toMatchObject({ state: 'rolled_back', revision: 'candidate', percent: 0, trips: 1 });
    expect(last?.reason).toContain(`guard rail \`${rail}\``);
    expect(refused).toHaveLength(1);
    expect(run.figures).toMatchObject({ honestFailed: 0, unanswered: 0, byCandidate: 0 });
  });

  test('a candidate that turns bad in the canary is taken back while it decides', async () => {
    const run = await openRun('rollout flood, turns bad');
    let bad = false;
    await run.stage({}, (parts) =>
      evaluating(
        parts,
        (evaluate) =>
          (...given) =>
            bad ? throwing() : evaluate(...given),
      ),
    );
    await run.until((status) => status.percent === 50);
    bad = true;
    const sinceMs = performance.now();
    await run.until((status) => status.state === 'idle');
    run.print(`turns bad: taken back ${Math.round(performance.now() - sinceMs)} ms later`);
    expect(run.rollout.status().last).toMatchObject({ state: 'rolled_back', percent: 50 });
    expect(run.rollout.status().last?.reason).toContain('guard rail `error`');
    expect(run.figures.unanswered).toBe(0);
    // What it decided failed closed; from here on nobody is decided for by it.
    const before = run.figures.honestFailed;
    await run.some(TENANTS);
    expect(run.figures.honestFailed).toBe(before);
  });
});

const throwing = (): never => {
  throw new RequestFault('policy_error', 'the candidate threw');
};

const loopingFor =
  (ms: number) =>
  (evaluate: Evaluate): Evaluate =>
  (...given) => {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs);
    // As the engine says of an evaluation that took longer than `budget_ms`.
    return { ...evaluate(...given), overBudget: true };
  };

function evaluating(parts: GenerationParts, change: (evaluate: Evaluate) => Evaluate): GenerationParts {
  return { ...parts, evaluate: change(parts.evaluate) };
}

interface Catalog {
  /** A tenant that may nothing. */
  readonly without?: string;
  readonly deniesAll?: boolean;
}

interface Run {
  readonly rollout: Rollout;
  readonly figures: { honest: number; honestFailed: number; junk: number; unanswered: number; byCandidate: number };
  stage(catalog: Catalog, change?: (parts: GenerationParts) => GenerationParts): Promise<void>;
  ask(tenant: string, subject: string): Promise<Outcome>;
  /** So many requests of honest tenants, each with its junk. */
  some(requests: number): Promise<void>;
  until(reached: (status: RolloutStatus) => boolean): Promise<void>;
  print(name: string): void;
}

async function openRun(name: string): Promise<Run> {
  const random = createRandom(seedOf(name));
  const generations = createGenerations({ startTimer: startSystemTimer, retireAfterMs: 10_000 });
  open.push(generations.close);
  const stable = await load({}, 'stable');
  generations.put(stable.parts, stable.close);
  const common = {
    startTimer: startSystemTimer,
    clientIp: () => '192.0.2.1',
    decisions: new Map([['default', NAMED]]),
    allowRedirects: false,
    exposeCredentials: false,
    digest: (text: string) => text,
    maxWaitMs: 5_000,
  };
  const rollout = createRollout({
    config: {
      observe: [],
      shadow_percent: 100,
      steps: [
        { percent: 10, minutes: 0.01 },
        { percent: 50, minutes: 0.01 },
      ],
      guard_rails: {
        window_seconds: 2,
        min_principals: 20,
        compare_first_seconds: 60,
        min_affected: 3,
        one_vote_per: 'tenant',
        max_deny_changed_percent: 5,
        max_error_percent: 1,
        max_latency_ratio: 3,
        min_latency_ms: 1,
        max_slow_percent: 25,
        max_evaluation_ms: 50,
      },
      max_cpu_percent: 20,
    },
    labels: {},
    followsOrders: false,
    clock: systemClock,
    startTimer: startSystemTimer,
    cpuMs: threadCpuMs,
    schedule: (step) => void setImmediate(step),
    random: () => random.next(),
    newSalt: () => `salt ${random.next()}`,
    currentGeneration: generations.current,
    redecide: createRedecide(createTry({ ...common, monotonicMs: () => performance.now() })),
    promote: async (_candidate, putInForce) => putInForce(),
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined, limited: () => undefined },
    metrics: {
      observedDenial: () => undefined,
      compared: () => undefined,
      comparisonDropped: () => undefined,
      rolloutChanged: () => undefined,
      canaryPercent: () => undefined,
    },
  });
  await rollout.start();
  open.push(() => rollout.stop());
  const callers = new WeakMap<object, Authentication>();
  const authorize = withRollout(
    createAuthorize({
      ...common,
      clock: systemClock,
      newDecisionId: randomUUID,
      authenticate: (request) => callers.get(request) ?? anonymous,
      refusals: { isRepeated: () => false, count: () => undefined },
      currentGeneration: generations.current,
      quota: { take: () => ({ kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: {} } }) },
    }),
    rollout,
  );
  const figures = { honest: 0, honestFailed: 0, junk: 0, unanswered: 0, byCandidate: 0 };

  async function decide(tenant: string, subject?: string, hasTenant = true): Promise<Outcome> {
    const request = accessRequest({ target: `/${tenant}/llama-3-8b/infer`, scheme: 'https', declaredLength: 0 });
    const { tenant: _, ...nobodys } = tenantA;
    const principal = { ...nobodys, claims: {}, ...(hasTenant ? { tenant } : {}) };
    if (subject !== undefined) callers.set(request, verified({ ...principal, subject }));
    try {
      const outcome = await authorize(request);
      if (outcome.generation?.revisions.get('authz') === 'candidate') figures.byCandidate += 1;
      return outcome;
    } catch (error) {
      figures.unanswered += 1;
      throw error;
    }
  }

  async function some(requests: number): Promise<void> {
    for (let count = 0; count < requests; count++) {
      for (let junk = 0; junk < JUNK_PER_REQUEST; junk++) {
        figures.junk += 1;
        if (junk % 3 === 0) await decide(`tenant-${random.below(TENANTS)}`);
        else await decide(EVIL, `subject-${random.below(10_000)}`, junk % 3 === 1);
      }
      figures.honest += 1;
      const { decision } = await decide(`tenant-${random.below(TENANTS)}`, `subject-${random.below(20)}`);
      if (decision.kind !== 'allow') figures.honestFailed += 1;
      await turn();
    }
  }

  const beganMs = performance.now();
  return {
    rollout,
    figures,
    some,
    ask: decide,
    stage: async (catalog, change = (parts) => parts) => {
      const { parts, close } = await load(catalog, 'candidate');
      rollout.stage(
        { bundle: 'authz', sha256: 'c'.repeat(64), revision: 'candidate', security: false },
        generations.stage(change(parts), close),
      );
    },
    until: async (reached) => {
      const endMs = performance.now() + MAX_MS;
      while (!reached(rollout.status())) {
        if (performance.now() > endMs) throw new Error(`not reached: ${JSON.stringify(rollout.status())}`);
        await some(10);
      }
    },
    print: (what) => {
      const { last } = rollout.status();
      const ms = Math.round(performance.now() - beganMs);
      const story = { ms, ...figures, state: last?.state, reason: last?.reason, compared: last?.findings.compared };
      console.info(`guard rails, ${what}: ${JSON.stringify(story)} (seed ${random.seed})`);
    },
  };
}

interface ShippedData {
  readonly catalog: {
    readonly routes: { limits: string[] }[];
    tenants: Record<string, unknown>;
    readonly models: Record<string, { upstreams: Record<string, string>; grants: Record<string, unknown[]> }>;
  };
}

/** The shipped policy over sixty tenants and the exploiter's, without limits. */
async function load({ without, deniesAll = false }: Catalog, revision: string) {
  // Its own data, whose shape is checked where it matters.
  const data = JSON.parse(Buffer.from(filesOf(SHIPPED).get('data.json') ?? '').toString()) as ShippedData;
  const { catalog } = data;
  const model = catalog.models['llama-3-8b'];
  const tenant = catalog.tenants['tenant-a'];
  if (model === undefined || tenant === undefined) throw new Error('the shipped data has changed its shape');
  for (const route of catalog.routes) route.limits = [];
  const names = [...Array.from({ length: TENANTS }, (_, number) => `tenant-${number}`), EVIL];
  catalog.tenants = Object.fromEntries(names.filter((name) => name !== without).map((name) => [name, tenant]));
  model.upstreams = Object.fromEntries(names.map((name) => [name, `${name}-llama`]));
  if (deniesAll) model.grants['infer'] = [];
  const bytes = repacked({
    'data.json': JSON.stringify(data),
    '.manifest': JSON.stringify({ revision, roots: SHIPPED_ROOTS }),
  });
  return loadGeneration(
    [parseBundle('authz', bytes)],
    {
      network: { trusted_hops: 0 },
      compatibility: {
        ambiguous_paths: false,
        duplicate_keys: false,
        header_map_bodies: true,
        expose_credentials: false,
      },
      policy: {
        engine: 'wasm',
        budget_ms: 1_000,
        tenant_share: 0.25,
        memory_max_mb: 64,
        redirects: false,
        decisions: { default: NAMED },
      },
    },
    { limited: () => undefined },
  );
}
