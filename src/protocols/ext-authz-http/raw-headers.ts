import type { RequestHeaders } from '../../decision/access-request.ts';
import { RequestFault } from '../../decision/errors.ts';

/** The headers of a check as they came over the wire, before anything was left out. */
export interface RawHeaders extends RequestHeaders {
  entries(): Iterable<readonly [string, readonly string[]]>;
}

/**
 * Reads Node's `rawHeaders`: names lower case, every value kept. Node hands out bytes as latin1; they are read as
 * UTF-8 again, and a `RequestFault` `malformed_request` says that they are none.
 */
export function readRawHeaders(raw: readonly string[]): RawHeaders {
  const byName = new Map<string, string[]>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    const value = readUtf8(raw[index + 1] ?? '');
    const values = byName.get(name);
    if (values === undefined) byName.set(name, [value]);
    else values.push(value);
  }
  return {
    all: (name) => byName.get(name) ?? NONE,
    names: () => byName.keys(),
    entries: () => byName,
  };
}

/** Headers without the named ones. */
export function withoutHeaders(headers: RawHeaders, names: ReadonlySet<string>): RawHeaders {
  const kept = new Map<string, readonly string[]>();
  for (const [name, values] of headers.entries()) if (!names.has(name)) kept.set(name, values);
  return {
    all: (name) => kept.get(name) ?? NONE,
    names: () => kept.keys(),
    entries: () => kept,
  };
}

/** The text whose UTF-8 bytes Node handed out as latin1. */
export function readUtf8(latin1: string): string {
  if (!BEYOND_ASCII.test(latin1)) return latin1;
  try {
    return utf8.decode(Buffer.from(latin1, 'latin1'));
  } catch (cause) {
    throw new RequestFault('malformed_request', 'a header or the request target is not UTF-8', { cause });
  }
}

/** The opposite: what Node has to be given so that the UTF-8 bytes of the text go out. */
export function writeUtf8(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

const NONE: readonly string[] = Object.freeze([]);
const BEYOND_ASCII = /[^\0-\x7f]/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
