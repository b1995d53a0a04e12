import type { Instant } from '../../src/decision/ports.ts';
import {
  admit,
  advance,
  emptyBucket,
  fits,
  type Moment,
  release,
  renew,
  settle,
  type Taken,
  toState,
} from '../../src/quota/arithmetic.ts';
import type { Bucket, BucketCharge, BucketState, BucketTerms } from '../../src/quota/bucket.ts';
import type { BucketStore, Reservation } from '../../src/quota/bucket-store.ts';

/** The simplest store that is right: what others are compared with. It forgets nothing and tells time by its callers. */
export function createReferenceBucketStore(): BucketStore {
  const buckets = new Map<string, Bucket>();
  const reservations = new Map<string, Kept>();

  /** A copy, brought to the moment: what is not put back was not written. */
  const open = (terms: BucketTerms, at: Instant, mayWrite = true): Bucket => {
    const moment = toMoment(terms, at);
    const known = buckets.get(terms.id);
    const bucket = known === undefined ? emptyBucket(terms, moment) : { ...known, holds: [...known.holds] };
    if (advance(bucket, terms, moment) && mayWrite) buckets.set(terms.id, { ...bucket, holds: [...bucket.holds] });
    return bucket;
  };
  const write = (terms: BucketTerms, at: Instant, change: (bucket: Bucket) => void): void => {
    const bucket = open(terms, at);
    const { version } = bucket;
    change(bucket);
    if (bucket.version !== version) buckets.set(terms.id, bucket);
  };
  const takeOne = (charge: BucketCharge, id: string, at: Instant): TakenCharge & { readonly state: BucketState } => {
    const { terms, cost, refundable, hold } = charge;
    const moment = toMoment(terms, at);
    const bucket = open(terms, at);
    const fitted = fits(bucket, terms, cost);
    if (fitted) {
      admit(bucket, charge, id, moment.nowMs);
      buckets.set(terms.id, bucket);
    }
    const startMs = terms.kind === 'window' ? bucket.atMs : 0;
    const taken = { id, amount: fitted ? cost : 0, startMs, refundable };
    return {
      terms,
      fitted,
      taken: hold === undefined ? taken : { ...taken, onExpiry: hold.onExpiry },
      state: toState(bucket, terms, moment, cost, fitted),
    };
  };

  return {
    take: ({ id, plans, note }, at) => {
      const known = reservations.get(id);
      if (known !== undefined) return { kind: known.reservation.state === 'released' ? 'released' : 'duplicate' };
      const plan = plans.findIndex((charges) =>
        charges.every(({ terms, cost, enforced }) => !enforced || fits(open(terms, at), terms, cost)),
      );
      if (plan === -1) {
        const stateOf = ({ terms, cost }: BucketCharge) => toState(open(terms, at), terms, toMoment(terms, at), cost);
        return { kind: 'exceeded', states: plans.map((charges) => charges.map(stateOf)) };
      }
      const charges = plans[plan] ?? [];
      const taken = charges.map((charge) => takeOne(charge, id, at));
      const amounts = taken.filter(isHeld).map((one) => one.taken.amount);
      const expiresMs = at.epochMs + Math.max(0, ...charges.map(({ hold }) => hold?.ttlMs ?? 0));
      reservations.set(id, { reservation: { state: 'open', plan, note, amounts, expiresMs }, taken });
      return { kind: 'taken', plan, states: taken.map(({ state }) => state) };
    },

    release: (id, _charges, at) => {
      const { reservation, taken } = reservations.get(id) ?? NEVER_TOOK;
      if (reservation.state !== 'open') return;
      for (const one of taken) {
        if (one.fitted) write(one.terms, at, (bucket) => release(bucket, one.terms, one.taken));
      }
      reservations.set(id, { reservation: { ...reservation, state: 'released' }, taken });
    },

    look: (id) => reservations.get(id)?.reservation,

    settle: (id, used, at) => {
      const known = reservations.get(id);
      if (known === undefined) return 'unknown';
      if (known.reservation.state !== 'open') return 'already';
      known.taken.filter(isHeld).forEach((one, index) => {
        // What a shadow charge could not hold keeps its place and is settled by nothing.
        if (one.fitted) {
          const units = used[index] ?? one.taken.amount;
          write(one.terms, at, (bucket) => settle(bucket, one.terms, one.taken, units));
        }
      });
      reservations.set(id, { ...known, reservation: { ...known.reservation, state: 'settled', used } });
      return 'settled';
    },

    renew: (id, ttlMs, at) => {
      const known = reservations.get(id);
      if (known === undefined) return 'unknown';
      if (known.reservation.state !== 'open') return 'ended';
      let renewed = false;
      for (const { terms } of known.taken.filter(isHeld)) {
        write(terms, at, (bucket) => {
          if (renew(bucket, id, toMoment(terms, at).nowMs + ttlMs)) renewed = true;
        });
      }
      if (!renewed) return 'ended';
      const expiresMs = at.epochMs + ttlMs;
      reservations.set(id, { ...known, reservation: { ...known.reservation, expiresMs } });
      return 'renewed';
    },

    charge: (charges, at) => {
      for (const { hold: _hold, ...charge } of charges) {
        write(charge.terms, at, (bucket) => admit(bucket, charge, '', toMoment(charge.terms, at).nowMs));
      }
    },

    peek: (terms, at) => terms.map((one) => toState(open(one, at, false), one, toMoment(one, at), 0)),
    start: async () => {},
    stop: async () => {},
  };
}

interface TakenCharge {
  readonly terms: BucketTerms;
  readonly taken: Taken;
  /** `false` for a shadow charge that did not fit. */
  readonly fitted: boolean;
}

interface Kept {
  readonly reservation: Reservation;
  readonly taken: readonly TakenCharge[];
}

const NEVER_TOOK: Kept = {
  reservation: { state: 'open', plan: 0, note: '', amounts: [], expiresMs: 0 },
  taken: [],
};

function isHeld({ taken }: TakenCharge): boolean {
  return taken.onExpiry !== undefined;
}

/** Windows go by the calendar, all else by the clock that does not jump. */
function toMoment({ windows }: BucketTerms, { epochMs, monotonicMs }: Instant): Moment {
  if (windows === undefined) return { nowMs: Math.floor(monotonicMs), startMs: 0, endMs: 0 };
  const nowMs = Math.floor(epochMs);
  return { nowMs, ...windows.at(nowMs) };
}
