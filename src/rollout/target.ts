import { isFor, type RolloutOrder } from './candidate.ts';
import type { RolloutStep } from './config.ts';
import type { PinnedTo } from './state.ts';
import type { RolloutPhase } from './status.ts';

/** Where a trial should stand now. */
export type Target =
  | {
      readonly kind: 'percent';
      readonly percent: number;
      readonly state: RolloutPhase;
      readonly reason?: string;
      /** Nobody said so by name: where the candidate may not be taken back, it stays as it is instead. */
      readonly automatic: boolean;
    }
  /** As it is. */
  | { readonly kind: 'hold'; readonly reason: string }
  | { readonly kind: 'promote'; readonly reason: string };

export interface TargetGiven {
  readonly sha256: string;
  /** Why no canary may run here at all. */
  readonly blocked: string | undefined;
  readonly pin: PinnedTo | undefined;
  readonly paused: string | undefined;
  /** A rail tripped while the candidate decided for nobody. */
  readonly tripped: boolean;
  readonly order: RolloutOrder | undefined;
  /** Whether orders say how it goes; steps of local config are then not looked at. */
  readonly followsOrders: boolean;
  readonly labels: ReadonlyMap<string, string>;
  readonly nowEpochMs: number;
  readonly steps: readonly RolloutStep[];
  /** Behind the last one only where each was gone through in this process. */
  readonly step: number;
  /** Whether it was compared enough to decide for anybody. */
  readonly cleared: boolean;
}

/** Why a candidate that may decide does not yet. */
export const COMPARED_FIRST = 'it is compared first, before it decides for anybody';

/**
 * A person's word comes first, then the signed order, then the steps of local config. By order or steps nobody is decided
 * for by what was not compared yet.
 */
export function targetOf(given: TargetGiven): Target {
  const wanted = wantedTarget(given);
  if (given.cleared || wanted.kind === 'hold') return wanted;
  if (wanted.kind === 'percent' && (wanted.percent === 0 || wanted.state === 'pinned')) return wanted;
  return nobody('shadow', COMPARED_FIRST);
}

function wantedTarget(given: TargetGiven): Target {
  const { blocked, pin, order } = given;
  if (blocked !== undefined) return nobody('blocked', blocked);
  if (pin?.to === 'stable') return nobody('pinned', 'pinned to what is in force');
  if (pin?.to === 'candidate' && pin.sha256 === given.sha256) {
    return { kind: 'percent', percent: 100, state: 'pinned', reason: 'pinned to the candidate', automatic: false };
  }
  if (order !== undefined) return orderedTarget(given, order);
  if (given.followsOrders) return nobody('waiting', 'no order has come yet', true);
  return given.paused === undefined ? steppedTarget(given) : { kind: 'hold', reason: given.paused };
}

function orderedTarget(given: TargetGiven, order: RolloutOrder): Target {
  const { sha256, paused, labels, nowEpochMs } = given;
  if (order.candidate.sha256 !== sha256) return nobody('waiting', 'the order is for another candidate', true);
  if (order.aborted) return nobody('aborted', `order ${order.version} aborts it`);
  if (nowEpochMs >= order.expiresEpochS * 1_000) return nobody('waiting', `order ${order.version} has expired`, true);
  if (!isFor(order, labels)) return nobody('waiting', `order ${order.version} is for other labels`, true);
  if (paused !== undefined) return { kind: 'hold', reason: paused };
  if (order.paused) return { kind: 'hold', reason: `order ${order.version} pauses it` };
  const reason = `order ${order.version}`;
  switch (order.mode) {
    case 'shadow':
      return nobody('shadow', reason);
    case 'canary':
      return { kind: 'percent', percent: order.percent, state: 'canary', reason, automatic: false };
    case 'promote':
      if (given.tripped) return { kind: 'hold', reason: `${reason} promotes it, but a guard rail tripped here` };
      return { kind: 'promote', reason };
  }
}

function steppedTarget({ steps, step }: TargetGiven): Target {
  if (steps.length === 0) return nobody('shadow', 'neither an order nor a step lets it decide');
  const now = steps[step];
  if (now === undefined) return { kind: 'promote', reason: 'every step is done' };
  const state = now.percent === 0 ? 'shadow' : 'canary';
  return {
    kind: 'percent',
    percent: now.percent,
    state,
    reason: `step ${step + 1} of ${steps.length}`,
    automatic: false,
  };
}

function nobody(state: RolloutPhase, reason: string, automatic = false): Target {
  return { kind: 'percent', percent: 0, state, reason, automatic };
}
