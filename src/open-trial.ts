import { randomUUID } from 'node:crypto';
import type { Bundle } from './bundle/bundle.ts';
import type { Config } from './config/config.ts';
import type { Outcome } from './decision/ports.ts';
import { createTry } from './decision/trial.ts';
import { createWriteEvent } from './decision-log/event.ts';
import { loadGeneration } from './generation.ts';
import { trialPorts } from './trial.ts';

/** What request cases are decided by on the command line: a service of this config, with nobody asked. */
export function openTrial(config: Config) {
  const writeEvent = createWriteEvent({
    config: config.decision_log,
    labels: config.labels,
    instanceId: randomUUID(),
    nextSpanId: () => '0000000000000001',
  });
  return {
    tryOnce: createTry(trialPorts(config)),
    load: async (bundles: readonly Bundle[]) => {
      const { parts, close } = await loadGeneration(bundles, config, { limited: () => undefined });
      return { generation: { number: 1, ...parts }, close };
    },
    toEvent: (outcome: Outcome, sequence: number): unknown => JSON.parse(writeEvent(outcome, sequence).line),
  };
}
