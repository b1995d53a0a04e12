import type { Instant } from '../../decision/ports.ts';
import { isRegoArray, RegoNumber, RegoObject, RegoSet, type RegoValue } from '../rego-value.ts';

/**
 * One builtin that the Wasm module leaves to its host. `undefined`, and a thrown {@link FAILED}, make the expression
 * undefined, as an error of a builtin does in OPA; anything else that is thrown fails the whole evaluation.
 */
export type Builtin = (args: Arguments, context: BuiltinContext) => RegoValue | undefined;

export type Builtins = ReadonlyMap<string, Builtin>;

export type Arguments = readonly RegoValue[];

/** What one decision's builtins share. */
export interface BuiltinContext {
  readonly at: Instant;
  /** 32 random bytes, the same for a label throughout a decision. */
  readonly randomFor: (label: string) => Uint8Array;
}

class BuiltinFailure extends Error {
  override readonly name = 'BuiltinFailure';
}

/** An ordinary failure: thrown by the operand readers, one object for all because a stack per failure costs. */
export const FAILED: Error = new BuiltinFailure('a builtin has no answer for its operands');

export function stringAt(args: Arguments, position: number): string {
  return asString(args[position]);
}

export function asString(value: RegoValue | undefined): string {
  if (typeof value !== 'string') throw FAILED;
  return value;
}

export function numberAt(args: Arguments, position: number): RegoNumber {
  const value = args[position];
  if (!(value instanceof RegoNumber)) throw FAILED;
  return value;
}

const INTEGER = /^-?[0-9]+$/;

/** An integer of any size; a number with a fraction or an exponent is none, as in OPA. */
export function bigintAt(args: Arguments, position: number): bigint {
  const { text } = numberAt(args, position);
  if (!INTEGER.test(text)) throw FAILED;
  return BigInt(text);
}

/** An integer that fits Go's `int`; beyond 2^53 it is cut to the nearest end, which no use of it can tell apart. */
export function integerAt(args: Arguments, position: number): number {
  const value = bigintAt(args, position);
  if (value > INT64_MAX || value < -INT64_MAX - 1n) throw FAILED;
  return Number(value);
}

const INT64_MAX = 2n ** 63n - 1n;

export function arrayAt(args: Arguments, position: number): readonly RegoValue[] {
  const value = args[position];
  if (!isRegoArray(value)) throw FAILED;
  return value;
}

export function objectAt(args: Arguments, position: number): RegoObject {
  const value = args[position];
  if (!(value instanceof RegoObject)) throw FAILED;
  return value;
}

/** The items of an array or a set. */
export function collectionAt(args: Arguments, position: number): readonly RegoValue[] {
  const value = args[position];
  if (isRegoArray(value)) return value;
  if (value instanceof RegoSet) return value.items;
  throw FAILED;
}

/** Nanoseconds since 1970 of the decision's one reading of the clock. */
export function nowNs({ at }: BuiltinContext): bigint {
  const wholeMs = Math.floor(at.epochMs);
  return BigInt(wholeMs) * 1_000_000n + BigInt(Math.floor((at.epochMs - wholeMs) * 1e6));
}
