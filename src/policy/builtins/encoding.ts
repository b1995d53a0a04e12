import { isRegoArray, RegoObject, RegoSet, type RegoValue } from '../rego-value.ts';
import { asString, type Builtin, type Builtins, FAILED, objectAt, stringAt } from './builtin.ts';
import { toText } from './bytes.ts';

/** OPA's encodings that Wasm leaves to the host, but for YAML. */
export const ENCODING_BUILTINS: Builtins = new Map<string, Builtin>([
  ['hex.encode', (args) => Buffer.from(stringAt(args, 0)).toString('hex')],
  ['hex.decode', (args) => decodeHex(stringAt(args, 0))],
  ['base64url.encode_no_pad', (args) => Buffer.from(stringAt(args, 0)).toString('base64url')],
  ['urlquery.encode', (args) => queryEscape(stringAt(args, 0))],
  ['urlquery.decode', (args) => queryUnescape(stringAt(args, 0))],
  ['urlquery.encode_object', (args) => encodeQuery(objectAt(args, 0))],
  ['urlquery.decode_object', (args) => decodeQuery(stringAt(args, 0))],
]);

function decodeHex(text: string): string {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw FAILED;
  return toText(Buffer.from(text, 'hex'));
}

/** What `encodeURIComponent` leaves alone and Go's `url.QueryEscape` does not. */
const LEFT_ALONE = /[!'()*]|%20/g;

function queryEscape(text: string): string {
  return encodeURIComponent(text).replace(LEFT_ALONE, (found) =>
    found === '%20' ? '+' : `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function queryUnescape(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw FAILED;
  if (!/[%+]/.test(text)) return text;
  const bytes = Buffer.from(text.replaceAll('+', ' '));
  const out = Buffer.alloc(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x25) {
      out[length++] = Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16);
      at += 2;
    } else {
      out[length++] = byte;
    }
  }
  return toText(out.subarray(0, length));
}

function encodeQuery(object: RegoObject): string {
  const pairs: string[] = [];
  const names = object.entries.map(([name]) => asString(name));
  for (const name of [...new Set(names)].sort(compareBytes)) {
    for (const value of queryValues(object.get(name))) pairs.push(`${queryEscape(name)}=${queryEscape(value)}`);
  }
  return pairs.join('&');
}

function queryValues(value: RegoValue | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  if (isRegoArray(value)) return value.map(asString);
  if (value instanceof RegoSet) return value.items.map(asString).sort(compareBytes);
  throw FAILED;
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function decodeQuery(query: string): RegoObject {
  const values = new Map<string, string[]>();
  for (const piece of query.split('&')) {
    if (piece === '') continue;
    if (piece.includes(';')) throw FAILED;
    const cut = piece.indexOf('=');
    const name = queryUnescape(cut < 0 ? piece : piece.slice(0, cut));
    const value = cut < 0 ? '' : queryUnescape(piece.slice(cut + 1));
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  return new RegoObject([...values]);
}
