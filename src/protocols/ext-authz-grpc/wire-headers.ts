import { isUtf8 } from 'node:buffer';
import type { RequestHeaders } from '../../decision/access-request.ts';
import { ownText } from '../../decision/own-text.ts';
import { WireFault } from '../../listener/wire-fault.ts';
import { fieldOf, textOf, type WireMessage } from '../../listener/wire-message.ts';
import { HeaderMap, HeaderValue } from './check-request.ts';

/**
 * The headers as Envoy's `headers` map carries them: one entry a name, duplicates joined with a bare comma by Envoy
 * and not split again here, because a comma may belong to a value. Pseudo headers are left out.
 */
export function fromHeaders(headers: ReadonlyMap<string, string>): RequestHeaders {
  const names: string[] = [];
  for (const name of headers.keys()) {
    if (!isLowerCase(name)) return fromPairs(headers);
    if (!isPseudo(name)) names.push(name);
  }
  return new LowerCaseHeaders(headers, names);
}

/** A class, so that the members are made once and not for every request. */
class LowerCaseHeaders implements RequestHeaders {
  readonly #headers: ReadonlyMap<string, string>;
  readonly #names: readonly string[];

  constructor(headers: ReadonlyMap<string, string>, names: readonly string[]) {
    this.#headers = headers;
    this.#names = names;
  }

  all(name: string): readonly string[] {
    const value = isPseudo(name) ? undefined : this.#headers.get(name);
    return value === undefined ? NONE : [value];
  }

  names(): readonly string[] {
    return this.#names;
  }
}

/**
 * The headers as `header_map` carries them under `encode_raw_headers`: every value in order. Throws a
 * {@link WireFault} for a value that is no UTF-8, or one that is given twice, as text and as bytes.
 */
export function fromHeaderMap(headerMap: WireMessage): RequestHeaders {
  const sent = fieldOf(headerMap, HeaderMap.fields.headers) ?? [];
  return fromPairs(sent.map((header) => [textOf(header, HeaderValue.fields.key), headerValue(header)]));
}

const NONE: readonly string[] = [];

function headerValue(header: WireMessage): string {
  const value = textOf(header, HeaderValue.fields.value);
  const raw = fieldOf(header, HeaderValue.fields.rawValue);
  if (raw === undefined || raw.length === 0) return value;
  if (value !== '') throw new WireFault('`HeaderValue` has both `value` and `raw_value`');
  if (!isUtf8(raw)) throw new WireFault('`HeaderValue.rawValue` is not valid UTF-8');
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('utf8');
}

function fromPairs(pairs: Iterable<readonly [string, string]>): RequestHeaders {
  const byName = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    if (isPseudo(name)) continue;
    const lower = name.toLowerCase();
    const values = byName.get(lower);
    if (values === undefined) byName.set(lower, [value]);
    else values.push(value);
  }
  return {
    all: (name) => byName.get(name) ?? NONE,
    names: () => byName.keys(),
  };
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === COLON;
}

const COLON = 0x3a;

/** Names that were looked at before: most requests have the same ones. */
const LOWER_CASE = new Set<string>();
const MAX_LOWER_CASE = 512;
const LONGEST_KEPT = 64;

/** Whether a name is ASCII without capitals, as Envoy sends every one; anything else goes the slower way. */
function isLowerCase(name: string): boolean {
  if (LOWER_CASE.has(name)) return true;
  if (!hasNoCapitals(name)) return false;
  if (LOWER_CASE.size < MAX_LOWER_CASE && name.length <= LONGEST_KEPT) LOWER_CASE.add(ownText(name));
  return true;
}

function hasNoCapitals(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if ((code >= 0x41 && code <= 0x5a) || code >= 0x80) return false;
  }
  return true;
}
