/** A glob of gobwas's syntax, by code points. */
export type GlobNode =
  | { readonly type: 'text'; readonly units: readonly number[] }
  /** One character but a delimiter. */
  | { readonly type: 'any' }
  /** Any number of characters, delimiters among them or not. */
  | { readonly type: 'star'; readonly crossing: boolean }
  | { readonly type: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly type: 'one_of'; readonly alternatives: readonly (readonly GlobNode[])[] };

/** Braces within each other. */
const DEEPEST = 100;

/** Parses a glob; throws a `SyntaxError` that says what is wrong and where, in characters. */
export function parseGlob(pattern: string): readonly GlobNode[] {
  const units = Array.from(pattern, (character) => character.codePointAt(0) ?? 0);
  let at = 0;

  function fail(wrong: string): never {
    throw new SyntaxError(`glob: syntax error at ${at}: ${wrong}`);
  }

  /** Up to the end, or in braces up to a comma or the closing one. */
  function sequence(depth: number): readonly GlobNode[] {
    if (depth > DEEPEST) fail('too many braces within each other');
    const nodes: GlobNode[] = [];
    while (at < units.length) {
      const unit = units[at];
      if (depth > 0 && (unit === COMMA || unit === BRACE_END)) break;
      if (unit === BRACE) nodes.push(alternatives(depth));
      else if (unit === BRACKET) nodes.push(characterClass());
      else if (unit === QUESTION) {
        at++;
        nodes.push({ type: 'any' });
      } else if (unit === STAR) {
        const crossing = units[at + 1] === STAR;
        at += crossing ? 2 : 1;
        nodes.push({ type: 'star', crossing });
      } else nodes.push({ type: 'text', units: text(depth > 0 ? IN_BRACES : OUTSIDE) });
    }
    return nodes;
  }

  function alternatives(depth: number): GlobNode {
    const list: (readonly GlobNode[])[] = [];
    do {
      at++;
      list.push(sequence(depth + 1));
    } while (units[at] === COMMA);
    if (at >= units.length) fail('unclosed `{`');
    at++;
    return { type: 'one_of', alternatives: list };
  }

  function text(ends: ReadonlySet<number>): readonly number[] {
    const found: number[] = [];
    for (; at < units.length; at++) {
      let unit = units[at] ?? 0;
      if (ends.has(unit)) break;
      if (unit === BACKSLASH) {
        at++;
        if (at >= units.length) fail('trailing backslash');
        unit = units[at] ?? 0;
      }
      found.push(unit);
    }
    return found;
  }

  /** `[a-z]`, or `[abc]` in which a hyphen that is not second is a character like others. */
  function characterClass(): GlobNode {
    at++;
    const negated = units[at] === EXCLAMATION;
    if (negated) at++;
    const first = units[at];
    if (units[at + 1] === HYPHEN && first !== undefined) {
      const last = units[at + 2];
      if (last === undefined || units[at + 3] !== BRACKET_END) fail('expected close range character');
      if (last < first) fail('range hi character is less than lo');
      at += 4;
      return { type: 'class', negated, ranges: [[first, last]] };
    }
    const members = text(CLASS_END);
    if (members.length === 0) fail('could not parse range');
    if (at >= units.length) fail('unclosed `[`');
    at++;
    return { type: 'class', negated, ranges: members.map((member) => [member, member] as const) };
  }

  return sequence(0);
}

const [STAR, QUESTION, COMMA, HYPHEN, EXCLAMATION, BACKSLASH] = [0x2a, 0x3f, 0x2c, 0x2d, 0x21, 0x5c];
const [BRACE, BRACE_END, BRACKET, BRACKET_END] = [0x7b, 0x7d, 0x5b, 0x5d];
const OUTSIDE: ReadonlySet<number> = new Set([QUESTION, STAR, BRACKET, BRACE]);
const IN_BRACES: ReadonlySet<number> = new Set([...OUTSIDE, BRACE_END, COMMA]);
const CLASS_END: ReadonlySet<number> = new Set([BRACKET_END]);
