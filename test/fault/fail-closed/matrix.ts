import type { CoreCode } from '../../../src/decision/errors.ts';

/** What Sallyport depends on. */
export const DEPENDENCIES = [
  'JWKS',
  'quota store',
  'quota store, local_share',
  'quota store, allow',
  'quota store, money that says allow',
  'quota store, never seen',
  'quota store in memory',
  'data_dir',
  'bundle source',
  'disk',
  'clock',
  'policy engine',
  'config',
  'log sink',
  'event loop',
] as const;

/** How a dependency fails. */
export const FAULTS = [
  'down',
  'slow',
  'hang',
  'garbage',
  'partial',
  'reset',
  'full',
  'wrong version',
  'stalled',
] as const;

export type Dependency = (typeof DEPENDENCIES)[number];
export type Fault = (typeof FAULTS)[number];

/** What must come of a fault, in the words in which a trial tells what came of it. */
export type Wanted =
  /** Both doors deny with this code, each before its caller's deadline. */
  | `deny ${CoreCode}`
  /** Both doors deny although the core itself could not decide. */
  | 'deny, by the door'
  /** So many pass on the local share, each counted and logged; both doors deny the next. */
  | `${number} unverified, then deny ${CoreCode}`
  /** All pass, as the charge and the config say, each counted and logged. */
  | 'every one unverified'
  /** Nothing that could not be written is acknowledged. */
  | 'settle 503, windows denied, and well again after'
  /** The service does not start, and leaves this exit code behind. */
  | `exit ${number}`
  /** Nothing listens while the fault lasts, then the service does not start. */
  | `no door, then exit ${number}`
  /** Requests are answered as without the fault; events written and events counted as dropped are all there were. */
  | 'same answers, every event accounted for'
  /** Envoy denies every request by itself, the granted ones too; none arrives at the upstream. */
  | 'denied by Envoy, nothing upstream'
  /** Whatever is not granted is denied while it lasts, and the service decides again once it is over. */
  | 'nothing forbidden upstream, and well again after';

export interface NotApplicable {
  readonly notApplicable: string;
}

export type Cell = Wanted | NotApplicable;

