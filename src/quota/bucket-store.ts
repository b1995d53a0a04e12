import type { Instant } from '../decision/ports.ts';
import type { BucketCharge, BucketState, BucketTerms } from './bucket.ts';

/**
 * Where buckets are counted. Every method is one atomic step; one that cannot be carried out throws a {@link StoreFault}.
 * `memory` answers at once, `redis` with a promise. `test/contract/bucket-store.suite.ts` is what each must pass.
 */
export interface BucketStore {
  /**
   * Takes the first plan whose enforced charges all fit, the whole of it, or nothing: what is refused writes nothing, but
   * for the time of a bucket whose clock was set back.
   * With an id that took already it answers `duplicate`, with one that was released beforehand `released`; both take
   * nothing.
   */
  take(request: StoreTake, at: Instant): StoreTaken | Promise<StoreTaken>;
  /**
   * Gives back what a take charged or holds. `charges` are those of the taken plan, as they were passed. Idempotent; an
   * id that never took is marked, so that a take that arrives later takes nothing. With a receipt it is for the caller to
   * ask only once, and the id says nothing.
   */
  release(id: string, charges: readonly BucketCharge[], at: Instant, receipt?: Receipt): void | Promise<void>;
  /** What is known of a reservation; `undefined` when nothing is. */
  look(id: string, at: Instant): Reservation | undefined | Promise<Reservation | undefined>;
  /** Replaces holds by what was used, `used` in the order of {@link Reservation.amounts}; the first settle counts. */
  settle(id: string, used: readonly number[], at: Instant): Settled | Promise<Settled>;
  /** Puts off the end of all holds of a reservation to `ttlMs` from now. */
  renew(id: string, ttlMs: number, at: Instant): Renewed | Promise<Renewed>;
  /** Charges without asking whether it fits: what was spent while nobody could ask. A negative cost gives back. */
  charge(charges: readonly BucketCharge[], at: Instant): void | Promise<void>;
  /** Says how buckets stand, for a cost of 0, and changes nothing. */
  peek(buckets: readonly BucketTerms[], at: Instant): readonly BucketState[] | Promise<readonly BucketState[]>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface StoreTake {
  /** Chosen before the call; a reservation id, see `reservation-id.ts`. */
  readonly id: string;
  readonly plans: readonly (readonly BucketCharge[])[];
  /** The id was made for this take: nobody can have used it before. */
  readonly fresh?: boolean;
  /**
   * Where it holds nothing, nobody will name the id again but a release, once, with the answer's receipt: a store may
   * leave it unrecorded.
   */
  readonly unrecorded?: boolean;
  /** The plans hold nothing and are asked again and again, the same object each time: what is made of them may be kept. */
  readonly repeated?: boolean;
  /** What a later settle must know, kept with the holds: at most 1 KiB of text. Read only where a charge holds. */
  readonly note: string;
  /** A part of a take: to be recorded for so long and the horizon even where it holds nothing. */
  readonly recordMs?: number;
}

export type StoreTaken =
  | {
      readonly kind: 'taken';
      readonly plan: number;
      readonly states: readonly BucketState[];
      /** Of a take that was left unrecorded. */
      readonly receipt?: Receipt;
    }
  /** The states of every plan, in order. */
  | { readonly kind: 'exceeded'; readonly states: readonly (readonly BucketState[])[] }
  | { readonly kind: 'duplicate' | 'released' };

/** What a store must know to give back a take that it did not record: the only proof of it, good for one release. */
export interface Receipt {
  /** Bit `n`: charge `n` of the plan was taken. */
  readonly taken: number;
  /** Bit `n`: from a bucket that newcomers share. */
  readonly shared: number;
  /** When. */
  readonly epochMs: number;
}

export interface Reservation {
  readonly state: 'open' | 'settled' | 'released';
  /** Which plan was taken. */
  readonly plan: number;
  readonly note: string;
  /** What each charge of the taken plan that holds was taken for, in order. */
  readonly amounts: readonly number[];
  /** When the last of the holds ends, or ended, in milliseconds since the epoch. */
  readonly expiresMs: number;
  /** What it was settled with. */
  readonly used?: readonly number[];
}

/** `already`: it was settled or released before, and nothing changed. */
export type Settled = 'settled' | 'already' | 'unknown';
/** `ended`: the hold is over. */
export type Renewed = 'renewed' | 'ended' | 'unknown';

/**
 * Why a store did not answer. `unknown_outcome`: it may have taken. `overloaded`: this process had no time for its
 * answer. `full`: no room for another bucket or hold. `cold`: it lost what it knew and waits. `refused`: it is there and
 * will not (read only, out of memory, no right, wrong script answer). `unreachable`: there is no connection.
 */
export type StoreFaultReason = 'unknown_outcome' | 'overloaded' | 'full' | 'cold' | 'refused' | 'unreachable';

export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  readonly reason: StoreFaultReason;

  constructor(reason: StoreFaultReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
