/** OPA counts code points; texts here hold no lone surrogates, so that every high one begins a pair. */
export function codePointCount(text: string): number {
  return codePointsBefore(text, text.length);
}

/** How many code points stand before this place. */
export function codePointsBefore(text: string, end: number): number {
  let count = end;
  for (let at = 0; at < end; at++) if (isHighSurrogate(text.charCodeAt(at))) count--;
  return count;
}

/** The place so many code points further on; the end of the text where there are not so many. */
export function advance(text: string, from: number, codePoints: number): number {
  let at = from;
  for (let left = codePoints; left > 0 && at < text.length; left--) {
    at += isHighSurrogate(text.charCodeAt(at)) ? 2 : 1;
  }
  return at;
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}
