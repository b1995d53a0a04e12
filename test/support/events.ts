import type { Outcome } from '../../src/decision/ports.ts';
import type { DecisionLogConfig } from '../../src/decision-log/config.ts';
import { createWriteEvent, type DecisionEvent } from '../../src/decision-log/event.ts';
import { DEFAULT_INPUT, DEFAULT_RESULT } from '../../src/decision-log/loggable.ts';

/** The decision log's config with all defaults but what the test names. */
export function logConfig(parts: Partial<DecisionLogConfig> = {}): DecisionLogConfig {
  return {
    sinks: [{ stdout: {} }],
    queue: { max_events: 10_000 },
    when_full: 'drop',
    block_ms: 100,
    aggregate: { above_per_second: 1_000_000 },
    input: DEFAULT_INPUT,
    result: DEFAULT_RESULT,
    masks: [],
    ...parts,
  };
}

/** The event of an outcome as a reader of the log sees it: through its one line of JSON. */
export function eventOf(outcome: Outcome, parts: Partial<DecisionLogConfig> = {}): DecisionEvent {
  const line = lineOf(outcome, parts);
  if (line.indexOf('\n') !== line.length - 1) throw new Error('an event is not one line');
  // `createWriteEvent` wrote a DecisionEvent.
  return JSON.parse(line) as DecisionEvent;
}

export function lineOf(outcome: Outcome, parts: Partial<DecisionLogConfig> = {}): string {
  return createWriteEvent({
    config: logConfig(parts),
    labels: { region: 'eu-1' },
    instanceId: 'instance-1',
    nextSpanId: () => '00000000000000aa',
  })(outcome, 17).line;
}
