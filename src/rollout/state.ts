/** What of rollouts outlives a restart. */
export interface RolloutState {
  /** Of the arms; absent where config names one. */
  readonly salt: string;
  /** Taken back once: not tried again without a person's word. */
  readonly refused: readonly RefusedCandidate[];
  /** Digests that a person let in again: they pause where they would be taken back. */
  readonly pardoned: readonly string[];
  /** A verified caller had a tenant. */
  readonly tenants?: true;
  /** The newest wall-clock time that was seen, in epoch milliseconds: nothing is judged by an earlier one. */
  readonly newestEpochMs?: number;
  readonly pin?: PinnedTo;
  /** Absent where nothing is under trial. */
  readonly trial?: TrialState;
}

export interface RefusedCandidate {
  readonly sha256: string;
  readonly revision: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
}

/** To what is in force, or to one candidate. */
export type PinnedTo = { readonly to: 'stable' } | { readonly to: 'candidate'; readonly sha256: string };

export interface TrialState {
  readonly sha256: string;
  readonly step: number;
  readonly elapsedMs: number;
  /** Of the verified tenants, as it stood. */
  readonly percent: number;
  /** Whose callers these are, where it took the place of another candidate that decided for them. */
  readonly armsOf?: string;
  readonly paused?: string;
}

export const MAX_REFUSED = 256;

export function writeState(state: RolloutState): string {
  return `${JSON.stringify({ format: FORMAT, ...state }, undefined, 1)}\n`;
}

/** Throws an `Error` for whatever was not written by {@link writeState}. */
export function parseState(text: string): RolloutState {
  const value: unknown = JSON.parse(text);
  const { format, salt, refused, pardoned, tenants, newestEpochMs, pin, trial } = members(value, 'the state');
  if (format !== FORMAT) throw new Error('`format` is unknown');
  return {
    salt: textOf(salt, 'salt'),
    refused: listOf(refused, 'refused').map((one) => {
      const { sha256, revision, reason, at } = members(one, 'refused');
      return {
        sha256: digestOf(sha256),
        revision: textOf(revision, 'revision'),
        reason: textOf(reason, 'reason'),
        at: textOf(at, 'at'),
      };
    }),
    pardoned: listOf(pardoned, 'pardoned').map(digestOf),
    ...(tenants === true ? { tenants } : {}),
    ...(newestEpochMs === undefined ? {} : { newestEpochMs: wholeOf(newestEpochMs, 'newestEpochMs', MAX_EPOCH_MS) }),
    ...(pin === undefined ? {} : { pin: parsePin(pin) }),
    ...(trial === undefined ? {} : { trial: parseTrial(trial) }),
  };
}

const FORMAT = 1;
/** The last moment that a `Date` can name (ECMA-262 §21.4.1.1). */
const MAX_EPOCH_MS = 8.64e15;
const DIGEST = /^[0-9a-f]{64}$/;

function parsePin(value: unknown): PinnedTo {
  const { to, sha256 } = members(value, 'pin');
  if (to === 'stable') return { to };
  if (to === 'candidate') return { to, sha256: digestOf(sha256) };
  throw new Error('`pin.to` is unknown');
}

function parseTrial(value: unknown): TrialState {
  const { sha256, step, elapsedMs, percent, armsOf, paused } = members(value, 'trial');
  return {
    sha256: digestOf(sha256),
    step: wholeOf(step, 'step', 1_000),
    elapsedMs: wholeOf(elapsedMs, 'elapsedMs', Number.MAX_SAFE_INTEGER),
    percent: numberOf(percent, 'percent', 100),
    ...(armsOf === undefined ? {} : { armsOf: digestOf(armsOf) }),
    ...(paused === undefined ? {} : { paused: textOf(paused, 'paused') }),
  };
}

function members(value: unknown, name: string): { readonly [member: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`\`${name}\` is no object`);
  // An object that came of JSON text: its members are named by texts.
  return value as { readonly [member: string]: unknown };
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > MAX_REFUSED) throw new Error(`\`${name}\` is no list`);
  return value;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`\`${name}\` is no text`);
  return value;
}

function digestOf(value: unknown): string {
  if (typeof value !== 'string' || !DIGEST.test(value)) throw new Error('a digest is not 64 hex digits');
  return value;
}

function numberOf(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= max)) throw new Error(`\`${name}\` is out of range`);
  return value;
}

function wholeOf(value: unknown, name: string, max: number): number {
  const number = numberOf(value, name, max);
  if (!Number.isInteger(number)) throw new Error(`\`${name}\` is no whole number`);
  return number;
}
