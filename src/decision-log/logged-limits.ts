import { UNITS } from '../decision/charge-terms.ts';
import type { LimitState } from '../decision/charges.ts';
import { ownText } from '../decision/own-text.ts';
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
    for (const [at, state] of this.#states.entries()) json += writeLimit(this.#names[at] ?? '', state, at === 0);
    return `{${json}}`;
  }

  /** As an object, for lists that keep only some of it. */
  toObject(): object {
    const limits: { [name: string]: object } = Object.create(null);
    for (const [at, state] of this.#states.entries()) {
      limits[this.#names[at] ?? ''] = {
        ...state,
        kind: knownText(KINDS, state.kind),
        unit: knownText(UNIT_NAMES, state.unit),
      };
    }
    return limits;
  }
}

/** One member of `limits`, with the comma before it unless it is the first: of pieces that are as long as they can be. */
export function writeLimit(name: string, state: LimitState, first: boolean): string {
  const head = headOf(name, state);
  return (first ? head.json : head.further) + number(state.remaining) + tailOf(state);
}

/** What follows what is left. Nearly always it is one of a few texts. */
function tailOf(state: LimitState): string {
  const { held, wait_ms: waitMs, reset_ms: resetMs } = state;
  if (held !== 0 || waitMs !== 0 || state.exceeded || state.shadow || state.verified !== true) return writeTail(state);
  const known = FREE_TAILS[resetMs];
  if (known !== undefined) return known;
  const tail = writeTail(state);
  if (Number.isInteger(resetMs) && resetMs >= 0 && resetMs < MAX_TAILS) FREE_TAILS[resetMs] = ownText(tail);
  return tail;
}

function writeTail({ held, wait_ms: waitMs, reset_ms: resetMs, exceeded, shadow, verified }: LimitState): string {
  const free = `,"held":${number(held)},"wait_ms":${number(waitMs)},"reset_ms":${number(resetMs)}`;
  return `${free},"exceeded":${exceeded === true},"shadow":${shadow === true},"verified":${verified === true}}`;
}

/** Where nothing is held or waited for: by the milliseconds until all is there again. */
const MAX_TAILS = 1024;
const FREE_TAILS: (string | undefined)[] = Array.from({ length: MAX_TAILS }, () => undefined);

interface Head {
  readonly kind: string;
  readonly unit: string;
  readonly limit: number;
  /** Up to what is left of it. */
  readonly json: string;
  /** With a comma before it. */
  readonly further: string;
}

/** By name, which may be logged: what was last said of it that seldom changes. */
const HEADS = new Map<string, Head>();
const MAX_HEADS = 512;
const LONGEST_HEAD = 256;

function headOf(name: string, { kind, unit, limit }: LimitState): Head {
  const known = HEADS.get(name);
  if (known !== undefined && known.kind === kind && known.unit === unit && known.limit === limit) return known;
  const kindJson = KINDS.has(kind) ? `"kind":"${kind}",` : '';
  const unitJson = UNIT_NAMES.has(unit) ? `"unit":"${unit}",` : '';
  const json = ownText(`${quoteSafe(name)}:{${kindJson}${unitJson}"limit":${number(limit)},"remaining":`);
  const head = { kind, unit, limit, json, further: ownText(`,${json}`) };
  if (json.length > LONGEST_HEAD) return head;
  if (HEADS.size >= MAX_HEADS) HEADS.clear();
  HEADS.set(name, head);
  return head;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

function knownText(words: ReadonlySet<string>, word: string): string | undefined {
  return words.has(word) ? word : undefined;
}

const KINDS: ReadonlySet<string> = new Set(['rate', 'window', 'concurrency']);
const UNIT_NAMES: ReadonlySet<string> = new Set(UNITS);
