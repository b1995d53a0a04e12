import { isRegoArray, parseJsonText, RegoNumber, RegoObject, type RegoValue } from '../rego-value.ts';
import {
  asString,
  type Builtin,
  type BuiltinContext,
  type Builtins,
  FAILED,
  nowNs,
  objectAt,
  stringAt,
} from './builtin.ts';
import { fromBase64Url, toText } from './bytes.ts';
import { ALGORITHMS, parseKeys, type VerificationKey } from './jwt-keys.ts';
import { type Digest, type SignatureFamily, verifyByAlgorithm, verifyHmac, verifySignature } from './jwt-signature.ts';

/** OPA's `io.jwt` family without signing. What it calls an error makes the expression undefined. */
export const JWT_BUILTINS: Builtins = new Map<string, Builtin>([
  ['io.jwt.decode', (args) => decode(stringAt(args, 0))],
  ['io.jwt.decode_verify', (args, context) => decodeVerify(stringAt(args, 0), objectAt(args, 1), context)],
  ['io.jwt.verify_eddsa', verifier('EdDSA', 'sha512')],
  ...(['256', '384', '512'] as const).flatMap((size) => sized(size)),
]);

function sized(size: '256' | '384' | '512'): readonly (readonly [string, Builtin])[] {
  const digest: Digest = `sha${size}`;
  return [
    [`io.jwt.verify_rs${size}`, verifier('RS', digest)],
    [`io.jwt.verify_ps${size}`, verifier('PS', digest)],
    [`io.jwt.verify_es${size}`, verifier('ES', digest)],
    [
      `io.jwt.verify_hs${size}`,
      (args) => {
        const { signed, signature } = split(stringAt(args, 0));
        return verifyHmac(digest, stringAt(args, 1), signed, decodePart(signature));
      },
    ],
  ];
}

interface Token {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** What the signature is over. */
  readonly signed: string;
}

function split(token: string): Token {
  const [header, payload, signature, more] = token.split('.', 4);
  if (header === undefined || payload === undefined || signature === undefined || more !== undefined) throw FAILED;
  return { header, payload, signature, signed: `${header}.${payload}` };
}

function decodePart(part: string): Buffer {
  const bytes = fromBase64Url(part);
  if (bytes === undefined) throw FAILED;
  return bytes;
}

function decodeObject(text: string): RegoObject {
  const value = parseJsonText(text);
  if (!(value instanceof RegoObject)) throw FAILED;
  return value;
}

/** A header with `enc` is of an encrypted token, which nobody here reads. */
function decodeHeader({ header }: Token): RegoObject {
  const value = decodeObject(decodePart(header).toString('utf8'));
  if (value.get('enc') !== undefined) throw FAILED;
  return value;
}

