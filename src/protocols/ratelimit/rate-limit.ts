/**
 * What the door asks, and what it is answered: neutral between Envoy's wire and whatever counts. A request is never
 * changed, and the same bytes may be the same object: what is found out about it can be kept by it.
 */
export interface RateLimitRequest {
  readonly domain: string;
  /** At least one. */
  readonly descriptors: readonly RateLimitDescriptor[];
  /** Whether a descriptor gives hits back or brings its own limit, which few callers may ask for. */
  readonly privileged: boolean;
}

export interface RateLimitDescriptor {
  /** At least one; keys are not empty. */
  readonly entries: readonly DescriptorEntry[];
  /** How many hits are counted, an integer from 0 to 2^53 − 1; 0 only looks. */
  readonly hits: number;
  /** The hits are given back. */
  readonly negative: boolean;
  /** Stands in for the limit that the entries would match. */
  readonly override?: DescriptorOverride;
}

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

export interface DescriptorOverride {
  readonly requestsPerUnit: number;
  readonly unit: RateLimitUnit;
}

/** Envoy's units of time; a month has 30 days and a year 365 (envoyproxy/ratelimit). */
export type RateLimitUnit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';

/** `undecided`: nobody could say; `cause` is for logs. */
export type RateLimitAnswer =
  | {
      readonly kind: 'decided';
      readonly overLimit: boolean;
      /** One for each descriptor, in order. */
      readonly statuses: readonly RateLimitStatus[];
    }
  | { readonly kind: 'undecided'; readonly cause: string };

export interface RateLimitStatus {
  readonly overLimit: boolean;
  /** Absent where no limit speaks of the descriptor. */
  readonly limit?: CurrentLimit;
  readonly remaining: number;
  readonly resetMs: number;
}

export interface CurrentLimit {
  /** As the rules name it; empty where they do not. */
  readonly name: string;
  readonly requestsPerUnit: number;
  /** Absent where the period is none of Envoy's. */
  readonly unit?: RateLimitUnit;
}

/** Counts a request and says whether it may pass. */
export type Limit = (request: RateLimitRequest) => RateLimitAnswer | Promise<RateLimitAnswer>;
