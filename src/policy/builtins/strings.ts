import { isRegoArray, RegoSet, type RegoValue, regoNumber } from '../rego-value.ts';
import { arrayAt, asString, type Builtin, type Builtins, FAILED, integerAt, stringAt } from './builtin.ts';
import { formatGo } from './go-format.ts';

/** OPA's string builtins that Wasm leaves to the host. */
export const STRING_BUILTINS: Builtins = new Map<string, Builtin>([
  ['sprintf', (args) => formatGo(stringAt(args, 0), arrayAt(args, 1))],
  ['strings.any_prefix_match', (args) => anyMatch(args, (text, affix) => text.startsWith(affix))],
  ['strings.any_suffix_match', (args) => anyMatch(args, (text, affix) => text.endsWith(affix))],
  ['strings.count', (args) => regoNumber(countOf(stringAt(args, 0), stringAt(args, 1)))],
  ['strings.split_n', (args) => splitN(stringAt(args, 0), stringAt(args, 1), integerAt(args, 2))],
  ['indexof_n', (args) => indexesOf(stringAt(args, 0), stringAt(args, 1)).map(regoNumber)],
  ['trace', ([note]) => asString(note) !== undefined],
]);

function texts(value: RegoValue | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  if (isRegoArray(value)) return value.map(asString);
  if (value instanceof RegoSet) return value.items.map(asString);
  throw FAILED;
}

function anyMatch(args: readonly RegoValue[], matches: (text: string, affix: string) => boolean): boolean {
  const search = texts(args[0]);
  const affixes = texts(args[1]);
  return search.some((text) => affixes.some((affix) => matches(text, affix)));
}

/** Without overlaps; an empty text is found before, between and after all characters. */
function countOf(text: string, part: string): number {
  if (part === '') return Array.from(text).length + 1;
  return text.split(part).length - 1;
}

function splitN(text: string, separator: string, count: number): readonly string[] {
  const parts = separator === '' ? Array.from(text) : text.split(separator);
  // Those beyond the first `count` are left out, or all but the last ones where it is negative.
  return count >= 0 ? parts.slice(0, count) : parts.slice(Math.max(0, parts.length + count));
}

/** Places counted in code points; matches may overlap. */
function indexesOf(text: string, part: string): readonly number[] {
  if (part === '') throw FAILED;
  const found: number[] = [];
  let codePoints = 0;
  let counted = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) {
    for (; counted < at; counted++) {
      const unit = text.charCodeAt(counted);
      if (unit < 0xdc00 || unit > 0xdfff) codePoints++;
    }
    found.push(codePoints);
  }
  return found;
}
