/** The parameters of a form, each of which was sent once. */
export type Form = ReadonlyMap<string, string>;

const MAX_PARAMETERS = 32;

/**
 * Reads `application/x-www-form-urlencoded` strictly: `undefined` for bytes that are no UTF-8, a bad escape, too many
 * parameters, or one that is there twice (RFC 6749 §3.2).
 */
export function parseForm(bytes: Uint8Array): Form | undefined {
  const form = new Map<string, string>();
  try {
    const pieces = utf8.decode(bytes).split('&', MAX_PARAMETERS + 1);
    if (pieces.length > MAX_PARAMETERS) return undefined;
    for (const piece of pieces) {
      if (piece === '') continue;
      const end = piece.indexOf('=');
      const name = decodeFormText(end === -1 ? piece : piece.slice(0, end));
      if (form.has(name)) return undefined;
      form.set(name, end === -1 ? '' : decodeFormText(piece.slice(end + 1)));
    }
  } catch {
    return undefined;
  }
  return form;
}

/** One name or value of a form; throws an error when it is not encoded as one. */
export function decodeFormText(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
