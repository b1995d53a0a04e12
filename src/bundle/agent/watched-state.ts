import type { Instant } from '../../decision/ports.ts';
import type { PollResult } from '../poller.ts';
import { type StaleCause, staleCauseOf, WARN_ONLY } from './staleness.ts';
import type { TrialCandidate } from './trial-candidate.ts';
import type { Believed, BundleFault, BundleStatus, WatchedBundle } from './watched-bundle.ts';

/** One watched bundle with what became of it; the activator alone writes it. */
export interface Watched extends WatchedBundle {
  readonly name: string;
  /** The newest that is believed, in force or not. */
  offered?: Believed;
  active?: Believed;
  activatedAtEpochMs?: number;
  requestedAtEpochMs?: number;
  downloadedAtEpochMs?: number;
  /** Of the version in force only: a version that was refused is to be downloaded again. */
  etag?: string | undefined;
  /** How old the source's word was at a moment of the monotonic clock. */
  confirmed?: { readonly ageMs: number; readonly monotonicMs: number };
  /** The source has answered since the start. */
  heard: boolean;
  lastError?: BundleFault | undefined;
  /** The attempt under way: an older answer of a source never replaces a newer one. */
  attempt: Promise<unknown>;
  trialAttempt: Promise<unknown>;
  /** Ends a long poll that is under way. */
  interrupt: AbortController;
  candidate?: TrialCandidate | undefined;
  /** Writing its copy and its mark. */
  keeping: Promise<void>;
  /** When that was last tried. */
  triedAtMonotonicMs?: number;
}

/**
 * When the source is asked next, after an answer: at once where it holds answers, so that one is always under way; at the
 * usual time where it was asked to hold one and did not.
 */
export function afterAnswer(
  { longPollSeconds = 0 }: Pick<WatchedBundle, 'longPollSeconds'>,
  answer: { readonly waitSeconds: number; readonly tookMs: number; readonly changed: boolean },
): PollResult {
  if (longPollSeconds === 0) return 'good';
  return answer.waitSeconds === 0 || answer.changed || answer.tookMs >= HELD_MS ? 'again' : 'good';
}

const HELD_MS = 500;

export function toWatched(name: string, bundle: WatchedBundle): Watched {
  return {
    name,
    ...bundle,
    heard: false,
    attempt: Promise.resolve(),
    trialAttempt: Promise.resolve(),
    interrupt: new AbortController(),
    keeping: Promise.resolve(),
  };
}

/** Since the source last confirmed what is in force; 0 before anything is. */
export function ageOf({ confirmed }: Watched, { monotonicMs }: Instant): number {
  return confirmed === undefined ? 0 : confirmed.ageMs + (monotonicMs - confirmed.monotonicMs);
}

export function staleOf(one: Watched, at: Instant): StaleCause | undefined {
  if (one.active === undefined) return undefined;
  return staleCauseOf({
    policy: one.stale ?? WARN_ONLY,
    ageMs: ageOf(one, at),
    expiresEpochS: one.active.claims?.expiresEpochS,
    nowEpochS: one.authority.nowEpochS(),
  });
}

export function toStatus(one: Watched, at: Instant): BundleStatus {
  const { active, activatedAtEpochMs, requestedAtEpochMs, downloadedAtEpochMs, confirmed, lastError } = one;
  const version = active?.claims?.version;
  const stale = staleOf(one, at);
  const candidate = one.candidate?.status();
  return {
    ...(active === undefined ? {} : { revision: active.bundle.revision, sha256: active.bundle.sha256 }),
    ...(version === undefined ? {} : { version }),
    ...(activatedAtEpochMs === undefined ? {} : { activatedAtEpochMs }),
    ...(requestedAtEpochMs === undefined ? {} : { requestedAtEpochMs }),
    ...(downloadedAtEpochMs === undefined ? {} : { downloadedAtEpochMs }),
    ...(confirmed === undefined ? {} : { ageMs: ageOf(one, at) }),
    ...(stale === undefined ? {} : { stale }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(candidate === undefined ? {} : { candidate }),
  };
}
