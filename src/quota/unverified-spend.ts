import type { Clock, Instant } from '../decision/ports.ts';
import type { BucketCharge, BucketTerms } from './bucket.ts';
import type { StoreFaultReason } from './bucket-store.ts';
import type { PlannedCharge, PlannedPlan } from './bucket-terms.ts';
import type { QuotaConfig } from './config.ts';

/** What this replica admits while the store does not answer, and owes it afterwards. */
export interface UnverifiedSpend {
  /**
   * Spends a plan without the store, the whole of it or nothing, if every enforced charge permits that. Answers what
   * is left of each charge's share; `undefined` where it is denied.
   */
  admit(charges: PlannedPlan, reason: StoreFaultReason, at: Instant): readonly number[] | undefined;
  /** Takes back what was admitted and not yet charged to the store. */
  giveBack(charges: PlannedPlan): void;
  /** Whether the store is owed anything. */
  owes(): boolean;
  /** Some of what is owed; what has drained or whose window is over is forgotten. */
  owed(at: Instant): readonly BucketCharge[];
  /** The store has been charged. */
  paid(charges: readonly BucketCharge[]): void;
}

/**
 * `local_share` permits ⌊limit × share ÷ replicas⌋ units of a rate in each period, once, however many outages there are:
 * periods begin at their multiples since the epoch, on a clock that does not jump. It is denied by a replica that never
 * saw the store, in the period in which it started, and while the store is `full`: it answers then, and anybody's made-up
 * keys may be why. `allow` is
 * obeyed where config permits it, never for money, calendar months and concurrency. In bounded memory: what cannot be
 * remembered is denied.
 */
export function createUnverifiedSpend({ failure, replicas, clock }: UnverifiedSpendOptions): UnverifiedSpend {
  const spends = { callers: new Map<string, Spend>(), outsiders: new Map<string, Spend>() };
  const owing = new Map<string, Spend>();
  const start = clock.now();
  const epochOffsetMs = start.epochMs - start.monotonicMs;
  let sweptMs = Number.NEGATIVE_INFINITY;

  function periodAt({ periodMs }: BucketTerms, at: Instant): number {
    return Math.floor((at.monotonicMs + epochOffsetMs) / periodMs);
  }

  function sweep(at: Instant): void {
    if (at.monotonicMs - sweptMs < SWEEP_EVERY_MS) return;
    sweptMs = at.monotonicMs;
    for (const region of [spends.callers, spends.outsiders]) {
      for (const [id, spend] of region) {
        if (spend.owed === 0 && spend.period < periodAt(spend.terms, at)) region.delete(id);
      }
    }
  }

  function spendOf(terms: BucketTerms, at: Instant): Spend | undefined {
    const region = spends[terms.region];
    const found = region.get(terms.id);
    if (found !== undefined) return found;
    if (region.size >= MAX_SPENDS) sweep(at);
    if (region.size >= MAX_SPENDS) return undefined;
    const spend = { terms, owed: 0, lastMs: 0, endMs: 0, period: periodAt(terms, at), used: 0 };
    region.set(terms.id, spend);
    return spend;
  }

  /** What the charge may still spend, in units; `undefined` where it is denied. */
  function left(charge: PlannedCharge, reason: StoreFaultReason, at: Instant): number | undefined {
    const how = permission(charge, reason, failure.allow, replicas().everSeen);
    if (how === undefined) return undefined;
    const { terms, cost } = charge;
    if (how === 'allow') return cost <= terms.burst ? terms.burst : undefined;
    // INVARIANT: in the period of its own start a replica does not know what it spent before it was started anew.
    if (periodAt(terms, at) === periodAt(terms, start)) return undefined;
    // INVARIANT: no replica believes that it is alone while another has been seen.
    const count = Math.max(1, failure.replicas, replicas().highestSeen);
    const share = Math.floor((terms.limit * failure.local_share) / count);
    const known = spends[terms.region].get(terms.id);
    const used = known === undefined || known.period < periodAt(terms, at) ? 0 : known.used;
    return used + cost <= share ? share - used : undefined;
  }

  function spend({ terms, cost, shape }: PlannedCharge, into: Spend, at: Instant): void {
    const period = periodAt(terms, at);
    if (into.period < period) {
      into.period = period;
      into.used = 0;
    }
    into.used += cost;
    into.terms = terms;
    into.lastMs = at.monotonicMs;
    if (terms.windows !== undefined && at.epochMs >= into.endMs) {
      into.owed = 0;
      into.endMs = terms.windows.at(at.epochMs).endMs;
    }
    into.owed = Math.min(Number.MAX_SAFE_INTEGER, into.owed + cost);
    if (into.owed > 0) owing.set(terms.id, into);
    if (shape.terms.onFailure === 'allow') shape.counts.allow += 1;
    else shape.counts.localShare += 1;
  }

  function settle(id: string, units: number): void {
    const found = owing.get(id);
    if (found === undefined) return;
    found.owed = Math.max(0, found.owed - units);
    if (found.owed === 0) owing.delete(id);
  }

  return {
    admit: (charges, reason, at) => {
      const remaining: number[] = [];
      const into: (Spend | undefined)[] = [];
      for (const charge of charges) {
        // What is held nowhere needs no cap, and a shadow charge refuses nothing.
        const counted = charge.enforced && !charge.shape.internal;
        const units = counted ? left(charge, reason, at) : 0;
        const entry = counted && units !== undefined ? spendOf(charge.terms, at) : undefined;
        if (units === undefined || (counted && entry === undefined)) return undefined;
        remaining.push(counted ? units - charge.cost : 0);
        into.push(entry);
      }
      for (const [index, charge] of charges.entries()) {
        const entry = into[index];
        if (entry !== undefined) spend(charge, entry, at);
      }
      return remaining;
    },
    giveBack: (charges) => {
      for (const { terms, cost, refundable, enforced, shape } of charges) {
        if (refundable && enforced && !shape.internal) settle(terms.id, cost);
      }
    },
    owes: () => owing.size > 0,
    owed: (at) => {
      const charges: BucketCharge[] = [];
      for (const [id, entry] of owing) {
        if (isOver(entry, at)) {
          entry.owed = 0;
          owing.delete(id);
          continue;
        }
        charges.push({ terms: entry.terms, cost: entry.owed, enforced: false, refundable: false });
        if (charges.length >= MAX_CHARGES) break;
      }
      return charges;
    },
    paid: (charges) => {
      for (const { terms, cost } of charges) settle(terms.id, cost);
    },
  };
}

