import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Activator, createActivator } from './bundle/activator.ts';
import { loadAgentId } from './bundle/agent/agent-id.ts';
import { createStatusReporter } from './bundle/agent/status-reporter.ts';
import type { CandidateSet } from './bundle/agent/trial-candidate.ts';
import type { Bundle } from './bundle/bundle.ts';
import { toWatchedBundles } from './bundle/watch.ts';
import type { Config } from './config/config.ts';
import { createGenerations } from './decision/generations.ts';
import type { Authorize, AuthorizePorts, Generation } from './decision/ports.ts';
import { createRedecide, createTry } from './decision/trial.ts';
import type { AdministrativeEvent } from './decision-log/administrative.ts';
import { createExamine } from './examine.ts';
import { type LoadedGeneration, loadGeneration } from './generation.ts';
import { createPreparedSets } from './prepared-set.ts';
import type { DescriptorTable } from './quota/descriptors/descriptors.ts';
import { readBundle } from './read-bundle.ts';
import { createObserve } from './rollout/observe.ts';
import type { Rollout } from './rollout/port.ts';
import { createRollout } from './rollout/rollout.ts';
import { withRollout } from './rollout/with-rollout.ts';
import type { Health } from './telemetry/health.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { startSystemTimer, systemClock, threadCpuMs } from './telemetry/system-clock.ts';
import { programVersion } from './telemetry/version.ts';
import { MAX_WAIT_MS, neededEntrypoints, trialPorts } from './trial.ts';

export interface InForceParts {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly logger: Logger;
  /** Unique to this start of the process. */
  readonly instanceId: string;
  /** Whether a set is tried in a thread of its own before it may decide; not where nobody is served. */
  readonly examined: boolean;
  /** Writes what came into force, and by whose hand, beside the decisions. */
  readonly recordAdministrative: (event: AdministrativeEvent) => void;
  /** Told of a set's limits before a request can be charged by them, and again by nobody. */
  readonly beforeUse: (catalog: unknown, rules: DescriptorTable) => void;
  /** Told once a set is in force for everybody. */
  readonly afterActivation: (rules: DescriptorTable) => void;
}

