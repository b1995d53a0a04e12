import { constants, sign as signBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CompactEncrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../../src/identity/config.ts';
import type { CredentialMethod } from '../../../src/identity/credential-method.ts';
import {
  encode,
  hmac,
  INVALID,
  ISSUER,
  jwtIssuer,
  jwtMethod,
  NOW_SECONDS,
  payload,
  publicJwk,
  signature,
  type TestKey,
  testKey,
  token,
  verdictOf,
} from './support.ts';

/** SECURITY row 8: every class of forged or malformed token, for every algorithm. */

interface Case {
  readonly key: TestKey;
  /** Of the same type as `key`, but not published. */
  readonly foreign: TestKey;
  /** A valid token of `key`. */
  readonly good: string;
  readonly url: string;
}

type Forge = (made: Case) => string | readonly string[] | undefined | Promise<string>;

const WIDE = 'https://wide.test';
let server: Server;
let url: string;
let visits = 0;
const cases = new Map<SignatureAlgorithm, Case>();
let method: CredentialMethod;

beforeAll(async () => {
  server = createServer((_request, response) => {
    visits += 1;
    response.end('{"keys":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  for (const algorithm of SIGNATURE_ALGORITHMS) {
    const key = testKey(algorithm);
    const pinned = payload({ iss: `${ISSUER}/${algorithm}` });
    cases.set(algorithm, { key, foreign: testKey(algorithm, 'foreign'), good: token(key, pinned), url });
  }
  const made = [...cases.values()];
  const pinned = made.map(({ key }) =>
    jwtIssuer({ issuer: `${ISSUER}/${key.algorithm}`, algorithms: [key.algorithm] }, [publicJwk(key)]),
  );
  const wide = jwtIssuer(
    { issuer: WIDE, algorithms: SIGNATURE_ALGORITHMS },
    made.map(({ key }) => publicJwk(key, { kid: `wide-${key.algorithm}` })),
  );
  method = jwtMethod(...(await Promise.all([...pinned, wide])));
});

afterAll(() => {
  server.close();
});

const iss = ({ key }: Case) => `${ISSUER}/${key.algorithm}`;
const claims = (made: Case, changes: { readonly [claim: string]: unknown } = {}) =>
  payload({ iss: iss(made), ...changes });
const bearer = (text: string) => `Bearer ${text}`;
const withHeader = (made: Case, changes: { readonly [member: string]: unknown }) =>
  bearer(token(made.key, claims(made), { alg: made.key.algorithm, kid: made.key.kid, ...changes }));
const withClaims = (made: Case, changes: { readonly [claim: string]: unknown }) =>
  bearer(token(made.key, claims(made, changes)));
const without = (made: Case, claim: string) => {
  const { [claim]: _left, ...rest } = claims(made);
  return bearer(token(made.key, rest));
};
const parts = (text: string): [string, string, string] => {
  const [header = '', body = '', sig = ''] = text.split('.');
  return [header, body, sig];
};
const pem = ({ key }: Case) => key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const unsigned = (made: Case, alg: unknown, sig = '') =>
  bearer(`${encode({ alg, kid: made.key.kid })}.${encode(claims(made))}.${sig}`);
const hmacSigned = (made: Case, bits: number, secret: string | Buffer) => {
  const input = `${encode({ alg: `HS${bits}`, kid: made.key.kid })}.${encode(claims(made))}`;
  return bearer(`${input}.${hmac(bits, secret, input)}`);
};
/** Signs with this key by another algorithm that its type can do. */
const signedAs = (made: Case, alg: SignatureAlgorithm, issuer: string, kid: string) => {
  const input = `${encode({ alg, kid })}.${encode(claims(made, { iss: issuer }))}`;
  return bearer(`${input}.${signature(alg, made.key.privateKey, input)}`);
};
const isRsa = ({ key }: Case) => /^[RP]S/.test(key.algorithm);
const isEc = ({ key }: Case) => key.algorithm.startsWith('ES');
const scalarBytes = { ES256: 32, ES384: 48, ES512: 66 } as const;
const width = ({ key }: Case) => scalarBytes[key.algorithm as keyof typeof scalarBytes];
const rawSignature = (made: Case, bytes: Buffer) => {
  const [header, body] = parts(made.good);
  return bearer(`${header}.${body}.${bytes.toString('base64url')}`);
};
const flip = (text: string, index: number) => {
  const bytes = Buffer.from(text, 'base64url');
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return bytes.toString('base64url');
};
/** Sets a bit of the last character that encodes nothing; `undefined` when every bit of it counts. */
const strayBit = (text: string) => {
  if (text.length % 4 === 0) return undefined;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet.charAt(alphabet.indexOf(text.slice(-1)) | 1);
};
const headerText = (made: Case, text: string) => {
  const input = `${encode(text)}.${encode(claims(made))}`;
  return bearer(`${input}.${signature(made.key.algorithm, made.key.privateKey, input)}`);
};
const payloadText = (made: Case, text: string) => bearer(token(made.key, text));
const payloadBytes = (made: Case, bytes: Buffer) => {
  const input = `${encode({ alg: made.key.algorithm, kid: made.key.kid })}.${bytes.toString('base64url')}`;
  return bearer(`${input}.${signature(made.key.algorithm, made.key.privateKey, input)}`);
};
const text = (made: Case) => JSON.stringify(claims(made));

const FORGERIES: { readonly [name: string]: Forge } = {
  // the algorithm
  'alg none, no signature': (made) => unsigned(made, 'none'),
  'alg None': (made) => unsigned(made, 'None'),
  'alg NONE': (made) => unsigned(made, 'NONE'),
  'alg nOnE': (made) => unsigned(made, 'nOnE'),
  'alg none with the signature of the good token': (made) => unsigned(made, 'none', parts(made.good)[2]),
  'alg none with a stray signature': (made) => unsigned(made, 'none', 'AAAA'),
  'no signature under the right alg': (made) => unsigned(made, made.key.algorithm),
  'alg in lower case': (made) => withHeader(made, { alg: made.key.algorithm.toLowerCase() }),
  'alg with a space': (made) => withHeader(made, { alg: `${made.key.algorithm} ` }),
  'alg with a NUL': (made) => withHeader(made, { alg: `${made.key.algorithm}\0` }),
  'no alg': (made) => headerText(made, JSON.stringify({ kid: made.key.kid })),
  'alg empty': (made) => withHeader(made, { alg: '' }),
  'alg null': (made) => withHeader(made, { alg: null }),
  'alg a list': (made) => withHeader(made, { alg: [made.key.algorithm] }),
  'alg an object': (made) => withHeader(made, { alg: { toString: made.key.algorithm } }),
  'alg __proto__': (made) => withHeader(made, { alg: '__proto__' }),
  'alg constructor': (made) => withHeader(made, { alg: 'constructor' }),
  'alg dir': (made) => withHeader(made, { alg: 'dir' }),
  'alg ES256K': (made) => withHeader(made, { alg: 'ES256K' }),
  'HS256 with the public PEM': (made) => hmacSigned(made, 256, pem(made)),
  'HS384 with the public PEM': (made) => hmacSigned(made, 384, pem(made)),
  'HS512 with the public PEM': (made) => hmacSigned(made, 512, pem(made)),
  'HS256 with the trimmed PEM': (made) => hmacSigned(made, 256, pem(made).trim()),
  'HS256 with the public DER': (made) =>
    hmacSigned(made, 256, made.key.publicKey.export({ type: 'spki', format: 'der' })),
  'HS256 with the published JWK': (made) => hmacSigned(made, 256, JSON.stringify(publicJwk(made.key))),
  'HS256 with an empty secret': (made) => hmacSigned(made, 256, ''),
  'RS and PS confused, pinned issuer': (made) =>
    isRsa(made) ? signedAs(made, other(made), iss(made), made.key.kid) : undefined,
  'RS and PS confused, an issuer that allows both': (made) =>
    isRsa(made) ? signedAs(made, other(made), WIDE, `wide-${made.key.algorithm}`) : undefined,
  'another hash of the same family': (made) => {
    const hash = made.key.algorithm.endsWith('256') ? '512' : '256';
    const alg = `${made.key.algorithm.slice(0, 2)}${hash}` as SignatureAlgorithm;
    return isRsa(made) ? signedAs(made, alg, WIDE, `wide-${made.key.algorithm}`) : undefined;
  },
  'the key of another type under its own alg, wide issuer': (made) => {
    const kid = `wide-${isEc(made) ? 'RS256' : 'ES256'}`;
    return bearer(token(made.key, claims(made, { iss: WIDE }), { alg: made.key.algorithm, kid }));
  },
  'signed as one alg, labelled as another, wide issuer': (made) => {
    const alg = isRsa(made) ? 'ES256' : 'RS256';
    return bearer(token(made.key, claims(made, { iss: WIDE }), { alg, kid: `wide-${alg}` }));
  },
  'wrong curve': (made) => {
    if (!isEc(made)) return undefined;
    const alg = made.key.algorithm === 'ES256' ? 'ES384' : 'ES256';
    const wrong = testKey(alg);
    return bearer(token(wrong, claims(made), { alg: made.key.algorithm, kid: made.key.kid }));
  },
  'an alg that the issuer does not list': (made) => {
    const alg = made.key.algorithm === 'ES256' ? 'RS256' : 'ES256';
    return bearer(token(testKey(alg), claims(made), { alg, kid: made.key.kid }));
  },
  // the key
  'signed by a key that is not published': (made) =>
    bearer(token({ ...made.foreign, kid: made.key.kid }, claims(made))),
  'header jwk': (made) => {
    const jwk = made.foreign.publicKey.export({ format: 'jwk' });
    return bearer(token(made.foreign, claims(made), { alg: made.key.algorithm, jwk }));
  },
  'header jwk beside the right kid': (made) => withHeader(made, { jwk: publicJwk(made.key) }),
  'header jku': (made) => withHeader(made, { jku: made.url }),
  'header jku, foreign key': (made) =>
    bearer(token(made.foreign, claims(made), { alg: made.key.algorithm, kid: 'x', jku: made.url })),
  'header x5u': (made) => withHeader(made, { x5u: made.url }),
  'header x5c': (made) => withHeader(made, { x5c: ['MIIB'] }),
  'header crit': (made) => withHeader(made, { crit: ['exp'], exp: NOW_SECONDS + 60 }),
  'header crit empty': (made) => withHeader(made, { crit: [] }),
  'header b64 false': (made) => withHeader(made, { b64: false, crit: ['b64'] }),
  'header b64 true': (made) => withHeader(made, { b64: true }),
  'header zip': (made) => withHeader(made, { zip: 'DEF' }),
  'header enc': (made) => withHeader(made, { enc: 'A256GCM' }),
  'header cty JWT': (made) => withHeader(made, { cty: 'JWT' }),
  'header epk': (made) => withHeader(made, { epk: {} }),
  'header with an unknown member': (made) => withHeader(made, { surprise: 1 }),
  'header __proto__': (made) =>
    headerText(made, `{"alg":"${made.key.algorithm}","kid":"${made.key.kid}","__proto__":{"jwk":{}}}`),
  'typ of another kind of token': (made) => withHeader(made, { typ: 'dpop+jwt' }),
  'typ logout': (made) => withHeader(made, { typ: 'logout+jwt' }),
  'typ no text': (made) => withHeader(made, { typ: 1 }),
  'kid traversal': (made) => withHeader(made, { kid: '../../../../dev/null' }),
  'kid injection': (made) => withHeader(made, { kid: "x' UNION SELECT 'key" }),
  'kid __proto__': (made) => withHeader(made, { kid: '__proto__' }),
  'kid constructor': (made) => withHeader(made, { kid: 'constructor' }),
  'kid an address': (made) => withHeader(made, { kid: made.url }),
  'kid empty': (made) => withHeader(made, { kid: '' }),
  'kid null': (made) => withHeader(made, { kid: null }),
  'kid a number': (made) => withHeader(made, { kid: 0 }),
  'kid a list': (made) => withHeader(made, { kid: [made.key.kid] }),
  'kid of 1 MB': (made) => withHeader(made, { kid: 'k'.repeat(1_000_000) }),
  'kid of 300 characters': (made) => withHeader(made, { kid: 'k'.repeat(300) }),
  'kid in another case': (made) => withHeader(made, { kid: made.key.kid.toUpperCase() }),
  'kid with a space': (made) => withHeader(made, { kid: `${made.key.kid} ` }),
  'no kid, signed by a key that is not published': (made) =>
    bearer(token(made.foreign, claims(made), { alg: made.key.algorithm })),
  // the signature
  'signature of another token': (made) => {
    const [header, body] = parts(made.good);
    return bearer(`${header}.${body}.${parts(token(made.key, claims(made, { sub: 'x' })))[2]}`);
  },
  'first bit of the signature flipped': (made) => {
    const [header, body, sig] = parts(made.good);
    return bearer(`${header}.${body}.${flip(sig, 0)}`);
  },
  'last bit of the signature flipped': (made) => {
    const [header, body, sig] = parts(made.good);
    return bearer(`${header}.${body}.${flip(sig, Buffer.from(sig, 'base64url').length - 1)}`);
  },
  'signature cut by a byte': (made) =>
    rawSignature(made, Buffer.from(parts(made.good)[2], 'base64url').subarray(0, -1)),
  'signature longer by a byte': (made) =>
    rawSignature(made, Buffer.concat([Buffer.from(parts(made.good)[2], 'base64url'), Buffer.from([0])])),
  'signature of zeros': (made) =>
    rawSignature(made, Buffer.alloc(Buffer.from(parts(made.good)[2], 'base64url').length)),
  'ES r=0, s=0': (made) => (isEc(made) ? rawSignature(made, Buffer.alloc(2 * width(made))) : undefined),
  'ES r=0, s=1': (made) => {
    if (!isEc(made)) return undefined;
    const bytes = Buffer.alloc(2 * width(made));
    bytes[bytes.length - 1] = 1;
    return rawSignature(made, bytes);
  },
  'ES r=1, s=0': (made) => {
    if (!isEc(made)) return undefined;
    const bytes = Buffer.alloc(2 * width(made));
    bytes[width(made) - 1] = 1;
    return rawSignature(made, bytes);
  },
  'ES all ones (r, s ≥ n)': (made) =>
    isEc(made) ? rawSignature(made, Buffer.alloc(2 * width(made), 0xff)) : undefined,
  'ES signature in DER': (made) => {
    if (!isEc(made)) return undefined;
    const [header, body] = parts(made.good);
    const hash = `sha${made.key.algorithm.slice(2)}`;
    return rawSignature(made, signBytes(hash, Buffer.from(`${header}.${body}`), made.key.privateKey));
  },
  'PS with another salt length': (made) => {
    if (!made.key.algorithm.startsWith('PS')) return undefined;
    const [header, body] = parts(made.good);
    const options = { key: made.key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 };
    return rawSignature(
      made,
      signBytes(`sha${made.key.algorithm.slice(2)}`, Buffer.from(`${header}.${body}`), options),
    );
  },
  'RSA signature without its leading zero': (made) => {
    if (!isRsa(made)) return undefined;
    let bytes: Buffer;
    let whole: string;
    let jti = 0;
    do {
      whole = token(made.key, claims(made, { jti: `${jti++}` }));
      bytes = Buffer.from(parts(whole)[2], 'base64url');
    } while (bytes[0] !== 0);
    const [header, body] = parts(whole);
    return bearer(`${header}.${body}.${bytes.subarray(1).toString('base64url')}`);
  },
  'payload changed, signature kept': (made) => {
    const [header, , sig] = parts(made.good);
    return bearer(`${header}.${encode(claims(made, { tenant: 'tenant-b' }))}.${sig}`);
  },
  'header changed, signature kept': (made) => {
    const [, body, sig] = parts(made.good);
    return bearer(`${encode({ kid: made.key.kid, alg: made.key.algorithm })}.${body}.${sig}`);
  },
  // the encoding
  'padding on the signature': (made) => bearer(`${made.good}=`),
  'padding on the payload': (made) => {
    const [header, body, sig] = parts(made.good);
    return bearer(`${header}.${body}=.${sig}`);
  },
  'stray bits in the last character of the header': (made) => {
    const header = JSON.stringify({ alg: made.key.algorithm, kid: made.key.kid });
    // Spaces inside the JSON move its length off a multiple of three.
    const encoded = strayBit(encode(header.length % 3 === 0 ? `${header} ` : header));
    const input = `${encoded}.${encode(claims(made))}`;
    return bearer(`${input}.${signature(made.key.algorithm, made.key.privateKey, input)}`);
  },
  'stray bits in the last character of the signature': (made) => {
    const [header, body, sig] = parts(made.good);
    const stray = strayBit(sig);
    return stray === undefined ? undefined : bearer(`${header}.${body}.${stray}`);
  },
  'standard base64 alphabet': (made) => {
    const input = `${encode({ alg: made.key.algorithm, kid: made.key.kid })}.${Buffer.from(`{"iss":"${iss(made)}","x":"ÿ>?ÿ~~~>>>???"}`).toString('base64')}`;
    return bearer(`${input}.${signature(made.key.algorithm, made.key.privateKey, input)}`);
  },
  'a space in the token': (made) => bearer(made.good.replace('.', ' .')),
  'a space after the token': (made) => bearer(`${made.good} `),
  'a newline after the token': (made) => bearer(`${made.good}\n`),
  'a NUL after the token': (made) => bearer(`${made.good}\0`),
  'a non-ASCII letter in the token': (made) => bearer(`${made.good}é`),
  'a lone surrogate in the token': (made) => bearer(`${made.good}\ud800`),
  'two parts': (made) => bearer(parts(made.good).slice(0, 2).join('.')),
  'four parts': (made) => bearer(`${made.good}.AAAA`),
  'an empty fourth part': (made) => bearer(`${made.good}.`),
  'a leading dot': (made) => bearer(`.${made.good}`),
  'empty header': (made) => bearer(`.${parts(made.good)[1]}.${parts(made.good)[2]}`),
  'empty payload': (made) => bearer(`${parts(made.good)[0]}..${parts(made.good)[2]}`),
  'five parts (JWE)': async () =>
    bearer(
      await new CompactEncrypt(Buffer.from('{}'))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .encrypt(Buffer.alloc(32)),
    ),
  'a nested token': (made) => payloadText(made, made.good),
  'a token within a JSON text': (made) => payloadText(made, JSON.stringify(made.good)),
  'flattened JSON serialisation': (made) => {
    const [header, body, sig] = parts(made.good);
    return bearer(JSON.stringify({ protected: header, payload: body, signature: sig }));
  },
  'general JSON serialisation': (made) => {
    const [header, body, sig] = parts(made.good);
    return bearer(JSON.stringify({ payload: body, signatures: [{ protected: header, signature: sig }] }));
  },
  'over 8 KiB': (made) => withClaims(made, { filler: 'x'.repeat(8192) }),
  // the JSON
  'duplicate alg': (made) => headerText(made, `{"alg":"none","alg":"${made.key.algorithm}","kid":"${made.key.kid}"}`),
  'duplicate kid': (made) => headerText(made, `{"alg":"${made.key.algorithm}","kid":"x","kid":"${made.key.kid}"}`),
  'duplicate alg by an escape': (made) =>
    headerText(made, `{"\\u0061lg":"none","alg":"${made.key.algorithm}","kid":"${made.key.kid}"}`),
  'duplicate tenant': (made) => payloadText(made, text(made).replace('"tenant"', '"tenant":"tenant-b","tenant"')),
  'duplicate exp': (made) => payloadText(made, text(made).replace('"exp"', '"exp":1,"exp"')),
  'duplicate tenant by an escape': (made) =>
    payloadText(made, text(made).replace('"tenant"', '"t\\u0065nant":"tenant-b","tenant"')),
  'duplicate key in a nested object': (made) =>
    payloadText(made, text(made).replace('{', '{"deep":[{"a":1,"b":{},"a":2}],')),
  'header a list': (made) => headerText(made, '[]'),
  'header null': (made) => headerText(made, 'null'),
  'header no JSON': (made) => headerText(made, `{alg:"${made.key.algorithm}"}`),
  'header with a BOM': (made) => headerText(made, `\ufeff{"alg":"${made.key.algorithm}","kid":"${made.key.kid}"}`),
  'header with a second document': (made) =>
    headerText(made, `{"alg":"${made.key.algorithm}","kid":"${made.key.kid}"}{}`),
  'payload a list': (made) => payloadText(made, `[${text(made)}]`),
  'payload null': (made) => payloadText(made, 'null'),
  'payload with a BOM': (made) => payloadText(made, `\ufeff${text(made)}`),
  'payload with a trailing comma': (made) => payloadText(made, `${text(made).slice(0, -1)},}`),
  'payload of invalid UTF-8': (made) =>
    payloadBytes(
      made,
      Buffer.concat([Buffer.from(`${text(made).slice(0, -1)},"x":"`), Buffer.from([0xff]), Buffer.from('"}')]),
    ),
  'payload with a lone surrogate': (made) => payloadText(made, text(made).replace('{', '{"x":"\\ud800",')),
  'payload nested 1,000 deep': (made) =>
    payloadText(made, text(made).replace('{', `{"x":${'['.repeat(1000)}${']'.repeat(1000)},`)),
  'payload with a number out of range': (made) => payloadText(made, text(made).replace('{', '{"x":1e400,')),
  // who and for whom
  'iss missing': (made) => without(made, 'iss'),
  'iss an address': (made) => withClaims(made, { iss: made.url }),
  'iss unknown': (made) => withClaims(made, { iss: 'https://evil.test' }),
  'iss with a trailing slash': (made) => withClaims(made, { iss: `${iss(made)}/` }),
  'iss in another case': (made) => withClaims(made, { iss: iss(made).toUpperCase() }),
  'iss a list': (made) => withClaims(made, { iss: [iss(made)] }),
  'iss null': (made) => withClaims(made, { iss: null }),
  'iss __proto__': (made) => withClaims(made, { iss: '__proto__' }),
  'iss of another configured issuer': (made) =>
    withClaims(made, { iss: `${ISSUER}/${made.key.algorithm === 'ES256' ? 'RS256' : 'ES256'}` }),
  'iss only inherited': (made) => payloadText(made, `{"__proto__":${text(made)}}`),
  'aud missing': (made) => without(made, 'aud'),
  'aud of another service': (made) => withClaims(made, { aud: 'other' }),
  'aud null': (made) => withClaims(made, { aud: null }),
  'aud an empty list': (made) => withClaims(made, { aud: [] }),
  'aud a list of others': (made) => withClaims(made, { aud: ['other', 'another'] }),
  'aud a list with a number': (made) => withClaims(made, { aud: ['sallyport', 1] }),
  'aud a nested list': (made) => withClaims(made, { aud: [['sallyport']] }),
  'aud an object': (made) => withClaims(made, { aud: { 0: 'sallyport' } }),
  'aud in another case': (made) => withClaims(made, { aud: 'Sallyport' }),
  'aud with a space': (made) => withClaims(made, { aud: 'sallyport ' }),
  // when
  'exp missing': (made) => without(made, 'exp'),
  'exp past': (made) => withClaims(made, { exp: NOW_SECONDS - 31 }),
  'exp at the end of the leeway': (made) => withClaims(made, { exp: NOW_SECONDS - 30 }),
  'exp a text': (made) => withClaims(made, { exp: `${NOW_SECONDS + 60}` }),
  'exp null': (made) => withClaims(made, { exp: null }),
  'exp a list': (made) => withClaims(made, { exp: [NOW_SECONDS + 60] }),
  'exp true': (made) => withClaims(made, { exp: true }),
  'exp negative': (made) => withClaims(made, { exp: -1 }),
  'exp infinite': (made) => payloadText(made, text(made).replace(/"exp":\d+/, '"exp":1e999')),
  'nbf ahead': (made) => withClaims(made, { nbf: NOW_SECONDS + 31 }),
  'nbf a text': (made) => withClaims(made, { nbf: '0' }),
  'nbf null': (made) => withClaims(made, { nbf: null }),
  'nbf in milliseconds': (made) => withClaims(made, { nbf: NOW_SECONDS * 1000 }),
  'iat ahead': (made) => withClaims(made, { iat: NOW_SECONDS + 31 }),
  'iat a text': (made) => withClaims(made, { iat: 'now' }),
  'exp before iat, both within the leeway': (made) =>
    withClaims(made, { iat: NOW_SECONDS + 20, exp: NOW_SECONDS - 20 }),
  'exp before nbf, both within the leeway': (made) =>
    withClaims(made, { iat: undefined, nbf: NOW_SECONDS + 20, exp: NOW_SECONDS - 20 }),
  // who may present it
  'cnf x5t#S256 without a peer': (made) =>
    withClaims(made, { cnf: { 'x5t#S256': Buffer.alloc(32).toString('base64url') } }),
  'cnf x5t#S256 of no length': (made) => withClaims(made, { cnf: { 'x5t#S256': '' } }),
  'cnf jkt, presented as a bearer token': (made) =>
    withClaims(made, { cnf: { jkt: Buffer.alloc(32).toString('base64url') } }),
  'cnf jwk': (made) => withClaims(made, { cnf: { jwk: publicJwk(made.foreign) } }),
  'cnf jku': (made) => withClaims(made, { cnf: { jku: made.url, kid: 'x' } }),
  'cnf kid': (made) => withClaims(made, { cnf: { kid: made.key.kid } }),
  'cnf empty': (made) => withClaims(made, { cnf: {} }),
  'cnf null': (made) => withClaims(made, { cnf: null }),
  'cnf a list': (made) => withClaims(made, { cnf: [] }),
  'cnf a text': (made) => withClaims(made, { cnf: 'none' }),
  'cnf false': (made) => withClaims(made, { cnf: false }),
  // mapped claims
  'tenant a list': (made) => withClaims(made, { tenant: ['tenant-a'] }),
  'tenant null': (made) => withClaims(made, { tenant: null }),
  'tenant a number': (made) => withClaims(made, { tenant: 1 }),
  'tenant empty': (made) => withClaims(made, { tenant: '' }),
  'tenant with a newline': (made) => withClaims(made, { tenant: 'tenant-a\n' }),
  'tenant with a comma': (made) => withClaims(made, { tenant: 'a,b' }),
  'tenant with a brace': (made) => withClaims(made, { tenant: 'a}b' }),
  'tenant too long': (made) => withClaims(made, { tenant: 'a'.repeat(129) }),
  'tenant with a Unicode twin': (made) => withClaims(made, { tenant: 'tenant-а' }),
  'tier an object': (made) => withClaims(made, { tier: {} }),
  'roles an object': (made) => withClaims(made, { roles: { 0: 'admin' } }),
  'roles with a number': (made) => withClaims(made, { roles: ['reader', 1] }),
  'roles with a comma': (made) => withClaims(made, { roles: ['reader,admin'] }),
  'roles too many': (made) => withClaims(made, { roles: Array.from({ length: 129 }, (_, index) => `r${index}`) }),
  'scope a number': (made) => withClaims(made, { scope: 1 }),
  'scope with a quote': (made) => withClaims(made, { scope: 'a "b' }),
  'sub a number': (made) => withClaims(made, { sub: 1 }),
  'sub empty': (made) => withClaims(made, { sub: '' }),
  // the header field
  'two headers, both good': ({ good }) => [bearer(good), bearer(good)],
  'two headers, the first empty': ({ good }) => ['', bearer(good)],
  'two credentials joined by a bare comma': ({ good }) => `${bearer(good)},${bearer(good)}`,
  'two credentials joined by comma and space': ({ good }) => `${bearer(good)}, ${bearer(good)}`,
  'a good token, then another scheme': ({ good }) => `${bearer(good)},Basic dTpw`,
  'two tokens behind one scheme': ({ good }) => `Bearer ${good} ${good}`,
  'scheme Basic': () => 'Basic dTpw',
  'scheme DPoP': ({ good }) => `DPoP ${good}`,
  'no scheme': ({ good }) => good,
  'scheme only': () => 'Bearer',
  'scheme and a space': () => 'Bearer ',
  'empty header value': () => '',
  'two spaces after the scheme': ({ good }) => `Bearer  ${good}`,
  'a tab after the scheme': ({ good }) => `Bearer\t${good}`,
  'a space before the scheme': ({ good }) => ` Bearer ${good}`,
  'a quoted token': ({ good }) => `Bearer "${good}"`,
  'a parameter instead of a token': ({ good }) => `Bearer token=${good}`,
};

function other(made: Case): SignatureAlgorithm {
  const { algorithm } = made.key;
  // Both families have the same three hashes.
  return `${algorithm.startsWith('RS') ? 'PS' : 'RS'}${algorithm.slice(2)}` as SignatureAlgorithm;
}

describe('only valid tokens', () => {
  test('the good token of every algorithm is accepted, so that each refusal below is for its own fault', async () => {
    for (const [algorithm, { good }] of cases) {
      expect(await verdictOf(method, bearer(good)), algorithm).toMatchObject({ kind: 'verified' });
    }
  });

  test.each(Object.entries(FORGERIES))('refused: %s', async (_name, forge) => {
    let tried = 0;
    for (const [algorithm, made] of cases) {
      const forged = await forge(made);
      if (forged === undefined) continue;
      tried += 1;
      expect(await verdictOf(method, forged), algorithm).toEqual({ ...INVALID, cause: expect.any(String) });
    }
    expect(tried).toBeGreaterThan(0);
  });

  test('no cause repeats anything of the token', async () => {
    for (const [name, forge] of Object.entries(FORGERIES)) {
      const made = cases.get('ES256');
      const forged = made === undefined ? undefined : await forge(made);
      if (forged === undefined) continue;
      const found = await verdictOf(method, forged);
      const cause = found?.kind === 'refused' ? found.cause : '';
      for (const part of String(forged).split(/[\s.,]/)) {
        if (part.length > 12) expect(cause, name).not.toContain(part);
      }
    }
  });

  test('nothing that a token names was visited, and there are at least 80 classes', () => {
    expect(visits).toBe(0);
    expect(Object.keys(FORGERIES).length).toBeGreaterThanOrEqual(80);
    console.log(
      `row 8: ${Object.keys(FORGERIES).length} classes × up to ${cases.size} algorithms, 0 accepted, 0 visits`,
    );
  });
});
