import type { Random } from '../../support/seed.ts';

const ATOMS = [
  'a',
  'b',
  'ab',
  'k',
  's',
  'ß',
  'é',
  '😀',
  '_',
  ' ',
  '.',
  '\\d',
  '\\w',
  '\\W',
  '\\s',
  '\\S',
  '\\n',
  '\\x{1F600}',
  '\\x41',
  '\\101',
  '\\.',
  '\\pL',
  '\\p{Greek}',
  '\\P{Lu}',
  '[a-c]',
  '[^ab]',
  '[[:alpha:]_]',
  '[^[:^digit:]]',
  '[]a]',
  '[a\\-k\\]]',
  '[\\d\\s-]',
  '[\\x{100}-\\x{10FFFF}]',
  '\\Qa.b\\E',
  '{',
  'a{,2}',
];

const LOOKS = ['^', '$', '\\b', '\\B', '\\A', '\\z'];
const REPEATS = ['*', '+', '?', '{2}', '{0,2}', '{1,3}', '{2,}', '{0}'];
const GROUPS = ['(', '(', '(?:', '(?i:', '(?s:', '(?m:', '(?U:', '(?i-s:', '(?ms:'];

/** A pattern of RE2 that is valid most of the time. */
export function randomPattern(random: Random, depth = 3): string {
  const flags = depth === 3 && random.chance(0.3) ? random.pick(['(?i)', '(?s)', '(?m)', '(?U)', '(?im)']) : '';
  const branches = Array.from({ length: random.chance(0.25) ? 1 + random.below(3) : 1 }, () =>
    Array.from({ length: random.below(4) }, () => randomTerm(random, depth)).join(''),
  );
  return flags + branches.join('|');
}

function randomTerm(random: Random, depth: number): string {
  if (random.chance(0.12)) return random.pick(LOOKS);
  const nested = depth > 0 && random.chance(0.35);
  const atom = nested ? `${random.pick(GROUPS)}${randomPattern(random, depth - 1)})` : random.pick(ATOMS);
  if (!random.chance(0.4)) return atom;
  return atom + random.pick(REPEATS) + (random.chance(0.3) ? '?' : '');
}

const PIECES = [
  'a',
  'b',
  'ab',
  'aab',
  'k',
  'K',
  'K',
  's',
  'S',
  'ſ',
  'ß',
  'ẞ',
  'é',
  'É',
  'α',
  'Ω',
  '😀',
  '_',
  '1',
  '42',
  ' ',
  '\n',
].concat(['\r', '\t', '\v', ' ', ' ', '.', '-', ']', '{', 'A', 'c', 'a.b']);

export function randomText(random: Random): string {
  return Array.from({ length: random.below(12) }, () => random.pick(PIECES)).join('');
}
