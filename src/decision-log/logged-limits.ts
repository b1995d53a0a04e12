import { UNITS } from '../decision/charge-terms.ts';
import type { LimitState } from '../decision/charges.ts';
import { quoteSafe } from '../telemetry/json-line.ts';

/**
 * How limits stood, under names that may be logged. All else of them is numbers, flags and words of ours, so that the
 * whole can be written without looking for what must not be.
 */
export class LoggedLimits {
  readonly #names: string[] = [];
  readonly #states: LimitState[] = [];

  add(name: string, state: LimitState): void {
    this.#names.push(name);
    this.#states.push(state);
  }

  /** As JSON; `undefined` when there are none. */
  write(): string | undefined {
    if (this.#states.length === 0) return undefined;
    let json = '';
    for (const [at, state] of this.#states.entries()) {
      json += `${at === 0 ? '{' : ','}${quoteSafe(this.#names[at] ?? '')}:${writeState(state)}`;
    }
    return `${json}}`;
  }

  /** As an object, for lists that keep only some of it. */
  toObject(): object {
    const limits: { [name: string]: object } = Object.create(null);
    for (const [at, state] of this.#states.entries()) {
      limits[this.#names[at] ?? ''] = { ...state, kind: known(KINDS, state.kind), unit: known(UNIT_NAMES, state.unit) };
    }
    return limits;
  }
}

function writeState(state: LimitState): string {
  const { kind, unit, limit, remaining, held, exceeded, shadow, verified, wait_ms: waitMs, reset_ms: resetMs } = state;
  const kindJson = KINDS.has(kind) ? `"kind":"${kind}",` : '';
  const unitJson = UNIT_NAMES.has(unit) ? `"unit":"${unit}",` : '';
  return (
    `{${kindJson}${unitJson}"limit":${number(limit)},"remaining":${number(remaining)},"held":${number(held)},` +
    `"wait_ms":${number(waitMs)},"reset_ms":${number(resetMs)},"exceeded":${exceeded === true},` +
    `"shadow":${shadow === true},"verified":${verified === true}}`
  );
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

function known(words: ReadonlySet<string>, word: string): string | undefined {
  return words.has(word) ? word : undefined;
}

const KINDS: ReadonlySet<string> = new Set(['rate', 'window', 'concurrency']);
const UNIT_NAMES: ReadonlySet<string> = new Set(UNITS);
