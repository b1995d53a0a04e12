import type { QuotaConfig } from '../../../src/quota/config.ts';
import { createQuotas } from '../../../src/quota/quotas.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { startSystemTimer } from '../../../src/telemetry/system-clock.ts';
import { generation, inferRoute, inspected } from '../../support/core.ts';
import { eventually } from '../../support/programs.ts';
import { createEarlierClock } from '../../support/system-ports.ts';
import { FAULTS, type Fault, type Trials } from './matrix.ts';
import { PASSWORD, type ScriptedRedis, STORE_DEADLINE_MS, startScriptedRedis } from './scripted-redis.ts';
import { openWorld, realTimeCore } from './world.ts';

/** A rate of which {@link SHARE} may be admitted without the store; its period is so long that no trial meets its end. */
const CHARGE = {
  name: 'calls',
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 20,
  per_seconds: 2_592_000,
  cost: 1,
  scope: 'tenant',
};
const SHARE = 0.5;
/** One more than what the share lets pass: each asks both doors. */
const ASKS = 7;
const MAX_EXCUSED = 10;

export const QUOTA_CONFIG: QuotaConfig = {
  store: {
    kind: 'redis',
    max_buckets: 1024,
    max_outsider_buckets: 1024,
    max_reservations: 64,
    key_prefix: 'trial:',
    cold_start_seconds: 0,
  },
  deadline_ms: STORE_DEADLINE_MS,
  settle_horizon_seconds: 900,
  max_holds_per_principal: 256,
  failure: { local_share: SHARE, replicas: 1, allow: true },
  lease_batch: 0,
  learning: { enabled: false, max_entries: 100 },
  refusals: { limit: 1_000, per_seconds: 60, max_entries: 100 },
};

interface Scene {
  readonly server: ScriptedRedis;
}

interface TrialOptions {
  readonly charge?: Readonly<Record<string, unknown>>;
  /** Brings the fault about before the store was ever reached. */
  readonly fromTheStart?: boolean;
}

/**
 * Charged requests that the policy would allow, through the real core, limiter and Redis store, to a server that fails
 * so. What was admitted without the store must be counted and logged, what was charged for a Deny given back.
 */
async function trial(fault: Fault | undefined, { charge = {}, fromTheStart = false }: TrialOptions): Promise<string> {
  const server = await startScriptedRedis();
  const metrics = createMetrics({ processMetrics: false });
  const log: string[] = [];
  const note = (...entry: readonly unknown[]): void => void log.push(JSON.stringify(entry));
  const { clock, arrive } = createEarlierClock();
  const quotas = createQuotas({
    config: { ...QUOTA_CONFIG, store: { ...QUOTA_CONFIG.store, url: server.url } },
    clock,
    startTimer: startSystemTimer,
    metrics: metrics.quota,
    logger: { info: note, warn: note, limited: note },
  });
  arrive();
  const world = await openWorld(realTimeCore({ ...charged(charge), quota: quotas.limiter }));
  const breakIt = async (): Promise<void> => {
    if (fault !== undefined) await server.misbehave(fault);
  };
  try {
    if (fromTheStart) await breakIt();
    const started = quotas.start();
    await Promise.race([started, new Promise((resolve) => setTimeout(resolve, 200))]);
    if (!fromTheStart) await breakIt();
    const answers: string[] = [];
    let excused = 0;
    while (answers.length < ASKS) {
      const answer = await world.ask();
      // A busy machine stalls by itself, and then this is the right answer.
      if (fault !== 'stalled' && answer.includes('overloaded') && excused < MAX_EXCUSED) excused += 1;
      else answers.push(answer);
    }
    await started;
    if (log.join('').includes(PASSWORD)) return 'the password of the store is in the log';
    return await judge(answers, { server }, await metrics.text(), log);
  } finally {
    await world.stop();
    await quotas.stop();
    await server.stop();
  }
}

async function judge(
  answers: readonly string[],
  { server }: Scene,
  metrics: string,
  log: readonly string[],
): Promise<string> {
  const counted = sumOf(metrics, 'sallyport_quota_unverified_total');
  const logged = log.filter((line) => line.includes('without the quota store') && line.includes('"unverified"')).length;
  const allowed = answers.filter((answer) => answer === 'allow').length;
  const others = [...new Set(answers.filter((answer) => answer !== 'allow'))].join(', then ');
  if (counted === 0) {
    // Takes that were answered too late are given back.
    if (allowed === 0) {
      await eventually(() => (server.givenBack >= server.taken ? true : undefined), 5_000);
    }
    return allowed === 0 ? others : ['allow', ...(others === '' ? [] : [others])].join(', then ');
  }
  if (counted !== allowed * 2 || logged !== counted)
    return `${allowed * 2} allowed, ${counted} counted, ${logged} told`;
  return others === '' ? 'every one unverified' : `${counted} unverified, then ${others}`;
}

/** The sum over the series of a metric. */
function sumOf(text: string, name: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** A policy that charges so and allows. */
export function charged(
  charge: Readonly<Record<string, unknown>>,
): Pick<Parameters<typeof realTimeCore>[0] & object, 'currentGeneration'> {
  const current = generation(
    { 'authz/decision': { allow: true }, 'authz/limits': [{ ...CHARGE, ...charge }] },
    { inspect: () => inspected({ route: { ...inferRoute, requiredLimits: ['calls'] } }) },
  );
  return { currentGeneration: () => current };
}

function trials(options: TrialOptions, leftOut: readonly Fault[] = []): Trials {
  const faults = FAULTS.filter((fault) => !leftOut.includes(fault)).map((fault) => [
    fault,
    () => trial(fault, options),
  ]);
  return { healthy: () => trial(undefined, options), faults: Object.fromEntries(faults) };
}

export const quotaTrials: Trials = trials({});
export const localShareTrials: Trials = trials({ charge: { on_failure: 'local_share' } });
export const allowTrials: Trials = trials({ charge: { on_failure: 'allow' } });
/** Money is never admitted without the store, whatever the charge says. */
export const moneyTrials: Trials = trials({ charge: { on_failure: 'allow', unit: 'nano_usd' } });
/** A replica that never saw the store knows nothing of what the others spend. */
export const neverSeenTrials: Trials = trials({ charge: { on_failure: 'local_share' }, fromTheStart: true }, [
  'stalled',
]);
