export type Base64Alphabet = 'standard' | 'url';

const COMPLETE: Readonly<Record<Base64Alphabet, RegExp>> = {
  standard: /^[A-Za-z0-9+/]*={0,2}$/,
  url: /^[A-Za-z0-9_-]*={0,2}$/,
};

/**
 * The bytes of padded base64, or where the first mistake is. As Go reads it: line breaks are passed over, and bits
 * that are left over may be anything.
 */
export function decodeBase64(text: string, alphabet: Base64Alphabet): Buffer | number {
  const plain = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text;
  return plain.length % 4 === 0 && COMPLETE[alphabet].test(plain)
    ? Buffer.from(plain, 'base64')
    : findMistake(text, alphabet);
}

/** base64url that may lack its padding, which is completed by its length with line breaks, as OPA does. */
export function decodeBase64Url(text: string): Buffer | number {
  if (text.endsWith('=')) return decodeBase64(text, 'url');
  const rest = text.length % 4;
  return decodeBase64(rest === 2 ? `${text}==` : rest === 3 ? `${text}=` : text, 'url');
}

/** Go's words for a mistake there. */
export function base64Mistake(at: number): string {
  return `illegal base64 data at input byte ${at}`;
}

const DIGIT: Readonly<Record<Base64Alphabet, RegExp>> = { standard: /[A-Za-z0-9+/]/, url: /[A-Za-z0-9_-]/ };

/** Go's position: of a character that may not stand there, else of the group that is not complete. */
function findMistake(text: string, alphabet: Base64Alphabet): number {
  const digit = DIGIT[alphabet];
  let inGroup = 0;
  let at = 0;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (isLineBreak(character)) continue;
    if (digit.test(character)) {
      inGroup = (inGroup + 1) % 4;
      continue;
    }
    if (character !== '=' || inGroup < 2) return at;
    let next = skipLineBreaks(text, at + 1);
    if (inGroup === 2) {
      if (next === text.length) return next;
      if (text.charAt(next) !== '=') return next - 1;
      next = skipLineBreaks(text, next + 1);
    }
    return next;
  }
  return at - inGroup;
}

function isLineBreak(character: string): boolean {
  return character === '\n' || character === '\r';
}

function skipLineBreaks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isLineBreak(text.charAt(at))) at++;
  return at;
}
