import type { BuiltinContext } from './builtin.ts';

/** Where the part stands at this place or behind it, -1 where it does not. */
export type Search = (text: string, from: number) => number;

/** V8 looks at this many of a part's last characters; longer parts can cost it the product of both lengths. */
const LONGEST_NATIVE = 250;

/** Searches for a part that is not empty in time linear in the text, whoever chose either of them. */
export function searchFor(context: BuiltinContext, part: string): Search {
  if (part.length <= LONGEST_NATIVE) return (text, from) => text.indexOf(part, from);
  context.charge(part.length);
  const borders = bordersOf(part);
  return (text, from) => {
    let matched = 0;
    let charged = from;
    for (let at = from; at < text.length; at++) {
      if (at === charged) {
        context.charge(SLICE >>> 1);
        charged += SLICE;
      }
      const unit = text.charCodeAt(at);
      while (matched > 0 && part.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0;
      if (part.charCodeAt(matched) === unit) matched++;
      if (matched === part.length) return at + 1 - matched;
    }
    return -1;
  };
}

/** The parts of a text between these separators, which are not empty. */
export function splitText(context: BuiltinContext, text: string, separator: string): readonly string[] {
  if (separator.length <= LONGEST_NATIVE) return text.split(separator);
  const search = searchFor(context, separator);
  const parts: string[] = [];
  let start = 0;
  for (let at = search(text, 0); at >= 0; at = search(text, start)) {
    parts.push(text.slice(start, at));
    start = at + separator.length;
  }
  parts.push(text.slice(start));
  return parts;
}

/** Characters that are charged at once. */
const SLICE = 64;

/** For each beginning of the part, how long its longest beginning is that it also ends with (Knuth, Morris, Pratt). */
function bordersOf(part: string): Uint32Array {
  const borders = new Uint32Array(part.length);
  let length = 0;
  for (let at = 1; at < part.length; at++) {
    const unit = part.charCodeAt(at);
    while (length > 0 && part.charCodeAt(length) !== unit) length = borders[length - 1] ?? 0;
    if (part.charCodeAt(length) === unit) length++;
    borders[at] = length;
  }
  return borders;
}
