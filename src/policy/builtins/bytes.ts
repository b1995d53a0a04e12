import { isUtf8 } from 'node:buffer';

/**
 * Decoded bytes as a text. OPA's texts are bytes; ours are Unicode, so what is no UTF-8 has no faithful form here and
 * fails the evaluation: two different values must not look alike to the policy.
 */
export function toText(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new Error('a builtin decoded bytes that are no UTF-8, which no text here can hold');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

const BASE64URL = /^[A-Za-z0-9_-]*(={0,2})$/;

/** base64url with or without padding, strictly; `undefined` for anything else. Go ignores line breaks in it, so do we. */
export function fromBase64Url(text: string): Buffer | undefined {
  const plain = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text;
  if (!BASE64URL.test(plain)) return undefined;
  const padded = plain.endsWith('=');
  const digits = padded ? plain.slice(0, plain.indexOf('=')) : plain;
  if (digits.length % 4 === 1) return undefined;
  if (padded && plain.length % 4 !== 0) return undefined;
  // The padding is completed by the length before line breaks are dropped, as OPA does.
  if (!padded && text.length % 4 !== plain.length % 4) return undefined;
  return Buffer.from(digits, 'base64url');
}