function decode(text: string): RegoValue {
  const token = split(text);
  const header = decodeHeader(token);
  const payload = decodePart(token.payload).toString('utf8');
  const contentType = header.get('cty');
  if (contentType !== undefined && asString(contentType) === 'JWT')
    return decode(payload.replace(/^["']+|["']+$/g, ''));
  return [header, decodeObject(payload), decodePart(token.signature).toString('hex')];
}

interface Header {
  readonly alg: string;
  readonly kid: string;
  readonly cty: string;
  /** Whether it holds a known algorithm, and names nothing critical that is unknown. */
  readonly valid: boolean;
}

const KNOWN_HEADERS = new Set(['alg', 'kid', 'typ', 'cty', 'crit']);

function parseHeader(header: RegoObject): Header {
  const text = (name: string): string => {
    const value = header.get(name);
    return value === undefined ? '' : asString(value);
  };
  text('typ');
  const alg = text('alg');
  return { alg, kid: text('kid'), cty: text('cty'), valid: ALGORITHMS.has(alg) && isCritKnown(header) };
}

function isCritKnown(header: RegoObject): boolean {
  const crit = header.get('crit');
  if (crit === undefined) return true;
  if (!isRegoArray(crit)) throw FAILED;
  const names = new Set(crit.filter((name) => typeof name === 'string'));
  if (names.size === 0) throw FAILED;
  // As in OPA a name that the header itself does not have is passed over.
  return [...names].every((name) => KNOWN_HEADERS.has(name) || header.get(name) === undefined);
}

function verifier(family: SignatureFamily, digest: Digest): Builtin {
  return (args) => {
    const token = split(stringAt(args, 0));
    const keys = parseKeys(stringAt(args, 1));
    const signature = decodePart(token.signature);
    const { kid, alg } = parseHeader(decodeHeader(token));
    return anyKey(keys, kid, alg, (key) => verifySignature(family, digest, key.key, token.signed, signature));
  };
}

/** The key that the token names, if there is one; else any whose declared algorithm does not contradict the token's. */
function anyKey(
  keys: readonly VerificationKey[],
  kid: string,
  alg: string,
  verifies: (key: VerificationKey) => boolean,
): boolean {
  const named = kid === '' ? undefined : keys.find((key) => key.kid === kid);
  if (named !== undefined) return verifies(named);
  return keys.some((key) => (key.alg === undefined || key.alg === alg) && verifies(key));
}

interface Constraints {
  readonly keys: readonly VerificationKey[] | undefined;
  readonly secret: string;
  readonly alg: string;
  readonly iss: string;
  readonly aud: string;
  readonly timeNs: number;
}

const CONSTRAINTS = new Set(['cert', 'secret', 'alg', 'iss', 'aud', 'time']);

function parseConstraints(given: RegoObject, context: BuiltinContext): Constraints {
  for (const [name] of given.entries) if (!CONSTRAINTS.has(asString(name))) throw FAILED;
  const text = (name: string): string => {
    const value = given.get(name);
    return value === undefined ? '' : asString(value);
  };
  const cert = given.get('cert');
  const keys = cert === undefined ? undefined : parseKeys(asString(cert));
  const secret = text('secret');
  if ((keys === undefined) === (secret === '')) throw FAILED;
  const time = given.get('time');
  if (time !== undefined && !(time instanceof RegoNumber)) throw FAILED;
  const timeNs = time === undefined ? Number(nowNs(context)) : Number(time.text);
  if (timeNs < 0 || !Number.isFinite(timeNs)) throw FAILED;
  return { keys, secret, alg: text('alg'), iss: text('iss'), aud: text('aud'), timeNs };
}

const UNVERIFIED: RegoValue = [false, new RegoObject([]), new RegoObject([])];

/** Tokens within tokens are opened to this depth. */
const MAX_NESTING = 8;

function decodeVerify(text: string, given: RegoObject, context: BuiltinContext): RegoValue {
  const constraints = parseConstraints(given, context);
  let current = text;
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const token = split(current);
    const header = decodeHeader(token);
    const parsed = parseHeader(header);
    if (!parsed.valid || (constraints.alg !== '' && constraints.alg !== parsed.alg)) return UNVERIFIED;
    if (!isSigned(token, parsed, constraints)) return UNVERIFIED;
    const payload = decodePart(token.payload);
    if (parsed.cty.toLowerCase() === 'jwt') {
      current = toText(payload);
      continue;
    }
    const claims = decodeObject(payload.toString('utf8'));
    return meets(claims, constraints) ? [true, header, claims] : UNVERIFIED;
  }
  throw FAILED;
}

function isSigned(token: Token, { alg, kid }: Header, { keys, secret }: Constraints): boolean {
  const signature = decodePart(token.signature);
  if (keys === undefined) return verifyByAlgorithm(alg, secret, token.signed, signature);
  return anyKey(keys, kid, alg, ({ key }) => verifyByAlgorithm(alg, key, token.signed, signature));
}

function meets(claims: RegoObject, { iss, aud, timeNs }: Constraints): boolean {
  const issuer = claims.get('iss');
  if (iss !== '' && (issuer === undefined || asString(issuer) !== iss)) return false;
  // A token that names an audience needs the constraint, and the other way round.
  const audience = claims.get('aud');
  if (audience === undefined ? aud !== '' : !isAudience(audience, aud)) return false;
  const seconds = timeNs / 1e9;
  const expires = claims.get('exp');
  if (expires !== undefined && seconds >= secondsOf(expires)) return false;
  const notBefore = claims.get('nbf');
  return notBefore === undefined || seconds >= secondsOf(notBefore);
}

function isAudience(value: RegoValue, wanted: string): boolean {
  return isRegoArray(value) ? value.includes(wanted) : value === wanted;
}

function secondsOf(value: RegoValue): number {
  if (!(value instanceof RegoNumber)) throw FAILED;
  return Number(value.text);
}
