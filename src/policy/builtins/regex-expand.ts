import { groupText, type Match, type Regex } from '../../regex/regex.ts';

/** A replacement with references to groups, read: texts, and for each reference the groups that it may mean. */
export type Replacement = readonly (string | readonly number[])[];

/** `$1`, `$name` and `${name}`; the longest run of word characters is the name. `$$` is a dollar, and so is any other `$`. */
const REFERENCE = /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu;

/** Reads a replacement in Go's notation. An unknown group stands for nothing. */
export function readReplacement(template: string, regex: Regex): Replacement {
  const parts: (string | readonly number[])[] = [];
  let from = 0;
  for (const match of template.matchAll(REFERENCE)) {
    const [all, dollar, bare, braced] = match;
    if (match.index > from) parts.push(template.slice(from, match.index));
    parts.push(dollar ?? groupsNamed(bare ?? braced ?? '', regex));
    from = match.index + all.length;
  }
  if (from < template.length) parts.push(template.slice(from));
  return parts;
}

const NUMBER = /^(?:0|[1-9][0-9]{0,8})$/;

/** Several groups may have one name; the first that took part is meant. */
function groupsNamed(name: string, { groupNames }: Regex): readonly number[] {
  if (NUMBER.test(name)) return [Number(name)];
  return groupNames.flatMap((each, group) => (each === name ? [group] : []));
}

/** What a replacement comes to for one match; it is left off where it comes to more than `most` code units. */
export function expandReplacement(replacement: Replacement, text: string, match: Match, most: number): string {
  let expanded = '';
  for (const part of replacement) {
    expanded += typeof part === 'string' ? part : firstGroup(part, text, match);
    if (expanded.length > most) break;
  }
  return expanded;
}

function firstGroup(groups: readonly number[], text: string, match: Match): string {
  for (const group of groups) {
    const found = groupText(text, match, group);
    if (found !== undefined) return found;
  }
  return '';
}
