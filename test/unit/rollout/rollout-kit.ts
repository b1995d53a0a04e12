import { createGenerations, type Generations, type StagedGeneration } from '../../../src/decision/generations.ts';
import type { Authorize, Generation } from '../../../src/decision/ports.ts';
import type { Principal } from '../../../src/decision/principal.ts';
import { createRedecide, createTry } from '../../../src/decision/trial.ts';
import type { RolloutCandidate } from '../../../src/rollout/candidate.ts';
import type { GuardRailsConfig, RolloutConfig } from '../../../src/rollout/config.ts';
import type { RolloutParts } from '../../../src/rollout/parts.ts';
import type { Rollout } from '../../../src/rollout/port.ts';
import { createRollout } from '../../../src/rollout/rollout.ts';
import { withRollout } from '../../../src/rollout/with-rollout.ts';
import { accessRequest, anonymous, core, generation, NAMED, tenantA, verified } from '../../support/core.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

export const GUARD_RAILS: GuardRailsConfig = {
  window_seconds: 60,
  min_principals: 10,
  compare_first_seconds: 0,
  min_affected: 3,
  one_vote_per: 'tenant',
  max_deny_changed_percent: 5,
  max_error_percent: 1,
  max_latency_ratio: 3,
  min_latency_ms: 1,
  max_slow_percent: 25,
  max_evaluation_ms: 50,
};

export const ROLLOUT: RolloutConfig = {
  observe: [],
  shadow_percent: 100,
  steps: [
    { percent: 10, minutes: 5 },
    { percent: 50, minutes: 10 },
  ],
  guard_rails: GUARD_RAILS,
  max_cpu_percent: 50,
};

export const DIGEST: string = 'c'.repeat(64);

export const CANDIDATE: RolloutCandidate = {
  bundle: 'authz',
  sha256: DIGEST,
  revision: 'r2',
  version: 2,
  minRollbackVersion: 1,
  security: false,
  stableVersion: 1,
};

export interface LoggedLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A rollout over a core of fakes, whose time is the test's. */
export interface RolloutKit {
  readonly rollout: Rollout;
  readonly generations: Generations;
  readonly clock: ManualClock;
  readonly lines: readonly LoggedLine[];
  readonly counts: ReadonlyMap<string, number>;
  /** Stages a generation whose decision is the given value. */
  readonly stage: (decision: unknown, candidate?: Partial<RolloutCandidate>) => StagedGeneration;
  /** One request, decided by the core and told to the rollout. */
  readonly ask: (principal: Principal | undefined) => ReturnType<Authorize>;
  /** Lets everything that is due in the event loop be done. */
  readonly settle: () => Promise<void>;
}

export interface KitOptions extends Partial<RolloutParts> {
  readonly stable?: unknown;
}

export function openKit({ stable = { allow: true }, ...options }: KitOptions = {}): RolloutKit {
  const clock = createManualClock();
  const lines: LoggedLine[] = [];
  const counts = new Map<string, number>();
  const note = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const log =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields: { ...fields }, message });
  const generations = createGenerations({ startTimer: () => () => undefined, retireAfterMs: 10_000 });
  const parts = (decision: unknown, revision: string): Omit<Generation, 'number' | 'canary'> => {
    const { number: _, ...rest } = generation(
      { 'authz/decision': decision, 'authz/limits': [] },
      { revisions: new Map([['authz', revision]]) },
    );
    return rest;
  };
  generations.put(parts(stable, 'r1'), () => undefined);
  const redecide = createRedecide(
    createTry({
      startTimer: () => () => undefined,
      clientIp: () => undefined,
      decisions: new Map([['default', NAMED]]),
      allowRedirects: false,
      exposeCredentials: false,
      digest: (text) => text,
      maxWaitMs: 60_000,
      monotonicMs: () => clock.now().monotonicMs,
    }),
  );
  const rollout = createRollout({
    config: ROLLOUT,
    labels: {},
    followsOrders: false,
    clock,
    startTimer: clock.startTimer,
    cpuMs: () => clock.now().monotonicMs,
    schedule: (step) => void setImmediate(step),
    random: () => 0,
    newSalt: () => 'a salt of the tests',
    currentGeneration: generations.current,
    redecide,
    promote: async (_candidate, putInForce) => putInForce(),
    logger: {
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      limited: (_key, level, fields, message) => log(level)(fields, message),
    },
    metrics: {
      observedDenial: (route) => note(`observed ${route}`),
      compared: (result) => note(`compared ${result}`),
      comparisonDropped: (reason) => note(`dropped ${reason}`),
      rolloutChanged: (_bundle, state, reason) => note(`${state} ${reason}`),
      canaryPercent: () => undefined,
    },
    ...options,
  });
  let principal: Principal | undefined;
  let count = 0;
  const { authorize } = core({
    clock,
    currentGeneration: generations.current,
    newDecisionId: () => {
      count += 1;
      return `decision-${count}`;
    },
    authenticate: () => (principal === undefined ? anonymous : verified(principal)),
    maxWaitMs: 60_000,
  });
  const asked = withRollout(authorize, rollout);
  return {
    rollout,
    generations,
    clock,
    lines,
    counts,
    stage: (decision, candidate = {}) => {
      const staged = generations.stage(parts(decision, candidate.revision ?? 'r2'), () => undefined);
      rollout.stage({ ...CANDIDATE, ...candidate }, staged);
      return staged;
    },
    ask: (by) => {
      principal = by;
      return asked(accessRequest());
    },
    settle: async () => {
      for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => void setImmediate(resolve));
    },
  };
}

export function principalOf(tenant: number | string, subject = 'alice'): Principal {
  return { ...tenantA, tenant: `tenant-${tenant}`, subject };
}

/** One request of each of so many tenants, compared and judged. */
export async function askTenants(kit: RolloutKit, tenants: number, from = 0): Promise<void> {
  for (let tenant = from; tenant < from + tenants; tenant++) await kit.ask(principalOf(tenant));
  await kit.settle();
  kit.clock.advance(500);
}
