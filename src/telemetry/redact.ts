import type { LogFields } from './logger.ts';

/**
 * A copy of log fields that holds no credential: members named like one are replaced, and so are tokens and passwords
 * inside texts. Bounded in depth, width and length, so that no request can make a long line.
 */
export function redactFields(fields: LogFields): { [name: string]: unknown } {
  return copyObject(fields, 0);
}

/** Replaces what looks like a token or a password in a URL, and cuts the text at 2,048 characters. */
export function redactText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  if (!LOOKS_SECRET.test(cut)) return cut;
  return cut
    .replace(TOKEN, REDACTED)
    .replace(SCHEME_AND_TOKEN, `$1 ${REDACTED}`)
    .replace(URL_PASSWORD, `://${REDACTED}@`);
}

const REDACTED = '[redacted]';
const MAX_TEXT = 2048;
const MAX_DEPTH = 4;
const MAX_MEMBERS = 64;

const LOOKS_SECRET = /eyJ|bearer|basic|:\/\//i;
/** A compact JWS or JWE; the repetition is bounded, so that many beginnings cost no more than one. */
const TOKEN = /eyJ[\w-]{8,2048}(?:\.[\w-]{0,2048}){0,4}/g;
/** A word after the scheme is a credential when it has a digit or a capital: `bearer token` is plain English. */
const SCHEME_AND_TOKEN = /\b([Bb]earer|BEARER|[Bb]asic|BASIC) (?=[\w.~+/=-]{0,256}[A-Z0-9])[\w.~+/=-]{4,2048}/g;
const URL_PASSWORD = /:\/\/[^\s/@]{1,256}@/g;

const SECRET_NAME =
  /^(?:(?:proxy[-_])?authorization|(?:set[-_])?cookie|x[-_]api[-_]key|api[-_]?keys?|(?:access|id|refresh|bearer)?[-_]?tokens?|.{0,64}(?:secret|password|passwd)|credentials?|private[-_]?key|presented)$/i;

function copyObject(object: object, depth: number): { [name: string]: unknown } {
  const copy: { [name: string]: unknown } = Object.create(null);
  let members = 0;
  for (const [name, value] of Object.entries(object)) {
    if (++members > MAX_MEMBERS) break;
    copy[name] = SECRET_NAME.test(name) ? REDACTED : copyValue(value, depth + 1);
  }
  return copy;
}

function copyValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    case 'object':
      return copyReference(value, depth);
    case 'bigint':
      return String(value);
    case 'function':
    case 'symbol':
      return undefined;
  }
}

function copyReference(value: object | null, depth: number): unknown {
  if (value === null) return null;
  if (depth > MAX_DEPTH) return '[deeper]';
  if (value instanceof Error) return errorFields(value, depth);
  if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((item) => copyValue(item, depth + 1));
  if (value instanceof Map) return copyObject(Object.fromEntries(value), depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  return copyObject(value, depth);
}

function errorFields(error: Error, depth: number): { [name: string]: unknown } {
  const fields: { [name: string]: unknown } = { type: error.name, message: redactText(error.message) };
  if ('code' in error && typeof error.code === 'string') fields['code'] = redactText(error.code);
  if (error.stack !== undefined) fields['stack'] = redactText(error.stack);
  if (error.cause !== undefined) fields['cause'] = copyValue(error.cause, depth + 1);
  return fields;
}
