import { readFileSync } from 'node:fs';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { eventually } from './programs.ts';

/** Reads the decision events that a service writes to a file, as they come. */
export interface EventFile {
  readonly all: () => readonly DecisionEvent[];
  /** The event of a decision, once it is there. */
  readonly of: (decisionId: string) => Promise<DecisionEvent>;
  /** All events, once there are `count` of them. */
  readonly atLeast: (count: number) => Promise<readonly DecisionEvent[]>;
}

export function createEventFile(file: string): EventFile {
  const all = (): readonly DecisionEvent[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      // Each line is an event that the service wrote.
      .map((line) => JSON.parse(line) as DecisionEvent)
      // What the service did of itself, such as an activation, has a type.
      .filter((event) => !('type' in event));
  return {
    all,
    of: (decisionId) => eventually(() => all().find((event) => event.decision_id === decisionId)),
    atLeast: (count) =>
      eventually(() => {
        const events = all();
        return events.length >= count ? events : undefined;
      }),
  };
}
