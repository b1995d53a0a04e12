/** What a bucket is counted by. `id` is its identity (name, unit, kind, period, key) and says nothing of its size. */
export interface BucketTerms {
  /** Length-prefixed, so that no two buckets have the same text. */
  readonly id: string;
  /** The identity without the key (name, unit, kind, period or calendar and zone): what a full memory store counts newcomers by. */
  readonly family?: string;
  readonly kind: 'rate' | 'window' | 'concurrency';
  /** Whole units: what a rate refills in each period, what a window or a concurrency limit holds. */
  readonly limit: number;
  /** The most that fits at once; the limit, but for rates. */
  readonly burst: number;
  /** Of a rate; 1 for the others, whose level is in whole units. */
  readonly periodMs: number;
  /** Of a window. */
  readonly windows?: Windows;
  /** Keys that anybody can make up (addresses) never crowd out those of verified callers. */
  readonly region: 'callers' | 'outsiders';
  /** `shared`: counted across tenants. */
  readonly scope: 'tenant' | 'shared';
  /** As in a reservation id: buckets of one tag are on one machine of a store that is spread over several. */
  readonly tag?: string;
}

/** A calendar's windows: one starts where another ends. */
export interface Windows {
  /** The window that holds a moment, in milliseconds since the epoch. */
  at(epochMs: number): WindowSpan;
}

export interface WindowSpan {
  readonly startMs: number;
  readonly endMs: number;
}

/** What a store is asked to take from one bucket. */
export interface BucketCharge {
  readonly terms: BucketTerms;
  readonly cost: number;
  /** A shadow charge that does not fit is not taken, and refuses nothing. */
  readonly enforced: boolean;
  /** Whether a release gives it back. */
  readonly refundable: boolean;
  /** Held and not charged; always there for a concurrency limit. */
  readonly hold?: {
    readonly ttlMs: number;
    readonly onExpiry: 'charge' | 'release';
    /** Until the rest of a plan is taken on other machines: its reservation knows it as a charge. */
    readonly provisional?: true;
  };
}

/** A bucket as it is counted. Mutable: the arithmetic works on a copy that the store reads out and writes back. */
export interface Bucket {
  /**
   * What is used, as an integer: of a rate in units × `periodMs`, so that it drains by `drain` in each millisecond; of a
   * window in units; of a concurrency limit 0.
   */
  level: number;
  /** Of a rate: when `level` was true. Of a window: the start of the window that it counts. */
  atMs: number;
  /** The limit by which a rate drains since `atMs`: a new size counts from the first take or charge under it. */
  drain: number;
  /** The sum of `holds`. */
  held: number;
  /** In the order in which they expire. */
  holds: Hold[];
  /** Counts the writes. */
  version: number;
}

export interface Hold {
  /** Of the reservation. */
  readonly id: string;
  readonly amount: number;
  readonly deadlineMs: number;
  readonly onExpiry: 'charge' | 'release';
}

/** What is said of a bucket in an answer. */
export interface BucketState {
  readonly limit: number;
  /** Whole units that still fit. */
  readonly remaining: number;
  readonly held: number;
  /** Whether the cost fitted. */
  readonly fits: boolean;
  /** Until the cost fits if nothing else is taken; 0 where it fitted, 2^53 − 1 where it never will. */
  readonly waitMs: number;
  /** Until nothing of it is used, holds counted as used. */
  readonly resetMs: number;
  /** Of the bucket after the take, or as it was found where nothing was taken: witnesses of the order of takes. */
  readonly version: number;
  readonly level: number;
}
