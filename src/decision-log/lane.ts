import type { Outcome } from '../decision/ports.ts';

/**
 * What shares the room of the log: `kept` are allows and what operators and the service did, `denied` all denials. Denials
 * never fill more than their share, so that no flood of them pushes out what was permitted.
 */
export type Lane = 'kept' | 'denied';

export const LANES: readonly Lane[] = ['kept', 'denied'];

export function laneOf({ decision }: Pick<Outcome, 'decision'>): Lane {
  return decision.kind === 'allow' ? 'kept' : 'denied';
}

/** The room of denials within a room for all. */
export function deniedShare(room: number): number {
  return Math.ceil(room / 2);
}