export interface UnverifiedSpendOptions {
  readonly failure: QuotaConfig['failure'];
  readonly replicas: () => Replicas;
  readonly clock: Clock;
}

/** What this replica knows of the fleet from the store. */
export interface Replicas {
  /** The most replicas that were there at once. */
  readonly highestSeen: number;
  /** Whether the store ever answered this process. */
  readonly everSeen: boolean;
}

interface Spend {
  /** As they were when something was last spent. */
  terms: BucketTerms;
  /** Spent and not charged to the store. */
  owed: number;
  /** When something was last spent, on the monotonic clock. */
  lastMs: number;
  /** Of a window: when the one that was spent from ends. */
  endMs: number;
  /** The period that `used` counts. */
  period: number;
  used: number;
}

const MAX_SPENDS = 16_384;
const SWEEP_EVERY_MS = 1000;
const MAX_CHARGES = 64;

function permission(
  { terms, shape }: PlannedCharge,
  reason: StoreFaultReason,
  allowed: boolean,
  everSeen: boolean,
): 'local_share' | 'allow' | undefined {
  const { onFailure, unit, calendar, reserve } = shape.terms;
  if (unit === 'nano_usd' || terms.kind === 'concurrency' || calendar === 'month') return undefined;
  if (onFailure === 'allow') return allowed ? 'allow' : undefined;
  // What cannot be reserved cannot be settled: its use would be in no ledger.
  if (onFailure !== 'local_share' || terms.kind !== 'rate' || reserve !== undefined) return undefined;
  return everSeen && reason !== 'full' ? 'local_share' : undefined;
}

/** Whether a charge now would be for what the store would have forgotten by itself. */
function isOver({ terms, owed, lastMs, endMs }: Spend, at: Instant): boolean {
  if (terms.windows !== undefined) return at.epochMs >= endMs;
  const fullMs = ((terms.burst + owed) * terms.periodMs) / terms.limit;
  return at.monotonicMs - lastMs >= fullMs;
}
