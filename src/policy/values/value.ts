import type { RegoNumber } from './number.ts';
import type { RegoObject } from './object.ts';
import type { RegoSet } from './set.ts';

/**
 * A Rego value. What JSON has is what JavaScript has for it; JavaScript's `undefined` is Rego's, and never a member.
 * Values are never changed once they were made, but by the evaluation that is still making them.
 *
 * INVARIANT: a `number` is finite, not -0, an integer only up to 2^53 - 1, and means exactly the decimal that `String`
 * prints of it; every other number is a {@link RegoNumber}. An object whose keys are all texts is a plain object with
 * `Object.prototype`, but for large ones of the data; every other is a {@link RegoObject}. Texts hold
 * no lone surrogates but those that stand for bytes that are no UTF-8, which only builtins make (`builtins/bytes.ts`).
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | RegoNumber
  | RegoSet
  | RegoObject
  | readonly Value[]
  | PlainObject;

export interface PlainObject {
  readonly [key: string]: Value;
}

export type ObjectValue = PlainObject | RegoObject;

export type NumberValue = number | RegoNumber;