/** SECURITY row 3: every dependency with every fault; to leave one out breaks the build. */
export const MATRIX: Readonly<Record<Dependency, Readonly<Record<Fault, Cell>>>> = {
  JWKS: {
    down: 'deny issuer_unavailable',
    slow: 'deny issuer_unavailable',
    hang: 'deny issuer_unavailable',
    garbage: 'deny issuer_unavailable',
    partial: 'deny issuer_unavailable',
    reset: 'deny issuer_unavailable',
    full: 'deny issuer_unavailable',
    // A set with another key of the same id: the token is judged by it, and does not hold.
    'wrong version': 'deny invalid_credential',
    // It answered once: the last good set holds up to its maximum age, and not longer.
    stalled: 'deny issuer_unavailable',
  },
  // The real Redis store behind the real limiter; what is taken too late is given back.
  'quota store': {
    down: 'deny quota_unavailable',
    slow: 'deny quota_unavailable',
    hang: 'deny quota_unavailable',
    garbage: 'deny quota_unavailable',
    partial: 'deny quota_unavailable',
    reset: 'deny quota_unavailable',
    full: 'deny quota_unavailable',
    'wrong version': 'deny quota_unavailable',
    // The store is well and the event loop was not: nothing is known against the store.
    stalled: 'deny overloaded',
  },
  // Of a limit of 20 the share of one half, once.
  'quota store, local_share': {
    down: '10 unverified, then deny quota_unavailable',
    slow: '10 unverified, then deny quota_unavailable',
    hang: '10 unverified, then deny quota_unavailable',
    garbage: '10 unverified, then deny quota_unavailable',
    partial: '10 unverified, then deny quota_unavailable',
    reset: '10 unverified, then deny quota_unavailable',
    // A store that has no room answers: made-up keys may be why, and a share would let them pass.
    full: 'deny quota_unavailable',
    'wrong version': '10 unverified, then deny quota_unavailable',
    stalled: 'deny overloaded',
  },
  // `quota.failure.allow` is on.
  'quota store, allow': {
    down: 'every one unverified',
    slow: 'every one unverified',
    hang: 'every one unverified',
    garbage: 'every one unverified',
    partial: 'every one unverified',
    reset: 'every one unverified',
    full: 'every one unverified',
    'wrong version': 'every one unverified',
    stalled: 'deny overloaded',
  },
  'quota store, money that says allow': {
    down: 'deny quota_unavailable',
    slow: 'deny quota_unavailable',
    hang: 'deny quota_unavailable',
    garbage: 'deny quota_unavailable',
    partial: 'deny quota_unavailable',
    reset: 'deny quota_unavailable',
    full: 'deny quota_unavailable',
    'wrong version': 'deny quota_unavailable',
    stalled: 'deny overloaded',
  },
  // The charge says `local_share`, and what the share is part of is not known.
  'quota store, never seen': {
    down: 'deny quota_unavailable',
    slow: 'deny quota_unavailable',
    hang: 'deny quota_unavailable',
    garbage: 'deny quota_unavailable',
    partial: 'deny quota_unavailable',
    reset: 'deny quota_unavailable',
    full: 'deny quota_unavailable',
    'wrong version': 'deny quota_unavailable',
    stalled: { notApplicable: 'a stall at the start is a late start' },
  },
  'quota store in memory': {
    // Not started.
    down: 'deny quota_unavailable',
    slow: { notApplicable: 'it answers at once; a lock that is not free is `stalled`' },
    hang: { notApplicable: 'it answers at once; a lock that is not free is `stalled`' },
    garbage: { notApplicable: 'its files are read at the start only (`data_dir`)' },
    // Of a window whose journal was cut off, and of one that cannot be written.
    partial: 'deny quota_unavailable',
    reset: 'deny quota_unavailable',
    full: 'deny quota_unavailable',
    'wrong version': { notApplicable: 'it is part of this process' },
    stalled: 'deny overloaded',
  },
  data_dir: {
    down: 'exit 1',
    slow: { notApplicable: 'usage is acknowledged when it is synced, however late; windows are `event loop`' },
    hang: { notApplicable: 'usage that is never synced is never acknowledged; windows are `event loop`' },
    garbage: 'exit 1',
    partial: 'exit 1',
    // Another process has it.
    reset: 'exit 1',
    full: 'settle 503, windows denied, and well again after',
    'wrong version': { notApplicable: 'each line says what it is, and one that does not is quarantined' },
    stalled: { notApplicable: 'as `hang`' },
  },
  'bundle source': {
    down: 'deny no_bundle',
    slow: 'deny no_bundle',
    hang: 'deny no_bundle',
    garbage: 'deny no_bundle',
    partial: 'deny no_bundle',
    reset: 'deny no_bundle',
    full: 'deny no_bundle',
    'wrong version': 'deny no_bundle',
    stalled: 'deny no_bundle',
  },
  disk: {
    down: 'exit 4',
    slow: 'deny issuer_unavailable',
    hang: 'deny issuer_unavailable',
    garbage: 'exit 4',
    partial: 'exit 4',
    // The key file was read once, then every reading fails.
    reset: 'deny issuer_unavailable',
    full: 'same answers, every event accounted for',
    'wrong version': 'exit 4',
    // As `reset`, but the readings begin and never end.
    stalled: 'deny issuer_unavailable',
  },
  clock: {
    down: 'deny internal',
    slow: 'deny invalid_credential',
    hang: 'deny deadline',
    garbage: 'deny invalid_credential',
    partial: 'deny invalid_credential',
    reset: 'deny invalid_credential',
    full: 'deny invalid_credential',
    'wrong version': 'deny invalid_credential',
    stalled: 'deny deadline',
  },
  'policy engine': {
    down: 'deny policy_error',
    slow: 'deny deadline',
    hang: {
      notApplicable:
        'Rego ends; an evaluation that takes long holds the event loop, which is judged there (`event loop`, `hang`)',
    },
    garbage: 'deny invalid_verdict',
    partial: 'deny invalid_verdict',
    reset: 'deny policy_error',
    full: 'deny policy_error',
    'wrong version': 'deny invalid_verdict',
    // Closed between `limits` and `decision`.
    stalled: 'deny policy_error',
  },
  config: {
    down: 'exit 3',
    slow: { notApplicable: 'it is read whole before anything starts: a slow reading is a late start' },
    hang: 'no door, then exit 3',
    garbage: 'exit 3',
    partial: 'exit 3',
    // The environment that it names is gone.
    reset: 'exit 3',
    // A few lines that stand for more than memory holds.
    full: 'exit 3',
    'wrong version': 'exit 3',
    stalled: { notApplicable: 'it is read once: what becomes of the file afterwards changes nothing' },
  },
  'log sink': {
    // A path at which no file can be: told before anything starts.
    down: 'exit 3',
    slow: 'same answers, every event accounted for',
    hang: 'same answers, every event accounted for',
    garbage: 'same answers, every event accounted for',
    partial: 'same answers, every event accounted for',
    reset: 'same answers, every event accounted for',
    full: 'same answers, every event accounted for',
    'wrong version': { notApplicable: 'a sink takes lines and answers nothing that could be of another version' },
    stalled: 'same answers, every event accounted for',
  },
  'event loop': {
    down: 'denied by Envoy, nothing upstream',
    slow: 'nothing forbidden upstream, and well again after',
    hang: 'denied by Envoy, nothing upstream',
    garbage: { notApplicable: 'a loop hands on what others made and makes nothing itself' },
    partial: { notApplicable: 'it turns or does not: half of its turns is `slow`' },
    // Killed while checks wait for their answer.
    reset: 'denied by Envoy, nothing upstream',
    full: 'deny overloaded',
    'wrong version': { notApplicable: 'it comes with Node, whose version `npm start` and the image fix' },
    stalled: 'nothing forbidden upstream, and well again after',
  },
};

/** Brings one fault about and tells what came of it. */
export type Trial = () => Promise<string>;

/** The trials of one dependency. `healthy` makes the same attempt without a fault, which must pass. */
export interface Trials {
  readonly healthy: Trial;
  readonly faults: Readonly<Partial<Record<Fault, Trial>>>;
}
