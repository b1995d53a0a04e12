import { isJson, parseJson } from '../values/json.ts';
import { toJsonText } from '../values/json-text.ts';
import { isObject, memberOf } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import { type BuiltinContext, builtinFailure, textOperand } from './builtin.ts';
import { SIGNATURE_ALGORITHMS } from './jwk.ts';
import { signingKey } from './jwt-keys.ts';
import { algorithmOf, signText } from './jwt-signature.ts';

/** `io.jwt.encode_sign`: signs a header and claims that are values, by a JWK that is one. */
export function encodeSign(context: BuiltinContext, header: Value, payload: Value, key: Value): string {
  const options = { budget: context };
  return signToken(context, toJsonText(header, options), toJsonText(payload, options), toJsonText(key, options));
}

/** `io.jwt.encode_sign_raw`: the same from texts, which are signed as they are. */
export function encodeSignRaw(context: BuiltinContext, header: Value, payload: Value, key: Value): string {
  const keyText = textOperand(context, key, 3);
  return signToken(context, textOperand(context, header, 1), textOperand(context, payload, 2), keyText);
}

/** Keys come from the policy only: no file, no environment. */
function signToken(context: BuiltinContext, header: string, payload: string, keyText: string): string {
  const { key } = signingKey(context, keyText);
  context.charge(header.length + payload.length);
  const { alg, typ } = readHeader(context, header);
  if (!SIGNATURE_ALGORITHMS.has(alg)) throw builtinFailure(context, `unknown JWS algorithm: ${alg}`);
  if ((typ === undefined || typ === 'JWT') && !isJson(payload)) {
    throw builtinFailure(context, 'type is JWT but payload is not JSON');
  }
  const signed = `${toBase64Url(header)}.${toBase64Url(payload)}`;
  const algorithm = algorithmOf(alg);
  const signature = algorithm && signText(context, algorithm, key, signed);
  if (signature === undefined) throw builtinFailure(context, `the key cannot sign with \`${alg}\``);
  return `${signed}.${signature.toString('base64url')}`;
}

function toBase64Url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** What the library that OPA reads headers with takes for a number. */
const LOOSE_NUMBER = /^[-+.0-9eE]+$/;

function readHeader(context: BuiltinContext, text: string): { readonly alg: string; readonly typ: string | undefined } {
  const header = parseJson(text);
  if (header === undefined && !LOOSE_NUMBER.test(text.trim())) {
    const why = text.trim() === '' ? ': cannot parse empty string' : '';
    throw builtinFailure(context, `missing or invalid 'alg' header: cannot parse JSON${why}`);
  }
  const alg = isObject(header) ? memberOf(header, 'alg') : undefined;
  if (alg === undefined) {
    throw builtinFailure(context, `missing or invalid 'alg' header: jwsbb: header "alg" not found`);
  }
  if (typeof alg !== 'string') {
    throw builtinFailure(context, "missing or invalid 'alg' header: value doesn't contain string");
  }
  const typ = isObject(header) ? memberOf(header, 'typ') : undefined;
  return { alg, typ: typeof typ === 'string' ? typ : undefined };
}