/** Which generation decides for whom: bundles as they come, what is on trial beside them, and how stale it all is. */
export interface InForce {
  readonly activator: Activator;
  readonly rollout: Rollout;
  /** `undefined` before the first activation, and while what there is is too stale to decide by. */
  readonly current: () => Generation | undefined;
  readonly observes: NonNullable<AuthorizePorts['observes']>;
  /** Has every decision compared that a rollout wants compared. */
  readonly wrap: (authorize: Authorize) => Authorize;
  readonly status: () => object;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export function createInForce(parts: InForceParts): InForce {
  const { config, metrics, health, logger, instanceId, examined, recordAdministrative, beforeUse, afterActivation } =
    parts;
  const generations = createGenerations({ startTimer: startSystemTimer, retireAfterMs: MAX_WAIT_MS * 2 });
  const ready = health.source('bundles');
  const dataDir = config.rollout.data_dir ?? config.agent.data_dir;
  const observe = createObserve({
    config: config.rollout.observe,
    clock: systemClock,
    nowEpochMs: () => rollout.nowEpochMs(),
    startTimer: startSystemTimer,
    logger,
    metrics: metrics.rollout,
  });
  const rollout = createRollout({
    config: config.rollout,
    labels: config.labels,
    followsOrders: Object.values(config.bundles).some(({ orders }) => orders !== undefined),
    ...(dataDir === undefined ? {} : { stateFile: join(dataDir, 'rollout.json') }),
    clock: systemClock,
    startTimer: startSystemTimer,
    cpuMs: threadCpuMs,
    schedule: (step) => void setImmediate(step),
    random: Math.random,
    newSalt: () => randomBytes(32).toString('hex'),
    currentGeneration: generations.current,
    redecide: createRedecide(createTry(trialPorts(config))),
    promote: ({ bundle, sha256 }, putInForce) => activator.promote(bundle, sha256, putInForce),
    logger,
    metrics: metrics.rollout,
  });
  /** What is on trial: its set, to know it again, and its rules. */
  let onTrial: { readonly set: CandidateSet; readonly rules: DescriptorTable } | undefined;

  const made = createPreparedSets();
  const examine = createExamine({
    config,
    timeoutMs: config.agent.trial.timeout_ms,
    memoryMb: config.agent.trial.memory_mb,
    startTimer: startSystemTimer,
    logger,
  });
  const activator = createActivator({
    ...toWatchedBundles(config.bundles, config.agent, {
      clock: systemClock,
      startTimer: startSystemTimer,
      labels: config.labels,
      read: readBundle,
    }),
    entrypoints: neededEntrypoints(config),
    ...(examined ? { examine: async (bundles, signal) => made.keep(bundles, await examine(bundles, signal)) } : {}),
    examineTimeoutMs: config.agent.trial.timeout_ms * 2,
    activate: async (bundles) => {
      const { parts: generation, rules, close } = await load(bundles);
      generations.put(generation, close);
      afterActivation(rules);
      recordAdministrative({ action: 'bundles_activated', details: Object.fromEntries(generation.revisions) });
      tellReady();
    },
    stage: async (candidate, order, trips) => {
      if (candidate === undefined) {
        onTrial = undefined;
        rollout.withdraw();
      } else if (onTrial === undefined || !isSame(onTrial.set, candidate)) {
        const { parts: generation, rules, close } = await load(candidate.bundles);
        const isOnTrial = rollout.stage(candidate, generations.stage(generation, close), order);
        onTrial = isOnTrial ? { set: candidate, rules } : undefined;
        const { bundle, revision, sha256 } = candidate;
        if (isOnTrial) recordAdministrative({ action: 'candidate_staged', details: { bundle, revision, sha256 } });
      }
      rollout.setOrder(order, trips);
    },
    refusesCandidate: (sha256) => rollout.refusesCandidate(sha256),
    candidateDecides: (sha256) => rollout.decides(sha256),
    onStaleness: () => tellReady(),
    onChange: () => reporter?.changed(),
    labels: config.labels,
    clock: systemClock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger,
    metrics,
  });
  const reporter =
    config.agent.status &&
    createStatusReporter({
      config: config.agent.status,
      status: () => activator.status(),
      candidateOf: (bundle) => ({
        ...rollout.candidateStatus(bundle, activator.status().get(bundle)?.candidate?.sha256),
      }),
      labels: config.labels,
      instanceId: loadAgentId(config.agent.data_dir, instanceId),
      version: programVersion(),
      clock: systemClock,
      startTimer: startSystemTimer,
      random: Math.random,
      logger,
    });

  rollout.onChanged(() => reporter?.changed());
  rollout.onPromoted(({ bundle, sha256, revision }) => {
    recordAdministrative({ action: 'candidate_promoted', details: { bundle, revision, sha256 } });
    if (onTrial !== undefined) afterActivation(onTrial.rules);
    onTrial = undefined;
  });
  rollout.onTakenBack(({ bundle, sha256, revision }, reason) => {
    recordAdministrative({ action: 'candidate_taken_back', details: { bundle, revision, sha256, reason } });
    onTrial = undefined;
  });

  async function load(bundles: readonly Bundle[]): Promise<LoadedGeneration> {
    const loaded = await loadGeneration(bundles, config, logger, made.take(bundles));
    beforeUse(loaded.catalog, loaded.rules);
    return loaded;
  }

  function tellReady(): void {
    const { level, reasons } = activator.staleness();
    const stale = level === 'not_ready' || level === 'deny';
    ready.set(generations.current() !== undefined && !stale, stale ? reasons : []);
  }

  return {
    activator,
    rollout,
    current: () => (activator.staleness().level === 'deny' ? undefined : generations.current()),
    observes: observe.observes,
    wrap: (authorize) => withRollout(authorize, rollout),
    status: () => ({
      instance_id: instanceId,
      bundles: Object.fromEntries(activator.status()),
      staleness: activator.staleness(),
      rollout: rollout.status(),
    }),
    start: async () => {
      await rollout.start();
      observe.start();
      await activator.start();
      reporter?.start();
    },
    stop: async () => {
      await activator.stop();
      await reporter?.stop();
      observe.stop();
      await rollout.stop();
      generations.close();
    },
  };
}

/** Whether it is the same archive over the same set: then what was loaded of it still holds. */
function isSame(a: CandidateSet, b: CandidateSet): boolean {
  return (
    a.bundle === b.bundle &&
    a.sha256 === b.sha256 &&
    a.bundles.length === b.bundles.length &&
    a.bundles.every((bundle, at) => bundle === b.bundles[at])
  );
}
