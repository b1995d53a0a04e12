import { createSecretKey } from 'node:crypto';
import { compareNumbers, isNumber, numberOfDouble, toDouble } from '../values/number.ts';
import { isArray, memberOf, sortedEntries } from '../values/object.ts';
import type { NumberValue, ObjectValue, Value } from '../values/value.ts';
import { type BuiltinContext, builtinFailure, nowNs, objectOperand } from './builtin.ts';
import { toBytes } from './bytes.ts';
import type { Jwk } from './jwk.ts';
import { anyKey, verificationKeys } from './jwt-keys.ts';
import { algorithmOf, verifyingHalf, verifySignature } from './jwt-signature.ts';
import {
  decodeHeader,
  decodePayload,
  decodeSignature,
  type Header,
  jsonObject,
  readHeader,
  splitToken,
  type Token,
} from './jwt-token.ts';

const UNVERIFIED: Value = [false, {}, {}];

/**
 * `io.jwt.decode_verify`: whether the token, and each one around it, is signed by one of the keys and meets the
 * constraints, with its header and claims. The algorithm is the token's, of those that the key is for.
 */
export function decodeVerify(context: BuiltinContext, operand: Value, given: Value): Value {
  const constraints = readConstraints(context, objectOperand(context, given, 2));
  let current = operand;
  for (;;) {
    const token = splitToken(context, current);
    const header = decodeHeader(context, token);
    const parsed = readHeader(context, header);
    if (!parsed.valid || (constraints.alg !== '' && constraints.alg !== parsed.alg)) return UNVERIFIED;
    if (!isSigned(context, token, parsed, constraints)) return UNVERIFIED;
    const payload = decodePayload(context, token);
    // A token within is shorter by a quarter.
    if (parsed.cty.toLowerCase() === 'jwt') {
      current = payload;
      continue;
    }
    const claims = jsonObject(context, payload, '');
    return meets(context, claims, constraints) ? [true, header, claims] : UNVERIFIED;
  }
}

interface Constraints {
  readonly keys: readonly Jwk[];
  readonly alg: string;
  readonly iss: string;
  readonly aud: string;
  readonly timeNs: number;
}

function readConstraints(context: BuiltinContext, given: ObjectValue): Constraints {
  const texts = { alg: '', iss: '', aud: '', secret: '' };
  let keys: readonly Jwk[] | undefined;
  let timeNs: number | undefined;
  for (const [key, value] of sortedEntries(given)) {
    const name = typeof key === 'string' ? key : '';
    switch (name) {
      case 'alg':
      case 'aud':
      case 'iss':
      case 'secret':
        texts[name] = constraintText(context, name, value);
        break;
      case 'cert':
        keys = verificationKeys(context, constraintText(context, name, value));
        break;
      case 'time':
        timeNs = timeOf(context, value);
        break;
      default:
        throw builtinFailure(context, `unknown token validation constraint: ${name}`);
    }
  }
  const { secret, ...rest } = texts;
  if (keys !== undefined && secret !== '') throw builtinFailure(context, 'duplicate key constraints');
  if (keys === undefined && secret === '') throw builtinFailure(context, 'no key constraint');
  return { ...rest, keys: keys ?? [secretKey(secret)], timeNs: timeNs ?? timeOf(context, nowNs(context)) };
}

function secretKey(secret: string): Jwk {
  return { alg: undefined, kid: undefined, key: createSecretKey(toBytes(secret)) };
}

function constraintText(context: BuiltinContext, name: string, value: Value): string {
  if (typeof value !== 'string') throw builtinFailure(context, `${name} constraint: must be a string`);
  return value;
}

function timeOf(context: BuiltinContext, value: Value): number {
  if (!isNumber(value)) throw builtinFailure(context, 'token time constraint: must be a number');
  const time = toDouble(value);
  if (!Number.isFinite(time)) throw builtinFailure(context, 'token time constraint: unvalid float64');
  if (time < 0) throw builtinFailure(context, 'token time constraint: must not be negative');
  return time;
}

function isSigned(context: BuiltinContext, token: Token, header: Header, { keys }: Constraints): boolean {
  const signature = decodeSignature(context, token);
  const algorithm = algorithmOf(header.alg);
  if (algorithm === undefined) return false;
  return anyKey(keys, header, (key) =>
    verifySignature(context, algorithm, verifyingHalf(key), token.signed, signature, true),
  );
}

function meets(context: BuiltinContext, claims: ObjectValue, { iss, aud, timeNs }: Constraints): boolean {
  if (iss !== '') {
    const issuer = memberOf(claims, 'iss');
    if (issuer !== undefined && typeof issuer !== 'string') throw builtinFailure(context, 'iss value must be a string');
    if (issuer !== iss) return false;
  }
  // A token that names an audience needs the constraint, and the other way round.
  const audience = memberOf(claims, 'aud');
  if (audience === undefined ? aud !== '' : !isAudience(audience, aud)) return false;
  const seconds = numberOfDouble(timeNs / 1e9);
  const expires = claimedTime(context, claims, 'exp');
  if (expires !== undefined && compareNumbers(seconds, expires) >= 0) return false;
  const notBefore = claimedTime(context, claims, 'nbf');
  return notBefore === undefined || compareNumbers(seconds, notBefore) >= 0;
}

function isAudience(value: Value, wanted: string): boolean {
  return isArray(value) ? value.includes(wanted) : value === wanted;
}

function claimedTime(context: BuiltinContext, claims: ObjectValue, name: string): NumberValue | undefined {
  const value = memberOf(claims, name);
  if (value !== undefined && !isNumber(value)) throw builtinFailure(context, `${name} value must be a number`);
  return value;
}
