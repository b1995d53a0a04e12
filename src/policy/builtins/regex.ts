import type { SearchLimits } from '../../regex/cost.ts';
import { RegexCostError } from '../../regex/cost.ts';
import { groupText, type Match, type MatchAllOptions, type Regex } from '../../regex/regex.ts';
import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';
import { GlobError, globsIntersect } from './glob-intersection.ts';
import { int64Operand } from './operands.ts';
import { isRegex, regexOf } from './regex-cache.ts';
import { expandReplacement, readReplacement } from './regex-expand.ts';
import { templateRegex } from './regex-template.ts';

/** OPA's `regex` family: RE2 syntax, in time linear in the text. */
export const REGEX_BUILTINS: Builtins = new Map<string, Builtin>([
  ['regex.match', match],
  // Deprecated in OPA, and the same there.
  ['re_match', match],
  ['regex.is_valid', (context, pattern) => typeof pattern === 'string' && isRegex(context, pattern)],
  ['regex.find_n', findN],
  ['regex.find_all_string_submatch_n', findSubmatches],
  ['regex.replace', replace],
  ['regex.split', split],
  ['regex.template_match', matchTemplate],
  ['regex.globs_match', matchGlobs],
]);

function match(context: BuiltinContext, pattern: Value, text: Value): boolean {
  const source = textOperand(context, pattern, 1);
  const subject = textOperand(context, text, 2);
  return test(context, regexOf(context, source), subject);
}

/** A regex counts in nanoseconds, a budget in tens of them. */
const UNITS_PER_STEP = 10;
/** Where a text turns out to cost so much more than it should, it is given up. */
const FREE_UNITS = 1_000_000;
const MOST_READINGS = 64;
/** More than any budget has. */
const ALL_STEPS = 1e12;

function test(context: BuiltinContext, regex: Regex, text: string): boolean {
  const least = chargeLeast(context, regex, text);
  try {
    return regex.test(text, limitsOf(context, least));
  } catch (error) {
    throw refused(context, error);
  }
}

function matchesOf(context: BuiltinContext, regex: Regex, text: string, options: MatchAllOptions): readonly Match[] {
  const least = chargeLeast(context, regex, text);
  try {
    return regex.matchAll(text, { ...options, ...limitsOf(context, least) });
  } catch (error) {
    throw refused(context, error);
  }
}

/** What a search of the whole text costs; what it costs beyond that is charged as it comes. */
function chargeLeast(context: BuiltinContext, regex: Regex, text: string): number {
  const least = text.length * regex.weight;
  context.charge(Math.ceil(least / UNITS_PER_STEP));
  return least;
}

function limitsOf(context: BuiltinContext, least: number): SearchLimits {
  return {
    maxSteps: FREE_UNITS + MOST_READINGS * least,
    free: least,
    spend: (units) => context.charge(units / UNITS_PER_STEP),
  };
}

function refused(context: BuiltinContext, error: unknown): unknown {
  if (error instanceof RegexCostError) context.charge(ALL_STEPS);
  return error;
}

function findN(context: BuiltinContext, pattern: Value, operand: Value, count: Value): Value {
  const source = textOperand(context, pattern, 1);
  const text = textOperand(context, operand, 2);
  const limit = limitOf(int64Operand(context, count, 3));
  return matchesOf(context, regexOf(context, source), text, { limit }).map(({ start, end }) => text.slice(start, end));
}

/** A count below 0 is no limit. */
function limitOf(count: number): number {
  return count < 0 ? Infinity : count;
}

function findSubmatches(context: BuiltinContext, pattern: Value, operand: Value, count: Value): Value {
  const source = textOperand(context, pattern, 1);
  const text = textOperand(context, operand, 2);
  const limit = limitOf(int64Operand(context, count, 3));
  const regex = regexOf(context, source);
  const matches = matchesOf(context, regex, text, { limit, groups: true });
  context.charge(matches.length * (regex.groupCount + 1));
  return matches.map((found) =>
    Array.from({ length: regex.groupCount + 1 }, (_, group) => groupText(text, found, group) ?? ''),
  );
}

function split(context: BuiltinContext, pattern: Value, operand: Value): Value {
  const source = textOperand(context, pattern, 1);
  const text = textOperand(context, operand, 2);
  const regex = regexOf(context, source);
  if (text === '') return source === '' ? [] : [''];
  const parts: string[] = [];
  let begin = 0;
  let end = 0;
  for (const found of matchesOf(context, regex, text, {})) {
    end = found.start;
    if (found.end !== 0) parts.push(text.slice(begin, end));
    begin = found.end;
  }
  if (end !== text.length) parts.push(text.slice(begin));
  return parts;
}

/** A short template can make a text as large as its square. */
const MAX_REPLACED_LENGTH = 16_777_216;
const UNITS_PER_WRITE_STEP = 4;

function replace(context: BuiltinContext, operand: Value, pattern: Value, template: Value): Value {
  const text = textOperand(context, operand, 1);
  const source = textOperand(context, pattern, 2);
  const written = textOperand(context, template, 3);
  const regex = regexOf(context, source);
  const groups = written.includes('$');
  const matches = matchesOf(context, regex, text, { groups });
  if (matches.length === 0) return text;
  const replacement = groups ? readReplacement(written, regex) : [written];
  let out = '';
  let end = 0;
  for (const found of matches) {
    const put = expandReplacement(replacement, text, found, MAX_REPLACED_LENGTH);
    context.charge(1 + Math.ceil(put.length / UNITS_PER_WRITE_STEP));
    out += text.slice(end, found.start) + put;
    end = found.end;
    if (out.length > MAX_REPLACED_LENGTH) {
      throw new Error(`\`regex.replace\` gives more than ${MAX_REPLACED_LENGTH} characters`);
    }
  }
  return out + text.slice(end);
}

function matchTemplate(context: BuiltinContext, template: Value, operand: Value, open: Value, close: Value): boolean {
  const source = textOperand(context, template, 1);
  const text = textOperand(context, operand, 2);
  const start = textOperand(context, open, 3);
  return test(context, templateRegex(context, source, start, textOperand(context, close, 4)), text);
}

function matchGlobs(context: BuiltinContext, left: Value, right: Value): boolean {
  const one = textOperand(context, left, 1);
  const other = textOperand(context, right, 2);
  try {
    return globsIntersect(one, other, (steps) => context.charge(steps));
  } catch (error) {
    if (error instanceof GlobError) throw builtinFailure(context, error.message);
    throw error;
  }
}
