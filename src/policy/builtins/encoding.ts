import { textEntries } from '../values/json-text.ts';
import { define, isArray } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import { toRegoText } from '../values/text.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { base64Mistake, decodeBase64, decodeBase64Url } from './base64.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  objectOperand,
  operandFailure,
  textOperand,
} from './builtin.ts';
import { toBytes, toText } from './bytes.ts';
import { chargeText } from './operands.ts';

/** OPA's encodings but for JSON and YAML. Decoded bytes that are no UTF-8 fail the evaluation. */
export const ENCODING_BUILTINS: Builtins = new Map<string, Builtin>([
  ['base64.encode', (context, text) => bytesOf(context, text).toString('base64')],
  ['base64.decode', (context, text) => decoded(context, decodeBase64(textOperand(context, text, 1), 'standard'))],
  ['base64.is_valid', (_, text) => typeof text === 'string' && typeof decodeBase64(text, 'standard') !== 'number'],
  ['base64url.encode', (context, text) => padded(bytesOf(context, text).toString('base64url'))],
  ['base64url.encode_no_pad', (context, text) => bytesOf(context, text).toString('base64url')],
  ['base64url.decode', decodeUrl],
  ['hex.encode', (context, text) => bytesOf(context, text).toString('hex')],
  ['hex.decode', decodeHex],
  ['urlquery.encode', (context, text) => queryEscape(context, textOperand(context, text, 1))],
  ['urlquery.decode', (context, text) => queryUnescape(context, textOperand(context, text, 1))],
  ['urlquery.encode_object', encodeQuery],
  ['urlquery.decode_object', decodeQuery],
]);

/** The bytes of a text that is to be written with at most two characters a byte. */
function bytesOf(context: BuiltinContext, value: Value): Buffer {
  const text = textOperand(context, value, 1);
  chargeText(context, 2 * text.length);
  return toBytes(text);
}

function padded(text: string): string {
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}

function decoded(context: BuiltinContext, result: Buffer | number): string {
  if (typeof result === 'number') throw builtinFailure(context, base64Mistake(result));
  return toText(result);
}

function decodeUrl(context: BuiltinContext, value: Value): string {
  const text = textOperand(context, value, 1);
  if (!text.endsWith('=') && toBytes(text).length % 4 === 1) {
    throw builtinFailure(context, `illegal base64url string: ${text}`);
  }
  return decoded(context, decodeBase64Url(text));
}

const NO_HEX = /[^0-9a-fA-F]/;

function decodeHex(context: BuiltinContext, value: Value): string {
  const text = textOperand(context, value, 1);
  const wrong = text.search(NO_HEX);
  if (wrong >= 0) {
    const byte = Buffer.from(text.slice(wrong)).at(0) ?? 0;
    const hex = byte.toString(16).toUpperCase().padStart(4, '0');
    throw builtinFailure(context, `encoding/hex: invalid byte: U+${hex} '${String.fromCharCode(byte)}'`);
  }
  if (text.length % 2 !== 0) throw builtinFailure(context, 'encoding/hex: odd length hex string');
  return toText(Buffer.from(text, 'hex'));
}

/** What `encodeURIComponent` leaves alone and Go's `url.QueryEscape` does not. */
const LEFT_ALONE = /[!'()*]|%20/g;

function queryEscape(context: BuiltinContext, text: string): string {
  // At most three characters for each byte.
  chargeText(context, 3 * Buffer.byteLength(text));
  // A byte that is no UTF-8 is escaped as the byte that it is.
  if (!text.isWellFormed()) return escapeBytes(toBytes(text));
  return encodeURIComponent(text).replace(LEFT_ALONE, (found) =>
    found === '%20' ? '+' : `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const UNESCAPED = /[A-Za-z0-9_.~-]/;

function escapeBytes(bytes: Uint8Array): string {
  let escaped = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    if (UNESCAPED.test(character)) escaped += character;
    else escaped += byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return escaped;
}

const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/;
const ESCAPED = /[%+]/;

function queryUnescape(context: BuiltinContext, text: string): string {
  const wrong = text.search(BAD_ESCAPE);
  if (wrong >= 0) throw builtinFailure(context, `invalid URL escape ${toRegoText(text.slice(wrong, wrong + 3))}`);
  if (!ESCAPED.test(text)) return text;
  const bytes = toBytes(text.replaceAll('+', ' '));
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

function encodeQuery(context: BuiltinContext, value: Value): string {
  const pairs: string[] = [];
  for (const [name, member] of textEntries(objectOperand(context, value, 1))) {
    const values = typeof member === 'string' ? [member] : listOf(member);
    if (values === undefined) throw wrongValues(context);
    for (const each of values) {
      if (typeof each !== 'string') throw wrongValues(context);
      pairs.push(`${queryEscape(context, name)}=${queryEscape(context, each)}`);
    }
  }
  return pairs.join('&');
}

function listOf(value: Value): readonly Value[] | undefined {
  if (isArray(value)) return value;
  return value instanceof RegoSet ? value.sorted() : undefined;
}

function wrongValues(context: BuiltinContext): Error {
  return operandFailure(context, 1, 'values must be string, array[string], or set[string]');
}

function decodeQuery(context: BuiltinContext, value: Value): PlainObject {
  const values = new Map<string, string[]>();
  for (const piece of textOperand(context, value, 1).split('&')) {
    if (piece === '') continue;
    if (piece.includes(';')) throw builtinFailure(context, 'invalid semicolon separator in query');
    const cut = piece.indexOf('=');
    const name = queryUnescape(context, cut < 0 ? piece : piece.slice(0, cut));
    const text = cut < 0 ? '' : queryUnescape(context, piece.slice(cut + 1));
    const known = values.get(name);
    if (known === undefined) values.set(name, [text]);
    else known.push(text);
  }
  const object: PlainObject = {};
  for (const [name, list] of values) define(object, name, list);
  return object;
}
