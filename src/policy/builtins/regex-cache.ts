import { compileRegex, type Regex, RegexError } from '../../regex/regex.ts';
import { type BuiltinContext, builtinFailure } from './builtin.ts';
import { GenerationCache } from './generation-cache.ts';

/** Patterns that a policy names are compiled once; those of callers take no more than this of the memory. */
const compiled = new GenerationCache<Regex | RegexError>(256, 4_096);

const STEPS_PER_PATTERN_UNIT = 200;

/** The pattern ready for use; a failure that says in Go's words why it is none. */
export function regexOf(context: BuiltinContext, pattern: string): Regex {
  const regex = compileOnce(context, pattern);
  if (regex instanceof RegexError) throw builtinFailure(context, regex.message);
  return regex;
}

export function isRegex(context: BuiltinContext, pattern: string): boolean {
  return !(compileOnce(context, pattern) instanceof RegexError);
}

function compileOnce(context: BuiltinContext, pattern: string): Regex | RegexError {
  const before = compiled.get(pattern);
  if (before !== undefined) return before;
  context.charge(pattern.length * STEPS_PER_PATTERN_UNIT);
  const result = tryCompile(pattern);
  compiled.set(pattern, result);
  return result;
}

function tryCompile(pattern: string): Regex | RegexError {
  try {
    return compileRegex(pattern);
  } catch (error) {
    if (error instanceof RegexError) return error;
    throw error;
  }
}
