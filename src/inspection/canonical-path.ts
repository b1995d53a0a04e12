import { Buffer, isUtf8 } from 'node:buffer';
import { isRefusal, malformed, type Refusal, refuse } from './refusal.ts';

/** A target that every upstream resolves to the same resource. */
export interface CanonicalPath {
  readonly kind: 'path';
  /** Percent-decoded, without query. */
  readonly path: string;
  /** What stands between the slashes, decoded; empty only in the last place, for a trailing slash. */
  readonly segments: readonly string[];
  /** Undecoded, without the `?`. */
  readonly query: string;
}

/**
 * Reads a raw request target (RFC 9112 §3.2.1 origin-form only) or refuses what upstreams resolve differently: dot
 * segments, `//`, `;`, `\`, `#`, encoded delimiters and controls, double encoding, invalid UTF-8 and look-alikes.
 * A trailing slash is kept: `/a/` is not `/a`, and matches only a route that declares it.
 */
export function canonicalPath(target: string): CanonicalPath | Refusal {
  if (target.length > MAX_TARGET) return malformed('the target is longer than 64 KiB');
  if (target === '') return malformed('the target is empty');
  if (target.charCodeAt(0) !== SLASH) return ambiguous('the target does not begin with `/`');
  const segments: string[] = [];
  let decoded = false;
  let escaped = false;
  let start = 1;
  let position = 1;
  for (; position < target.length; position++) {
    const kind = KINDS[target.charCodeAt(position)];
    if (kind === PLAIN) continue;
    if (kind === PERCENT) {
      escaped = true;
    } else if (kind === SEPARATOR) {
      const segment = readSegment(target.slice(start, position), escaped);
      if (isRefusal(segment)) return segment;
      if (segment === '') return ambiguous('the path has an empty segment');
      segments.push(segment);
      decoded ||= escaped;
      escaped = false;
      start = position + 1;
    } else if (kind === QUERY) {
      break;
    } else if (kind === DELIMITER) {
      return ambiguous('the path holds `;`, `#` or a backslash');
    } else {
      return malformed('the path holds a byte that is no visible ASCII character');
    }
  }
  if (position > MAX_PATH) return malformed('the path is longer than 8 KiB');
  const last = readSegment(target.slice(start, position), escaped);
  if (isRefusal(last)) return last;
  segments.push(last);
  const query = target.slice(position + 1);
  const fault = queryFault(query);
  if (fault !== undefined) return fault;
  const path = decoded || escaped ? `/${segments.join('/')}` : target.slice(0, position);
  return { kind: 'path', path, segments, query };
}

/** The path as it was sent, for the policies of those who turned the check off. */
export function rawPath(target: string): string | Refusal {
  if (target.length > MAX_TARGET) return malformed('the target is longer than 64 KiB');
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

/** Whether a segment is one of those that file systems and URL resolvers give a meaning: `.`, `..`, `...`, `.. `. */
export function isDotSegment(segment: string): boolean {
  let dots = 0;
  for (let i = 0; i < segment.length; i++) {
    const code = segment.charCodeAt(i);
    if (code === DOT) dots++;
    else if (code !== SPACE) return false;
  }
  return dots > 0;
}

const MAX_TARGET = 64 * 1024;
const MAX_PATH = 8 * 1024;

const SPACE = 0x20;
const PERCENT_SIGN = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;

/** What a raw ASCII character is in a path; what is not ASCII has no entry. */
const PLAIN = 1;
const SEPARATOR = 2;
const PERCENT = 3;
const QUERY = 4;
const DELIMITER = 5;
const KINDS = new Uint8Array(128);
KINDS.fill(PLAIN, 0x21, 0x7f);
KINDS[SLASH] = SEPARATOR;
KINDS[PERCENT_SIGN] = PERCENT;
KINDS[0x3f] = QUERY;
for (const delimiter of [';', '#', '\\']) KINDS[delimiter.charCodeAt(0)] = DELIMITER;

function readSegment(raw: string, escaped: boolean): string | Refusal {
  const segment = escaped ? decodeSegment(raw) : raw;
  if (isRefusal(segment)) return segment;
  const first = segment.charCodeAt(0);
  if ((first === DOT || first === SPACE) && isDotSegment(segment)) return ambiguous('the path has a dot segment');
  return segment;
}

function decodeSegment(raw: string): string | Refusal {
  const bytes = Buffer.allocUnsafe(raw.length);
  let length = 0;
  let ascii = true;
  for (let i = 0; i < raw.length; i++) {
    let byte = raw.charCodeAt(i);
    if (byte === PERCENT_SIGN) {
      byte = hexPair(raw, i + 1);
      if (byte < 0) return malformed('the path has a bad percent escape');
      // RFC 3986 §2.2: a delimiter and its escape differ; upstreams that decode before they split do not know.
      if (byte < 0x20 || byte === 0x7f) return ambiguous('the path has an encoded control character');
      if (byte === SLASH || KINDS[byte] === DELIMITER || KINDS[byte] === QUERY) {
        return ambiguous('the path has an encoded delimiter');
      }
      i += 2;
    }
    if (byte >= 0x80) ascii = false;
    bytes[length++] = byte;
  }
  const decoded = bytes.subarray(0, length);
  if (ascii) {
    const text = decoded.toString('latin1');
    return DOUBLE_ENCODING.test(text) ? ambiguous('the path is encoded twice') : text;
  }
  if (!isUtf8(decoded)) return ambiguous('the path has an escape that is no UTF-8');
  return unicodeSegment(decoded.toString('utf8'));
}

/** What a second decoding would change, also in the old `%u002e` form. */
const DOUBLE_ENCODING = /%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f])/;
const C1_CONTROLS = /[\u0080-\u009f]/;
/** Characters that legacy code pages map to `/` or `\`, though Unicode normalisation does not. */
const SLASH_LOOK_ALIKES = /[\u2044\u2215\u2216\u29f5]/;
const DELIMITERS = /[/\\;?#]/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;

/** INVARIANT: compatibility normalisation (UTS #15) of an accepted segment brings forth no delimiter and no dots. */
function unicodeSegment(text: string): string | Refusal {
  if (C1_CONTROLS.test(text)) return ambiguous('the path has an encoded control character');
  const folded = text.normalize('NFKC').replace(IGNORABLE, '');
  if (SLASH_LOOK_ALIKES.test(text) || DELIMITERS.test(folded) || DOUBLE_ENCODING.test(folded)) {
    return ambiguous('the path has a look-alike of a delimiter');
  }
  return isDotSegment(folded) ? ambiguous('the path has a dot segment') : text;
}

function hexPair(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** The value of a hexadecimal digit, -1 for everything else, `NaN` included. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function queryFault(query: string): Refusal | undefined {
  for (let i = 0; i < query.length; i++) {
    const code = query.charCodeAt(i);
    if (code <= SPACE || code >= 0x7f) return malformed('the query holds a byte that is no visible ASCII character');
    if (code === 0x23) return ambiguous('the target has a fragment');
  }
  return undefined;
}

function ambiguous(cause: string): Refusal {
  return refuse('ambiguous_path', cause);
}
