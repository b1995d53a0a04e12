/**
 * Makes JSON text safe as one line for every reader: JSON.stringify leaves U+2028, U+0085 and other C1 controls as they
 * are, which some readers split lines at and terminals obey, and bidirectional overrides, which hide text from the eye.
 */
export function toSafeLine(json: string): string {
  return UNSAFE.test(json) ? json.replace(ALL_UNSAFE, escapeOne) : json;
}

/** A text as JSON writes it, safe in a line as {@link toSafeLine} makes it. */
export function quoteSafe(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : toSafeLine(JSON.stringify(text));
}

/** Printable ASCII without quotation mark and backslash: what JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;
const UNSAFE = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/;
const ALL_UNSAFE = new RegExp(UNSAFE.source, 'g');

function escapeOne(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
