import type { BucketEvent } from './bucket-events.ts';

/**
 * By how many units the admissions of a bucket went over, computed without the arithmetic of the product: of a rate the
 * most over burst + limit × time ÷ period in any interval, of a window the most in one window over its limit. What is
 * given back makes room where it is given back. What a settle charges on top of its hold, and what is charged unasked,
 * nobody admitted. `events` are the writes in their order.
 */
export function overAdmitted(events: readonly BucketEvent[]): number {
  switch (events[0]?.terms.kind) {
    case undefined:
    case 'concurrency':
      return 0;
    case 'rate':
      return overRate(events);
    case 'window':
      return overWindow(events);
  }
}

function overRate(events: readonly BucketEvent[]): number {
  const { limit, burst } = largest(events);
  const periodMs = events[0]?.terms.periodMs ?? 1;
  const startMs = events[0]?.atMs[0] ?? 0;
  let lastMs = 0;
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const event of events) {
    lastMs = Math.max(lastMs, event.atMs[0] - startMs);
    const drained = limit * lastMs;
    least = Math.min(least, sum * periodMs - drained);
    sum += netUnits(event);
    worst = Math.max(worst, sum * periodMs - drained - least);
  }
  return Math.max(0, Math.ceil((worst - burst * periodMs) / periodMs));
}

function overWindow(events: readonly BucketEvent[]): number {
  const { limit } = largest(events);
  const sums = new Map<number, number>();
  let worst = 0;
  for (const event of events) {
    const { action, atMs, terms } = event;
    const isUndone = action.kind === 'settle' || action.kind === 'release';
    const startMs = isUndone ? action.taken.startMs : (terms.windows?.at(atMs[1]).startMs ?? 0);
    const sum = (sums.get(startMs) ?? 0) + netUnits(event);
    sums.set(startMs, sum);
    worst = Math.max(worst, sum - limit);
  }
  return worst;
}

/** A hold that ends as nothing makes room for others before it is settled: it is left out. */
function netUnits({ action }: BucketEvent): number {
  switch (action.kind) {
    case 'take':
      return action.charge.hold?.onExpiry === 'release' ? 0 : action.charge.cost;
    case 'settle':
    case 'release':
      return action.taken.onExpiry === 'release' ? 0 : Math.min(0, action.used - action.taken.amount);
    case 'charge':
      return Math.min(0, action.charge.cost);
    case 'renew':
    case 'peek':
      return 0;
  }
}

/** A limit that was changed under way bounds by its largest size. */
function largest(events: readonly BucketEvent[]): { readonly limit: number; readonly burst: number } {
  let limit = 0;
  let burst = 0;
  for (const { terms } of events) {
    limit = Math.max(limit, terms.limit);
    burst = Math.max(burst, terms.burst);
  }
  return { limit, burst };
}
