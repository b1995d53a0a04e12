import { isNumber, numberOf, numberOfBigInt, numberText } from '../values/number.ts';
import { shortestText } from '../values/shortest-text.ts';
import type { NumberValue, Value } from '../values/value.ts';

const WORDS: ReadonlyMap<string, null | boolean> = new Map<string, null | boolean>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
]);

const NUMERIC_START = /^[-+.0-9]/;
const NOT_FINITE = /^(?:[-+]?[.](?:inf|Inf|INF)|[.](?:nan|NaN|NAN))$/;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const FLOAT = /^[-+]?(?:[.][0-9]+|[0-9]+(?:[.][0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/**
 * What a plain scalar of YAML means, as go-yaml's third version has it; `undefined` for a number that is not finite.
 * Dates, and the words for booleans of YAML 1.1, are texts; integers beyond 64 bits are doubles.
 */
export function readPlainScalar(text: string): Value | undefined {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (!NUMERIC_START.test(text)) return text;
  if (NOT_FINITE.test(text)) return undefined;
  if (text.startsWith('.')) return readFloat(text) ?? text;
  return readInteger(text) ?? readFloat(text.replaceAll('_', '')) ?? text;
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

function readFloat(text: string): NumberValue | undefined {
  if (!FLOAT.test(text)) return undefined;
  const double = Number(text);
  return Number.isFinite(double) ? numberOf(Object.is(double, -0) ? '-0' : String(double)) : undefined;
}

/** A number as go-yaml writes it after it has read it: an integer of 64 bits or the shortest text of a double. */
export function numberToYaml(value: NumberValue): string {
  const read = readPlainScalar(numberText(value));
  // What go-yaml cannot read as a number is a text to it.
  if (!isNumber(read)) return numberText(value);
  const text = numberText(read);
  return readInteger(text) === undefined || text === '-0' ? shortestText(Number(text)) : text;
}
