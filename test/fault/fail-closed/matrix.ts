import type { CoreCode } from '../../../src/decision/errors.ts';

/** What Sallyport depends on. */
export const DEPENDENCIES = [
  'JWKS',
  'quota store',
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
  'quota store': {
    down: 'deny quota_unavailable',
    slow: 'deny deadline',
    hang: 'deny deadline',
    garbage: 'deny internal',
    partial: 'deny internal',
    reset: 'deny internal',
    full: 'deny quota_unavailable',
    'wrong version': 'deny internal',
    // The store is well and the event loop was not: the answer is judged by the clock, not by the timer.
    stalled: 'deny deadline',
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
