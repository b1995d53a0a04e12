import { parseJson } from '../values/json.ts';
import { isArray, isObject, memberOf } from '../values/object.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { base64Mistake, decodeBase64Url } from './base64.ts';
import { type BuiltinContext, builtinFailure, textOperand } from './builtin.ts';

/** The parts of a compact JWS (RFC 7515 §3.1), not decoded. */
export interface Token {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** What the signature is over. */
  readonly signed: string;
}

/** Tokens beyond this are refused. */
const MAX_CHARACTERS = 262_144;

/** What a token costs beside its length, in steps of some 10 ns. */
const CALL_STEPS = 100;

/** The parts of a token, which prove nothing. */
export function splitToken(context: BuiltinContext, operand: Value): Token {
  const text = textOperand(context, operand, 1);
  if (text.length > MAX_CHARACTERS) {
    throw builtinFailure(context, `encoded JWT is longer than ${MAX_CHARACTERS} characters`);
  }
  context.charge(text.length + CALL_STEPS);
  const first = text.indexOf('.');
  if (first < 0) throw builtinFailure(context, 'encoded JWT had no period separators');
  const second = text.indexOf('.', first + 1);
  if (second < 0 || text.includes('.', second + 1)) {
    throw builtinFailure(context, `encoded JWT must have 3 sections, found ${text.split('.').length}`);
  }
  return {
    header: text.slice(0, first),
    payload: text.slice(first + 1, second),
    signature: text.slice(second + 1),
    signed: text.slice(0, second),
  };
}

/** The bytes of one part; a failure says which one it was after `what`. */
export function decodePart(context: BuiltinContext, part: string, what: string): Buffer {
  if (part.length % 4 === 1 && !part.endsWith('=')) throw builtinFailure(context, `${what}illegal base64url string`);
  const bytes = decodeBase64Url(part);
  if (typeof bytes === 'number') throw builtinFailure(context, `${what}${base64Mistake(bytes)}`);
  return bytes;
}

export function decodeSignature(context: BuiltinContext, { signature }: Token): Buffer {
  return decodePart(context, signature, '');
}

export function decodePayload(context: BuiltinContext, { payload }: Token): string {
  return decodePart(context, payload, 'JWT payload had invalid encoding: ').toString('utf8');
}

/** A token's header as it is. One with `enc` is of an encrypted token, which nobody here reads. */
export function decodeHeader(context: BuiltinContext, { header }: Token): ObjectValue {
  const text = decodePart(context, header, 'JWT header had invalid encoding: ').toString('utf8');
  const value = jsonObject(context, text, 'bad JWT header: ');
  if (memberOf(value, 'enc') !== undefined) {
    throw builtinFailure(context, 'JWT is a JWE object, which is not supported');
  }
  return value;
}

/** JSON text as an object. */
export function jsonObject(context: BuiltinContext, text: string, what: string): ObjectValue {
  const value = parseJson(text);
  if (value === undefined) throw builtinFailure(context, `${what}invalid JSON`);
  if (!isObject(value)) throw builtinFailure(context, `${what}decoded JSON type was not an Object`);
  return value;
}

export interface Header {
  readonly alg: string;
  readonly kid: string;
  readonly cty: string;
  /** Whether it names an algorithm, and nothing critical that is unknown (RFC 7515 §4.1.11). */
  readonly valid: boolean;
}

const KNOWN = new Set(['alg', 'kid', 'typ', 'cty', 'crit']);

/** What a header says of the signature. */
export function readHeader(context: BuiltinContext, header: ObjectValue): Header {
  const alg = headerText(context, header, 'alg');
  const critical = readCritical(context, header);
  const cty = headerText(context, header, 'cty');
  const kid = headerText(context, header, 'kid');
  headerText(context, header, 'typ');
  // As in OPA a critical name that the header itself does not have is passed over.
  const unknown = critical.some((name) => !KNOWN.has(name) && memberOf(header, name) !== undefined);
  return { alg, kid, cty, valid: alg !== '' && !unknown };
}

function headerText(context: BuiltinContext, header: ObjectValue, name: string): string {
  const value = memberOf(header, name);
  if (value === undefined) return '';
  if (typeof value !== 'string') throw builtinFailure(context, `${name}: must be a string`);
  return value;
}

/** The names up to the first that is none, as OPA reads them. */
function readCritical(context: BuiltinContext, header: ObjectValue): readonly string[] {
  const list = memberOf(header, 'crit');
  if (list === undefined) return [];
  if (!isArray(list)) throw builtinFailure(context, 'crit: must be a list');
  const names: string[] = [];
  for (const name of list) {
    if (typeof name !== 'string') break;
    names.push(name);
  }
  if (names.length === 0) throw builtinFailure(context, 'crit: must be a nonempty list');
  return names;
}
