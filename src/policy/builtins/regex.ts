import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { type Builtin, type Builtins, FAILED, integerAt, stringAt } from './builtin.ts';

/** OPA's regular expressions that Wasm leaves to the host: RE2 syntax, in time linear in the text. */
export const REGEX_BUILTINS: Builtins = new Map<string, Builtin>([
  ['regex.replace', (args) => replace(stringAt(args, 0), compile(stringAt(args, 1)), stringAt(args, 2))],
  ['regex.split', (args) => split(compile(stringAt(args, 0)), stringAt(args, 1))],
  ['regex.find_n', (args) => findN(compile(stringAt(args, 0)), stringAt(args, 1), integerAt(args, 2))],
  [
    'regex.template_match',
    (args) => matchTemplate(stringAt(args, 0), stringAt(args, 1), stringAt(args, 2), stringAt(args, 3)),
  ],
]);

/** Patterns may come from a caller: at most so many are kept, and none of a size that would make keeping them dear. */
const patterns = new LRUCache<string, RE2JS>({ max: 256 });
const MAX_KEPT_LENGTH = 4_096;

function compile(pattern: string): RE2JS {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch {
    throw FAILED;
  }
  if (pattern.length <= MAX_KEPT_LENGTH) patterns.set(pattern, compiled);
  return compiled;
}

interface Match {
  readonly start: number;
  readonly end: number;
  readonly group: (number: number) => string;
  readonly named: (name: string) => string;
}

/** All matches from left to right; an empty one right behind another is none (Go's `regexp`). */
function* matchesOf(pattern: RE2JS, text: string): Generator<Match> {
  const matcher = pattern.matcher(text);
  let from = 0;
  let previousEnd = -1;
  while (from <= text.length && matcher.find(from)) {
    const start = matcher.start();
    const end = matcher.end();
    const accepted = end > start || start !== previousEnd;
    if (accepted) {
      yield {
        start,
        end,
        group: (number) => (number <= matcher.groupCount() ? (matcher.group(number) ?? '') : ''),
        named: (name) => (Object.hasOwn(pattern.namedGroups(), name) ? (matcher.group(name) ?? '') : ''),
      };
      previousEnd = end;
    }
    from = end > start ? end : end + codePointLength(text, end);
  }
}

function codePointLength(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

function replace(text: string, pattern: RE2JS, template: string): string {
  let out = '';
  let end = 0;
  for (const match of matchesOf(pattern, text)) {
    out += text.slice(end, match.start) + expand(template, match);
    end = match.end;
  }
  return out + text.slice(end);
}

/** `$1`, `$name`, `${name}` and `$$`; the longest run of word characters is the name, and an unknown one is empty. */
const REFERENCE = /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu;

function expand(template: string, match: Match): string {
  if (!template.includes('$')) return template;
  return template.replace(REFERENCE, (_all, dollar?: string, bare?: string, braced?: string) => {
    if (dollar !== undefined) return '$';
    const name = bare ?? braced ?? '';
    return /^[0-9]+$/.test(name) ? match.group(Number(name)) : match.named(name);
  });
}

function split(pattern: RE2JS, text: string): readonly string[] {
  if (text === '') return [''];
  const parts: string[] = [];
  let begin = 0;
  let end = 0;
  for (const match of matchesOf(pattern, text)) {
    end = match.start;
    if (match.end !== 0) parts.push(text.slice(begin, end));
    begin = match.end;
  }
  if (end !== text.length) parts.push(text.slice(begin));
  return parts;
}

function findN(pattern: RE2JS, text: string, count: number): readonly string[] {
  const found: string[] = [];
  if (count === 0) return found;
  for (const match of matchesOf(pattern, text)) {
    found.push(text.slice(match.start, match.end));
    if (found.length === count) break;
  }
  return found;
}

/** A text with regular expressions between delimiters; the whole of `text` must match. */
function matchTemplate(template: string, text: string, open: string, close: string): boolean {
  if (Buffer.byteLength(open) !== 1 || Buffer.byteLength(close) !== 1) throw FAILED;
  let pattern = '^';
  let level = 0;
  let literalFrom = 0;
  let opened = 0;
  for (let at = 0; at < template.length; at++) {
    // Where both delimiters are the same, each one opens.
    if (template[at] === open) {
      if (++level === 1) opened = at;
    } else if (template[at] === close) {
      level--;
      if (level < 0) throw FAILED;
      if (level > 0) continue;
      const inner = template.slice(opened + 1, at);
      compile(`^${inner}$`);
      pattern += `${RE2JS.quote(template.slice(literalFrom, opened))}(${inner})`;
      literalFrom = at + 1;
    }
  }
  if (level !== 0) throw FAILED;
  return compile(`${pattern}${RE2JS.quote(template.slice(literalFrom))}$`)
    .matcher(text)
    .find();
}
