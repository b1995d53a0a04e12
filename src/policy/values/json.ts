import { parseRegoText } from './text.ts';
import type { Value } from './value.ts';

/** A number that a double may not mean exactly or not print alike: long, with an exponent, or with a needless zero. */
const INEXACT = /[0-9.]{16}|[0-9][eE]|[.][0-9]*0(?![0-9])|[.]0{5}|-0/;

/** JSON text as a value, every digit kept; `undefined` when it is not exactly one JSON document. */
export function parseJson(text: string): Value | undefined {
  try {
    // What JSON.parse makes are values but for its numbers.
    const value = JSON.parse(text) as Value;
    return INEXACT.test(text) ? parseRegoText(text) : value;
  } catch {
    return undefined;
  }
}
