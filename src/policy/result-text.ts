import { isObject } from '../decision/json.ts';
import { toPlain } from './plain-result.ts';
import { RegoSet } from './values/set.ts';
import { parseRegoText } from './values/text.ts';

/**
 * Reads result sets in the engine's text form: `undefined` for an empty one, else the value as OPA's JSON has it, sets as
 * sorted lists and keys as texts. Integers beyond 2^53 are read as `bigint`. Throws when it is no result set.
 */
export type ReadResult = (text: string) => unknown;

/**
 * Makes the reader for one entrypoint: it remembers whether results hold what JSON cannot say, and what it read, because
 * few different results answer most requests. A value is therefore shared, and frozen through and through.
 */
export function createResultReader(): ReadResult {
  const read = createParser();
  const known = new Map<string, unknown>();
  return (text) => {
    if (text.length > MAX_KNOWN_LENGTH) return read(text);
    const before = known.get(text);
    if (before !== undefined) return before;
    const value = freeze(read(text));
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, value);
    return value;
  };
}

/** Bounds what an entrypoint remembers to some 500 kB. */
const MAX_KNOWN = 256;
const MAX_KNOWN_LENGTH = 1024;

function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}

function createParser(): ReadResult {
  let beyondJson = false;
  return (text) => {
    if (text === 'set()') return undefined;
    // The commonest result that JSON cannot say: `limits` that charges nothing.
    if (text === EMPTY_SET) return [];
    if (!beyondJson) {
      try {
        // A set of one object, which is JSON itself unless it holds a set or a key that is no text.
        const json = text.slice(1, -1);
        return resultOf(LONG_NUMBER.test(json) ? JSON.parse(json, exactIntegers) : JSON.parse(json));
      } catch {
        beyondJson = true;
      }
    }
    const results = parseRegoText(text);
    if (!(results instanceof RegoSet) || results.size !== 1) throw new Error('the policy engine gave no result');
    return resultOf(toPlain(results.list()[0] ?? null));
  };
}

function resultOf(first: unknown): unknown {
  if (!isObject(first) || !Object.hasOwn(first, 'result')) throw new Error('the policy engine gave no result');
  return first['result'];
}

const EMPTY_SET = '{{"result":set()}}';
const LONG_NUMBER = /[0-9]{16}/;
const INTEGER = /^-?[0-9]+$/;

function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? toNumber(context.source) : value;
}

function toNumber(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) || !INTEGER.test(text) ? value : BigInt(text);
}
