import { isObject } from './json.ts';

/** Name–value pairs in order; a repeated name carries several values. Names are lower case. */
export type HeaderPairs = readonly (readonly [string, string])[];

/** Reads header changes: an object, or a list of objects, of texts or lists of texts. A text result is the fault. */
export function parseHeaders(value: unknown, key: string): HeaderPairs | string {
  if (value === undefined) return [];
  const objects = Array.isArray(value) ? value : [value];
  const pairs: [string, string][] = [];
  for (const object of objects) {
    if (!isObject(object)) return `\`${key}\` is neither an object nor a list of objects`;
    for (const [name, one] of Object.entries(object)) {
      const fault = refusedName(name);
      if (fault !== undefined) return `\`${key}\` names a header that ${fault}`;
      const values = Array.isArray(one) ? one : [one];
      for (const text of values) {
        if (typeof text !== 'string') return `\`${key}\` has a value that is not a text`;
        if (!text.isWellFormed()) return `\`${key}\` has a value that is not a text`;
        if (!FIELD_VALUE.test(text)) return `\`${key}\` has a value with a control character`;
        pairs.push([name.toLowerCase(), text]);
      }
    }
  }
  return pairs;
}

/** Reads names of headers to remove, under the same rules as names to set. A text result is the fault. */
export function parseHeaderNames(names: readonly string[], key: string): string[] | string {
  for (const name of names) {
    const fault = refusedName(name);
    if (fault !== undefined) return `\`${key}\` names a header that ${fault}`;
  }
  return names.map((name) => name.toLowerCase());
}

/** Both lists, without what the first has under names of the second. */
export function overlaid(headers: HeaderPairs, ours: HeaderPairs): HeaderPairs {
  if (headers.length === 0) return ours;
  return headers.filter(([name]) => !ours.some(([other]) => other === name)).concat(ours);
}

/** RFC 9110 §5.6.2 token. */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
/** RFC 9110 §5.5 without the control characters; Envoy answers 503 to a newline. */
const FIELD_VALUE = /^[\t\x20-\x7e\u0080-\u{10ffff}]*$/u;

const FRAMING = new Set(['host', 'content-length', 'transfer-encoding']);
/** RFC 9110 §7.6.1. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
]);

/** Why a policy may not set or remove this header, `undefined` when it may. */
export function refusedName(name: string): string | undefined {
  if (!FIELD_NAME.test(name)) return 'HTTP does not allow (pseudo headers included)';
  const lower = name.toLowerCase();
  if (FRAMING.has(lower)) return 'frames the message';
  if (HOP_BY_HOP.has(lower)) return 'belongs to the connection';
  if (lower.startsWith('x-envoy-')) return 'belongs to Envoy';
  if (lower.startsWith('x-sallyport-')) return 'belongs to Sallyport';
  return undefined;
}
