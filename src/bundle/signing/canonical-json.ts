import { isObject } from '../../decision/json.ts';

/**
 * Parses a JSON object from the one text that `JSON.stringify` gives for it: without blanks, escapes, duplicate keys, or
 * a second way to write a number, so that no two readers differ and no byte is free. `undefined` for any other text.
 */
export function parseCanonicalJson(text: string): { readonly [key: string]: unknown } | undefined {
  // Before any parse: V8 of Node 24 takes an escaped key of one text for that of a later one (nodejs/node#63785).
  if (text.includes('\\') || !text.isWellFormed()) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && JSON.stringify(value) === text ? value : undefined;
  } catch {
    // Not JSON; nesting that exhausts the stack ends here too.
    return undefined;
  }
}

/** Decodes base64url in its one canonical form: no padding, no stray bits, no foreign characters. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 to text, or `undefined` where it is none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    // Not UTF-8.
    return undefined;
  }
}
