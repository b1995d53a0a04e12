import { LRUCache } from 'lru-cache';
import { isArray } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  operandFailure,
  textOperand,
  typeFailure,
  typeName,
} from './builtin.ts';
import { compileGlob, type GlobMatcher } from './glob-matcher.ts';

/**
 * OPA's `glob` family, as gobwas reads globs. Matching is linear; compiling a glob, and each step that was not met
 * before, is charged by the glob's length.
 */
export const GLOB_BUILTINS: Builtins = new Map<string, Builtin>([
  ['glob.match', match],
  ['glob.quote_meta', (context, text) => textOperand(context, text, 1).replace(META, '\\$&')],
]);

const META = /[*?\\[\]{}]/g;

/** Globs that are kept for one choice of delimiters, their lengths together, and such choices. */
const MOST = 256;
const LONGEST = 20_000;
const MOST_CHOICES = 8;

type Matchers = LRUCache<string, GlobMatcher>;

const compiled = new Map<string, Matchers>();

function matchersFor(delimiters: string): Matchers {
  let matchers = compiled.get(delimiters);
  if (matchers === undefined) {
    if (compiled.size >= MOST_CHOICES) compiled.clear();
    matchers = new LRUCache({ max: MOST, maxSize: LONGEST, sizeCalculation: (_, pattern) => pattern.length + 1 });
    compiled.set(delimiters, matchers);
  }
  return matchers;
}

/** No delimiters where they are null, a full stop where they are an empty array. */
function match(context: BuiltinContext, a: Value, b: Value, c: Value): boolean {
  const pattern = textOperand(context, a, 1);
  const delimiters = delimitersOf(context, b);
  const text = textOperand(context, c, 3);
  const matchers = matchersFor(delimiters);
  let matcher = matchers.get(pattern);
  if (matcher === undefined) {
    matcher = compile(context, pattern, delimiters);
    if (pattern.length < LONGEST) matchers.set(pattern, matcher);
  }
  return matcher.matches(text, context);
}

function compile(context: BuiltinContext, pattern: string, delimiters: string): GlobMatcher {
  try {
    const units = Array.from(delimiters, (delimiter) => delimiter.codePointAt(0) ?? 0);
    return compileGlob(pattern, units, context);
  } catch (error) {
    if (error instanceof SyntaxError) throw builtinFailure(context, error.message);
    throw error;
  }
}

/** One text of all. */
function delimitersOf(context: BuiltinContext, value: Value): string {
  if (value === null) return '';
  if (!isArray(value)) throw typeFailure(context, 2, 'one of {array, null}', value);
  let delimiters = value.length === 0 ? '.' : '';
  for (const delimiter of value) {
    if (typeof delimiter !== 'string') throw wrongDelimiter(context, 'strings', delimiter);
    const unit = delimiter.codePointAt(0) ?? 0;
    if (delimiter.length !== (unit > 0xffff ? 2 : 1)) throw wrongDelimiter(context, 'runes', delimiter);
    delimiters += delimiter;
  }
  return delimiters;
}

function wrongDelimiter(context: BuiltinContext, expected: string, value: Value): Error {
  return operandFailure(context, 2, `must be array of ${expected} but got array containing ${typeName(value)}`);
}
