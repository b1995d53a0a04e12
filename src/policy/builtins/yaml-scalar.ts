import { isNumber, numberOf, numberOfBigInt, numberText } from '../values/number.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { parseTime } from './time-parse.ts';

/** What a scalar is: by its text alone, or by its tag where it has one. */
export type YamlResolved =
  | { readonly tag: '!!null'; readonly value: null }
  | { readonly tag: '!!bool'; readonly value: boolean }
  | { readonly tag: '!!int'; readonly value: NumberValue }
  /** It may be infinite, or no number. */
  | { readonly tag: '!!float'; readonly value: number }
  | { readonly tag: '!!timestamp' | '!!str'; readonly value: string };

const WORDS: ReadonlyMap<string, YamlResolved> = new Map<string, YamlResolved>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, { tag: '!!null', value: null }] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, { tag: '!!bool', value: true }] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, { tag: '!!bool', value: false }] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, { tag: '!!float', value: Number.NaN }] as const),
  ...['.inf', '.Inf', '.INF'].flatMap((word) => [
    [word, { tag: '!!float', value: Number.POSITIVE_INFINITY }] as const,
    [`+${word}`, { tag: '!!float', value: Number.POSITIVE_INFINITY }] as const,
    [`-${word}`, { tag: '!!float', value: Number.NEGATIVE_INFINITY }] as const,
  ]),
]);

const NUMERIC_START = /^[-+.0-9]/;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const FLOAT = /^[-+]?(?:[.][0-9]+|[0-9]+(?:[.][0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const DATE = /^[0-9]{4}-/;

/** As Go lays them out; all begin with the year. */
const TIMESTAMPS = ['2006-1-2T15:4:5.999999999Z07:00', '2006-1-2t15:4:5.999999999Z07:00'].concat(
  '2006-1-2 15:4:5.999999999',
  '2006-1-2',
);

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/**
 * What a plain scalar of YAML means, as go-yaml's third version has it. The words for booleans of YAML 1.1 are texts;
 * integers beyond 64 bits are doubles.
 */
export function resolvePlain(text: string): YamlResolved {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (!NUMERIC_START.test(text)) return { tag: '!!str', value: text };
  if (!text.startsWith('.')) {
    if (isTimestamp(text)) return { tag: '!!timestamp', value: text };
    const integer = readInteger(text);
    if (integer !== undefined) return { tag: '!!int', value: integer };
  }
  const float = readFloat(text.startsWith('.') ? text : text.replaceAll('_', ''));
  return float === undefined ? { tag: '!!str', value: text } : { tag: '!!float', value: float };
}

function isTimestamp(text: string): boolean {
  return DATE.test(text) && TIMESTAMPS.some((layout) => typeof parseTime(layout, text) === 'bigint');
}

function readInteger(text: string): NumberValue | undefined {
  const match = INTEGER.exec(text.replaceAll('_', ''));
  // Beyond 64 bits there are no more digits than these.
  if (match === null || match[0].length > 67) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const magnitude =
    hex !== undefined
      ? BigInt(`0x${hex}`)
      : binary !== undefined
        ? BigInt(`0b${binary}`)
        : octal !== undefined
          ? BigInt(`0o${octal}`)
          : BigInt(decimal ?? '0');
  const integer = sign === '-' ? -magnitude : magnitude;
  // Go reads an unsigned integer without a sign only.
  if (integer < INT64_MIN || integer > (sign === '' ? UINT64_MAX : -INT64_MIN - 1n)) return undefined;
  return numberOfBigInt(integer);
}

function readFloat(text: string): number | undefined {
  if (!FLOAT.test(text)) return undefined;
  const double = Number(text);
  return Number.isFinite(double) ? double : undefined;
}

/** A double as JSON has it; `undefined` for one that is not finite. */
export function floatValue(double: number): NumberValue | undefined {
  return Number.isFinite(double) ? numberOf(Object.is(double, -0) ? '-0' : String(double)) : undefined;
}

/** A plain scalar as a value: dates are texts, `undefined` is a number that is not finite. */
export function readPlainScalar(text: string): Value | undefined {
  const { tag, value } = resolvePlain(text);
  return tag === '!!float' ? floatValue(value) : value;
}

/** A number as go-yaml writes it after it has read it: an integer of 64 bits or the shortest text of a double. */
export function numberToYaml(value: NumberValue): string {
  const read = readPlainScalar(numberText(value));
  // What go-yaml cannot read as a number is a text to it.
  if (!isNumber(read)) return numberText(value);
  const text = numberText(read);
  return readInteger(text) === undefined || text === '-0' ? shortestText(Number(text)) : text;
}
