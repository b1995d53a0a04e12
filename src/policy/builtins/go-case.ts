/**
 * Go's `strings.ToLower` and `ToUpper`: every code point by itself and to one other, as Unicode 15 has it. JavaScript
 * looks at what stands around (`Σ`), makes two of one (`ß`), and knows letters that came later.
 */
export function toLowerGo(text: string): string {
  return ODD_LOWER.test(text) ? Array.from(text, lowerOne).join('') : text.toLowerCase();
}

export function toUpperGo(text: string): string {
  return ODD_UPPER.test(text) ? Array.from(text, upperOne).join('') : text.toUpperCase();
}

const NEWER_UPPER = /[\u1c89\ua7cb\ua7cc\ua7ce\ua7d2\ua7d4\ua7da\ua7dc\u{10d50}-\u{10d65}\u{16ea0}-\u{16eb8}]/u;
const NEWER_LOWER = /[\u019b\u0264\u1c8a\ua7cd\ua7cf\ua7d3\ua7d5\ua7db\u{10d70}-\u{10d85}\u{16ebb}-\u{16ed3}]/u;
const ODD_LOWER = new RegExp(`[\\u0130\\u03a3]|${NEWER_UPPER.source}`, 'u');
const ODD_UPPER = new RegExp(
  `[\\u00df\\u0149\\u01f0\\u0390\\u03b0\\u0587\\u1e96-\\u1e9a\\u1f50-\\u1fff\\ufb00-\\ufb17]|${NEWER_LOWER.source}`,
  'u',
);

function lowerOne(character: string): string {
  if (character === '\u0130') return 'i';
  return NEWER_UPPER.test(character) ? character : character.toLowerCase();
}

/** Greek with an iota below, which alone has a form of one code point besides that of two. */
const IOTA_BELOW = /[\u1f80-\u1f87\u1f90-\u1f97\u1fa0-\u1fa7]/;
const IOTA_BELOW_ALONE = /[\u1fb3\u1fc3\u1ff3]/;

function upperOne(character: string): string {
  if (NEWER_LOWER.test(character)) return character;
  if (IOTA_BELOW.test(character)) return String.fromCharCode(character.charCodeAt(0) + 8);
  if (IOTA_BELOW_ALONE.test(character)) return String.fromCharCode(character.charCodeAt(0) + 9);
  const upper = character.toUpperCase();
  return upper.length > character.length || isSeveral(upper) ? character : upper;
}

function isSeveral(text: string): boolean {
  const [first = ''] = text;
  return text.length > first.length;
}
