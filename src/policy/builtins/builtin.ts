import type { Instant } from '../../decision/ports.ts';
import { isNumber, numberOfBigInt } from '../values/number.ts';
import { isArray, isObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { NumberValue, ObjectValue, Value } from '../values/value.ts';

/**
 * One builtin of OPA's, for every engine. `undefined` makes the expression undefined; a failure ({@link typeFailure},
 * {@link operandFailure}, {@link builtinFailure}) does so too, and is an error where errors are strict. Anything else
 * that is thrown fails the whole evaluation. Fewer parameters than four may be declared.
 */
export type Builtin = (context: BuiltinContext, a: Value, b: Value, c: Value, d: Value) => Value | undefined;

export type Builtins = ReadonlyMap<string, Builtin>;

/** What one evaluation's builtins share. */
export interface BuiltinContext {
  readonly at: Instant;
  /** Whether failures are errors, and so have to say why. */
  readonly strict: boolean;
  /** 32 random bytes, the same for a label throughout a decision. */
  randomFor(label: string): Uint8Array;
  /**
   * Counts work beyond the call itself against the evaluation's budget, one step for some 10 ns; throws when it is used
   * up. Called before the work is begun, by every builtin whose work grows with its operands faster than their text.
   */
  readonly charge: (steps: number) => void;
}

/** OPA's codes of what a builtin may fail with. */
export type FailureCode = 'eval_type_error' | 'eval_builtin_error';

/** Why a builtin has no answer. Its message lacks the builtin's name, which the engine puts before it. */
export class BuiltinFailure extends Error {
  override readonly name = 'BuiltinFailure';
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What may be logged of a failure: which types were wrong, but nothing that quotes an operand, which may be a secret. */
export function loggableFailure(name: string, code: string, message: string): string {
  return code === 'eval_type_error' && !message.includes('"') ? message : `\`${name}\` failed (${code})`;
}

/** What is thrown where nobody will read why: one object for all, because a message and a stack per failure cost. */
export const FAILED: BuiltinFailure = new BuiltinFailure('eval_builtin_error', 'a builtin has no answer');

/** The operand in this position, counted from 1, is of none of these types: `string`, `one of {array, set}`. */
export function typeFailure(context: BuiltinContext, position: number, expected: string, value: Value): BuiltinFailure {
  if (!context.strict) return FAILED;
  return new BuiltinFailure('eval_type_error', `operand ${position} must be ${expected} but got ${typeName(value)}`);
}

/** Something else is wrong with the operand in this position: `must be an integer`. */
export function operandFailure(context: BuiltinContext, position: number, wrong: string): BuiltinFailure {
  return context.strict ? new BuiltinFailure('eval_type_error', `operand ${position} ${wrong}`) : FAILED;
}

/** Any other failure. */
export function builtinFailure(context: BuiltinContext, message: string): BuiltinFailure {
  return context.strict ? new BuiltinFailure('eval_builtin_error', message) : FAILED;
}

export type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'set';

export function typeName(value: Value): TypeName {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  if (isNumber(value)) return 'number';
  if (isArray(value)) return 'array';
  return value instanceof RegoSet ? 'set' : 'object';
}

/** The operand as a text; the position is counted from 1. */
export function textOperand(context: BuiltinContext, value: Value, position: number): string {
  if (typeof value !== 'string') throw typeFailure(context, position, 'string', value);
  return value;
}

export function numberOperand(context: BuiltinContext, value: Value, position: number): NumberValue {
  if (!isNumber(value)) throw typeFailure(context, position, 'number', value);
  return value;
}

export function arrayOperand(context: BuiltinContext, value: Value, position: number): readonly Value[] {
  if (!isArray(value)) throw typeFailure(context, position, 'array', value);
  return value;
}

export function setOperand(context: BuiltinContext, value: Value, position: number): RegoSet {
  if (!(value instanceof RegoSet)) throw typeFailure(context, position, 'set', value);
  return value;
}

export function objectOperand(context: BuiltinContext, value: Value, position: number): ObjectValue {
  if (!isObject(value)) throw typeFailure(context, position, 'object', value);
  return value;
}

/** The items of an array, or of a set in Rego's order. */
export function collectionOperand(context: BuiltinContext, value: Value, position: number): readonly Value[] {
  if (isArray(value)) return value;
  if (value instanceof RegoSet) return value.sorted();
  throw typeFailure(context, position, 'one of {array, set}', value);
}

/** Nanoseconds since 1970 of the decision's one reading of the clock. */
export function nowNs({ at }: BuiltinContext): NumberValue {
  const wholeMs = Math.floor(at.epochMs);
  return numberOfBigInt(BigInt(wholeMs) * 1_000_000n + BigInt(Math.floor((at.epochMs - wholeMs) * 1e6)));
}
