import type { Random } from '../../support/seed.ts';

/** Characters and marks, so that almost anything may stand beside anything. */
const PIECES: readonly string[] = [
  ...['a', 'b', '1', '0', '.', 'e', 'x', '_', 'é', '😀', '-', '- ', ': ', ':', ',', '[', ']', '{', '}', '?', '? '],
  ...['\n', '\n', '\n  ', ' ', '  ', '\t', '\r', '\r\n', '\u2028', '\u0085', '\u0000', '\u007f', '"', "'", '\\', '#'],
  ...[
    ' #',
    '&a ',
    '*a',
    '!',
    '!!str ',
    '|',
    '>',
    '|\n',
    '>-\n',
    '%',
    '@',
    '`',
    '~',
    '---\n',
    '...\n',
    '<<: ',
    '\ufeffa',
  ],
];

/** Parts of documents, to be put together and changed a little. */
const PARTS: readonly string[] = [
  ...['a: 1\n', '- x\n', 'k:\n  - 1\n  - 2\n', '"q": [1, {a: b}]\n', 't: |\n  line\n   more\n\n  end\n', '? a\n: b\n'],
  ...['f: >\n  one\n  two\n\n  three\n', 'x: &q 1\ny: *q\n', 'plain text\n  folded\n', '{a: 1, b: [x, y]}\n', '# c\n'],
  ...[
    '---\n',
    '...\n',
    "'it''s'\n",
    '"e\\n\\x41\\u263a\\\n  f"\n',
    '%YAML 1.1\n---\n',
    '%TAG !e! tag:yaml.org,2002:\n---\n',
  ],
];

/**
 * Keys and values of mappings. No text is there that a number or boolean is too: where two of these are merged, OPA keeps
 * now one, now the other.
 */
const KEYS: readonly string[] = [
  ...['a', 'b', '"a"', '1', '0x1', '0b1', '0o7', 'true', 'True', '~', '<<', '<<', '"<<"', '*x', '*y', '? [a]\n', '[a]'],
  ...['{b: c}', '.inf', '1e6', '1.5', '-0.0', '-1e39', '123456789.5', '!!int 1', '!!binary YQ==', '&k kk', '! 12'],
  ...['2020-01-01', '"2020-01-01"', '2020-1-1', '2020-13-01', '2020-01-01 10:00:00'],
];

const VALUES: readonly string[] = [
  ...['1', 'x', '*x', '*y', '[*x, {c: 1}]', '{a: 2, 1: 3}', '{a: 9, <<: {z: 1, a: 4}}', '[]', '[1, b: 2]', '~', '.nan'],
  ...[
    '!!float 3',
    '!!int 1.0',
    '!!binary YWI',
    '!foo z',
    '!<!bar> q',
    '!<tag:yaml.org,2002:int> 5',
    '!!null ~',
    '!!str',
  ],
  ...[
    '&y {1: p, true: q, a: r, ~: s}',
    '&x {d: e}',
    '&z',
    '0x1F',
    '1_000',
    '!!set {a, b}',
    '!!map {a: 1}',
    '!!seq [1]',
  ],
  ...['|\n   t\n    u\n', '>-\n   t\n\n   u\n', '"q\n   r"', "'it''s'", '2020-01-01', '!!bool yes', '<<', '[? a : b]'],
  ...['[? a]', '[?]', '{?}', '{? a}', '{a b: c, d}', '18446744073709551616', '!!float 18446744073709551615'],
];

/** A text that is YAML, or nearly so. */
export function randomYaml(random: Random): string {
  switch (random.below(3)) {
    case 0:
      return several(random, 8, () => random.pick(PIECES));
    case 1:
      return changed(
        random,
        several(random, 3, () => random.pick(PARTS)),
      );
    default:
      return mapping(random);
  }
}

function several(random: Random, most: number, make: () => string): string {
  return Array.from({ length: 1 + random.below(most) }, make).join('');
}

/** Pieces put in, taken away or replaced. */
function changed(random: Random, text: string): string {
  const units = Array.from(text);
  for (let left = random.below(3); left > 0; left--) {
    const kept = random.below(2);
    units.splice(random.below(units.length + 1), random.below(2), ...(kept > 0 ? [random.pick(PIECES)] : []));
  }
  return units.join('');
}

function mapping(random: Random): string {
  const start = random.chance(0.7) ? 'p: &x {d: e, a: 1, 1: 2}\nq: &y [{f: g}]\n' : '';
  const pair = (): string => `${random.pick(KEYS)}: ${random.pick(VALUES)}`;
  if (random.chance(0.25)) return `${start}m: {${several(random, 5, () => `${pair()}, `)}}\n`;
  return `${start}${several(random, 5, () => {
    if (random.chance(0.7)) return `${pair()}\n`;
    return `${random.pick(KEYS)}:\n  ${random.pick(KEYS)} : ${random.pick(VALUES)}\n  ${pair()}\n`;
  })}`;
}
