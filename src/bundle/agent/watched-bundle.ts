import type { Bundle, ReadBundle } from '../bundle.ts';
import type { BundleClaims } from '../signing/claims.ts';
import type { BundleSource } from '../source.ts';
import type { OrderSource } from '../sources/order-source.ts';
import type { Authority } from './authority.ts';
import type { CompileRego } from './compile-rego.ts';
import type { KeptArchive } from './kept-copies.ts';
import type { StaleCause, StalePolicy } from './staleness.ts';

/** One bundle of the generation: where it comes from, and what makes it believed. */
export interface WatchedBundle {
  readonly source: BundleSource;
  readonly authority: Authority;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** How long the source may hold an answer; absent: not at all. */
  readonly longPollSeconds?: number;
  readonly stale?: StalePolicy;
  /** Reads an archive that is believed, off the event loop where that takes long; absent: here and at once. */
  readonly read?: ReadBundle | undefined;
  /** For a bundle that holds Rego only; absent: such a one is refused. */
  readonly compile?: CompileRego | undefined;
  /** Where something to be tried beside it comes from. */
  readonly trial?: TrialSource | undefined;
}

export type TrialSource =
  | { readonly kind: 'local'; readonly source: BundleSource; readonly authority: Authority }
  | { readonly kind: 'orders'; readonly orders: OrderSource; readonly archive: (sha256: string) => BundleSource };

/** A bundle that is believed, with what has to be kept so that it can be verified again. */
export interface Believed {
  readonly bundle: Bundle;
  readonly claims?: BundleClaims;
  readonly archives: readonly KeptArchive[];
  readonly etag?: string;
  /** It came from this machine's own copy: it was in force before. */
  readonly kept: boolean;
  /** What the pin names, where it was promoted in the place of that: the source's word for that changes nothing. */
  readonly supersedes?: string;
}

export interface BundleFault {
  readonly code: string;
  readonly message: string;
  readonly atEpochMs: number;
}

export interface BundleStatus {
  /** In force; absent before the first activation. */
  readonly revision?: string;
  readonly sha256?: string;
  /** As signed; absent under a pin. */
  readonly version?: number;
  readonly activatedAtEpochMs?: number;
  /** When the source was last asked, and when it last gave an archive. */
  readonly requestedAtEpochMs?: number;
  readonly downloadedAtEpochMs?: number;
  /** Since the source last confirmed what is in force. */
  readonly ageMs?: number;
  readonly stale?: StaleCause;
  /** Of the newest attempt; absent when that went well. */
  readonly lastError?: BundleFault;
  /** What is tried beside it, or could not be. */
  readonly candidate?: CandidateStatus;
}

export interface CandidateStatus {
  readonly sha256?: string;
  readonly revision?: string;
  readonly version?: number;
  /** Handed to the rollout. */
  readonly staged: boolean;
  readonly orderVersion?: number;
  readonly lastError?: BundleFault;
}
