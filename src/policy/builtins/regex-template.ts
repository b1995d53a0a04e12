import { quoteRegex, type Regex } from '../../regex/regex.ts';
import { type BuiltinContext, builtinFailure } from './builtin.ts';
import { GenerationCache } from './generation-cache.ts';
import { regexOf } from './regex-cache.ts';
import { quoteGo } from './rego-source.ts';

const compiled = new GenerationCache<Regex>(256, 4_096);

/** The regular expression of a text with expressions between delimiters, such as `urn:<[a-z]+>`; it takes whole texts. */
export function templateRegex(context: BuiltinContext, template: string, open: string, close: string): Regex {
  const length = Buffer.byteLength(open);
  if (length !== 1) throw builtinFailure(context, wrongDelimiter('start', length));
  // OPA tells the length of the other one here.
  if (Buffer.byteLength(close) !== 1) throw builtinFailure(context, wrongDelimiter('end', length));
  const key = open + close + template;
  const before = compiled.get(key);
  if (before !== undefined) return before;
  const regex = regexOf(context, toPattern(context, template, open, close));
  compiled.set(key, regex);
  return regex;
}

function wrongDelimiter(which: string, length: number): string {
  return `${which} delimiter has to be exactly one character long but is ${length} long`;
}

function toPattern(context: BuiltinContext, template: string, open: string, close: string): string {
  let pattern = '^';
  let literalFrom = 0;
  for (const [start, end] of delimited(context, template, open, close)) {
    const inner = template.slice(start + 1, end);
    // Each must be an expression by itself.
    regexOf(context, `^${inner}$`);
    pattern += `${quoteRegex(template.slice(literalFrom, start))}(${inner})`;
    literalFrom = end + 1;
  }
  return `${pattern}${quoteRegex(template.slice(literalFrom))}$`;
}

/** Where the outermost delimiters stand. Where both are the same, each one opens. */
function delimited(
  context: BuiltinContext,
  template: string,
  open: string,
  close: string,
): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  let level = 0;
  let opened = 0;
  for (let at = 0; at < template.length && level >= 0; at++) {
    if (template[at] === open) {
      if (++level === 1) opened = at;
    } else if (template[at] === close && --level === 0) found.push([opened, at]);
  }
  if (level !== 0) throw builtinFailure(context, `unbalanced braces in ${quoteGo(template, '"', false)}`);
  return found;
}
