import { LRUCache } from 'lru-cache';
import type { Clock, Instant } from '../decision/ports.ts';
import type { BucketCharge, BucketState, BucketTerms } from './bucket.ts';
import type { BucketStore, StoreTake, StoreTaken } from './bucket-store.ts';
import type { PlannedCharge } from './bucket-terms.ts';
import { delegated } from './exhausted.ts';

/**
 * A store that takes up to `batch` units of a hot shared rate ahead and hands them out here, so that not every request
 * waits for one bucket. Only while the rate is far from its end, never of money, of windows or of what is held. Units
 * are charged when they are taken ahead, so that no bucket gives more than it has; handed out later, within a period,
 * they let at most `batch` more through in any one period, per replica.
 */
export function withLeases(store: BucketStore, { batch, replicas, clock, newId }: LeaseOptions): LeasingStore {
  const leases = new LRUCache<string, Lease>({ max: MAX_LEASES });
  /** By the plan that was taken: what of it the store did not see. */
  const handedOut = new WeakMap<readonly BucketCharge[], readonly PlannedCharge[]>();

  /** Takes what is asked of a lease, or sees that there will be one. */
  function handOut(charge: PlannedCharge, at: Instant): boolean {
    const { terms, cost } = charge;
    const lease = leases.get(terms.id);
    if (lease === undefined) return false;
    if (!isCurrent(lease, terms, clock.now().monotonicMs)) lease.units = 0;
    if (lease.units >= cost) {
      lease.units -= cost;
      return true;
    }
    if (!lease.asking && lease.state.remaining >= FAR * batch * Math.max(1, replicas())) void refill(lease, charge, at);
    return false;
  }

  /** One at a time, and only up to a batch: more is never out. */
  async function refill(lease: Lease, charge: PlannedCharge, at: Instant): Promise<void> {
    const units = batch - lease.units;
    const sentMs = clock.now().monotonicMs;
    lease.asking = true;
    try {
      const plan = [{ ...charge, cost: units }];
      const answer = await store.take({ id: newId(), plans: [plan], note: '' }, at);
      const [state] = answer.kind === 'taken' ? answer.states : [];
      if (state === undefined) return;
      lease.terms = charge.terms;
      lease.units += units;
      lease.untilMs = sentMs + charge.terms.periodMs;
      lease.state = state;
    } catch {
      // Nothing was taken ahead; the requests' own takes tell of a store that fails.
    } finally {
      lease.asking = false;
    }
  }

  function giveBack({ terms, cost }: BucketCharge): void {
    const lease = leases.peek(terms.id);
    if (lease === undefined || !isCurrent(lease, terms, clock.now().monotonicMs)) return;
    lease.units = Math.min(batch, lease.units + cost);
  }

  /** Notes how the buckets of shared rates stand. */
  function see(charges: readonly PlannedCharge[], states: readonly BucketState[]): void {
    for (const [at, charge] of charges.entries()) {
      const state = states[at];
      if (state === undefined || !isLeasable(charge)) continue;
      const { terms } = charge;
      const lease = leases.get(terms.id);
      if (lease?.terms.limit === terms.limit && lease.terms.burst === terms.burst) lease.state = state;
      else leases.set(terms.id, { terms, units: 0, untilMs: 0, state, asking: false });
    }
  }

  function stateOf({ terms }: BucketCharge): BucketState {
    const lease = leases.peek(terms.id);
    const { limit, burst } = terms;
    const told = { limit, held: 0, fits: true, waitMs: 0, version: 0, level: 0 };
    if (lease === undefined) return { ...told, remaining: 0, resetMs: 0 };
    const { remaining, resetMs } = lease.state;
    return { ...told, remaining: Math.min(burst, remaining + lease.units), resetMs };
  }

  /** The answer for the plan that was wanted, made of the one for what of it was asked. */
  function merged(
    wanted: readonly PlannedCharge[],
    leased: readonly PlannedCharge[],
    states: readonly BucketState[],
  ): readonly BucketState[] {
    let next = 0;
    return wanted.map((charge) => {
      if (leased.includes(charge)) return stateOf(charge);
      const state = states[next];
      next += 1;
      // INVARIANT: a charge of which the store says nothing did not fit.
      return state ?? { ...stateOf(charge), fits: false, remaining: 0 };
    });
  }

  async function takeRest(
    request: StoreTake,
    wanted: readonly PlannedCharge[],
    leased: readonly PlannedCharge[],
    at: Instant,
  ): Promise<StoreTaken> {
    const rest = leased.length === 0 ? wanted : wanted.filter((charge) => !leased.includes(charge));
    let answer: StoreTaken | undefined;
    try {
      // A receipt would number the charges of the rest.
      answer = await store.take({ ...request, plans: [rest], unrecorded: false, repeated: false }, at);
    } finally {
      if (answer?.kind !== 'taken') for (const charge of leased) giveBack(charge);
    }
    if (answer.kind === 'taken') {
      see(rest, answer.states);
      if (leased.length > 0) handedOut.set(wanted, leased);
      return { ...answer, states: merged(wanted, leased, answer.states) };
    }
    if (answer.kind !== 'exceeded') return answer;
    see(rest, answer.states[0] ?? []);
    return { kind: 'exceeded', states: [merged(wanted, leased, answer.states[0] ?? [])] };
  }

  return {
    ...delegated(store),
    take: (request, at) => {
      const [first, second] = request.plans;
      // Of several plans none is known to be taken before the store says so.
      if (first === undefined || second !== undefined) return store.take(request, at);
      // The limiter plans nothing else.
      const wanted = first as readonly PlannedCharge[];
      const leased = wanted.filter((charge) => isLeasable(charge) && charge.cost <= batch && handOut(charge, at));
      if (leased.length < wanted.length) return takeRest(request, wanted, leased, at);
      handedOut.set(wanted, leased);
      return { kind: 'taken', plan: 0, states: wanted.map(stateOf) };
    },
    release: (id, charges, at, receipt) => {
      const leased = handedOut.get(charges);
      if (leased === undefined) return store.release(id, charges, at, receipt);
      handedOut.delete(charges);
      for (const charge of leased) if (charge.refundable) giveBack(charge);
      // What was handed out here is in no take of this id.
      const rest = charges.filter((charge) => !leased.some(({ terms }) => terms === charge.terms));
      return rest.length === 0 ? undefined : store.release(id, rest, at);
    },
    returnUnits: async () => {
      const at = clock.now();
      const unused = [...leases.values()].filter(({ units, untilMs }) => units > 0 && at.monotonicMs < untilMs);
      leases.clear();
      if (unused.length === 0) return;
      const charges = unused.map(({ terms, units }) => ({ terms, cost: -units, enforced: false, refundable: false }));
      await store.charge(charges, at);
    },
  };
}

export interface LeasingStore extends BucketStore {
  /** Gives back what nobody used. Throws what the store throws. */
  returnUnits(): Promise<void>;
}

export interface LeaseOptions {
  readonly batch: number;
  readonly replicas: () => number;
  readonly clock: Clock;
  /** Makes the id of a take. */
  readonly newId: () => string;
}

interface Lease {
  terms: BucketTerms;
  units: number;
  untilMs: number;
  /** What the store last said of the bucket. */
  state: BucketState;
  asking: boolean;
}

const MAX_LEASES = 1024;
/** How many batches of every replica must be left for another to be taken ahead. */
const FAR = 10;

function isLeasable({ terms, enforced, hold, cost, shape }: PlannedCharge): boolean {
  return (
    enforced &&
    hold === undefined &&
    terms.kind === 'rate' &&
    terms.scope === 'shared' &&
    shape.terms.unit !== 'nano_usd' &&
    cost > 0
  );
}

function isCurrent({ terms, untilMs }: Lease, { limit, burst }: BucketTerms, nowMs: number): boolean {
  return terms.limit === limit && terms.burst === burst && nowMs < untilMs;
}
