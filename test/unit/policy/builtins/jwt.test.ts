import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { JWT_BUILTINS } from '../../../../src/policy/builtins/jwt.ts';
import { parseJson } from '../../../../src/policy/values/json.ts';
import { AT_MS, callBuiltin, OutOfSteps } from './call-builtin.ts';

const call = (name: string, args: readonly unknown[], strict = false): string =>
  callBuiltin(JWT_BUILTINS, `io.jwt.${name}`, args.map((arg) => JSON.stringify(arg)).join(', '), { strict });

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const short = generateKeyPairSync('rsa', { modulusLength: 768 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ed = generateKeyPairSync('ed25519');
const SECRET = 'a secret of the policy';
const CLAIMS = { iss: 'issuer', sub: 'ü' };

type KeyPair = typeof rsa;

const toText = (part: unknown): string => (typeof part === 'string' ? part : JSON.stringify(part));
const encode = (part: unknown): string => Buffer.from(toText(part)).toString('base64url');
const pem = ({ publicKey }: KeyPair): string => publicKey.export({ format: 'pem', type: 'spki' }).toString();
const jwk = ({ publicKey }: KeyPair, more: object = {}): string =>
  JSON.stringify({ ...publicKey.export({ format: 'jwk' }), ...more });
const privateJwk = ({ privateKey }: KeyPair): object => privateKey.export({ format: 'jwk' });

interface Signing {
  readonly saltLength?: number;
  readonly change?: (signature: Buffer) => Buffer;
}

function token(
  header: { readonly alg: string; readonly [name: string]: unknown },
  claims: unknown,
  key: KeyObject | string,
  how: Signing = {},
): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = signatureOf(header.alg, signed, key, how);
  return `${signed}.${(how.change?.(signature) ?? signature).toString('base64url')}`;
}

function signatureOf(alg: string, signed: string, key: KeyObject | string, { saltLength }: Signing): Buffer {
  const digest = `sha${alg.slice(2)}`;
  if (typeof key === 'string') return createHmac(digest, key).update(signed).digest();
  const data = Buffer.from(signed);
  if (alg.startsWith('Ed')) return sign(null, data, key);
  if (alg.startsWith('ES')) return sign(digest, data, { key, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('RS')) return sign(digest, data, key);
  const salt = saltLength ?? constants.RSA_PSS_SALTLEN_DIGEST;
  return sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt });
}

const SIGNED: readonly (readonly [string, KeyPair, string])[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, rsa, alg.toLowerCase()] as const),
  ['ES256', p256, 'es256'],
  ['ES384', p384, 'es384'],
  ['ES512', p521, 'es512'],
  ['EdDSA', ed, 'eddsa'],
];

describe.each(SIGNED)('%s', (alg, keys, suffix) => {
  const good = token({ alg, kid: 'one' }, CLAIMS, keys.privateKey);
  const accepted = `[true,{"alg":"${alg}","kid":"one"},{"iss":"issuer","sub":"ü"}]`;

  test.each([
    ['a PEM public key', pem(keys)],
    ['PEM with text before it', `# the key\n${pem(keys)}`],
    ['a JWK', jwk(keys)],
    ['a JWK that names the algorithm', jwk(keys, { alg })],
    ['a set in which another key fails', `{"keys":[${jwk(p256)},${jwk(keys)}]}`],
    ['the key that the token names, whatever algorithm that says', jwk(keys, { kid: 'one', alg: 'HS256' })],
  ])('is verified with %s', (_title, key) => {
    expect(call(`verify_${suffix}`, [good, key])).toBe('true');
    expect(call('decode_verify', [good, { cert: key }])).toBe(accepted);
    // From the cache of keys.
    expect(call(`verify_${suffix}`, [good, key])).toBe('true');
  });

  test.each([
    ['a key of another algorithm', jwk(keys, { alg: 'HS256' })],
    ['a key for encryption', jwk(keys, { alg: 'RSA-OAEP' })],
    ['another key that has the name', `{"keys":[${jwk(p256 === keys ? p384 : p256, { kid: 'one' })},${jwk(keys)}]}`],
    ['no key', '{"keys":[]}'],
  ])('is not verified with %s', (_title, key) => {
    expect(call(`verify_${suffix}`, [good, key])).toBe('false');
    expect(call('decode_verify', [good, { cert: key }])).toBe('[false,{},{}]');
  });

  test('a signature that is changed, cut or missing is none', () => {
    for (const change of [
      (signature: Buffer) => Buffer.concat([signature.subarray(0, -1), Buffer.from([(signature.at(-1) ?? 0) ^ 1])]),
      (signature: Buffer) => signature.subarray(0, -1),
      () => Buffer.alloc(0),
    ]) {
      const bad = token({ alg }, CLAIMS, keys.privateKey, { change });
      expect(call(`verify_${suffix}`, [bad, pem(keys)])).toBe('false');
      expect(call('decode_verify', [bad, { cert: pem(keys) }])).toBe('[false,{},{}]');
    }
  });

  test('a signature whose leading zero is cut is none', () => {
    if (keys !== rsa) return;
    let whole = '';
    for (let jti = 0; Buffer.from(whole.split('.')[2] ?? '', 'base64url')[0] !== 0; jti++) {
      whole = token({ alg }, { ...CLAIMS, jti }, keys.privateKey);
    }
    expect(call(`verify_${suffix}`, [whole, pem(keys)])).toBe('true');
    const [header, claims, signature = ''] = whole.split('.');
    const cut = `${header}.${claims}.${Buffer.from(signature, 'base64url').subarray(1).toString('base64url')}`;
    expect(call(`verify_${suffix}`, [cut, pem(keys)])).toBe('false');
    expect(call('decode_verify', [cut, { cert: pem(keys) }])).toBe('[false,{},{}]');
  });

  test('a public key is no secret, and a private key verifies in decode_verify only', () => {
    const confused = token({ alg: 'HS256' }, CLAIMS, pem(keys));
    expect(call('decode_verify', [confused, { cert: pem(keys) }])).toBe('[false,{},{}]');
    const key = JSON.stringify(privateJwk(keys));
    expect(call(`verify_${suffix}`, [good, key])).toBe('false');
    expect(call('decode_verify', [good, { cert: key }])).toBe(accepted);
  });

  test('is signed by encode_sign', () => {
    const signed = parseJson(call('encode_sign', [{ alg }, CLAIMS, privateJwk(keys)]));
    expect(call(`verify_${suffix}`, [signed, pem(keys)])).toBe('true');
    expect(call('encode_sign', [{ alg }, CLAIMS, JSON.parse(jwk(keys))], true)).toContain('cannot sign');
  });
});

describe.each(['256', '384', '512'])('HS%s', (size) => {
  const good = token({ alg: `HS${size}` }, CLAIMS, SECRET);

  test('is verified with its secret only', () => {
    expect(call(`verify_hs${size}`, [good, SECRET])).toBe('true');
    expect(call(`verify_hs${size}`, [good, 'another'])).toBe('false');
    expect(call(`verify_hs${size === '256' ? '512' : '256'}`, [good, SECRET])).toBe('false');
    expect(call('decode_verify', [good, { secret: SECRET }])).toMatch(/^\[true,/);
    expect(call('decode_verify', [good, { secret: 'another' }])).toBe('[false,{},{}]');
    const oct = JSON.stringify({ kty: 'oct', k: encode(SECRET) });
    expect(call('decode_verify', [good, { cert: oct }])).toMatch(/^\[true,/);
    expect(call('verify_rs256', [good, oct])).toBe('false');
  });
});

test('PSS salts may have any length for verify_ps, the digest’s for decode_verify', () => {
  const odd = token({ alg: 'PS256' }, CLAIMS, rsa.privateKey, { saltLength: 11 });
  expect(call('verify_ps256', [odd, pem(rsa)])).toBe('true');
  expect(call('decode_verify', [odd, { cert: pem(rsa) }])).toBe('[false,{},{}]');
});

test('halves of ECDSA signatures may have leading zeros for verify_es, not for decode_verify', () => {
  const change = (signature: Buffer): Buffer =>
    Buffer.concat([Buffer.alloc(3), signature.subarray(0, 32), Buffer.alloc(3), signature.subarray(32)]);
  const padded = token({ alg: 'ES256' }, CLAIMS, p256.privateKey, { change });
  expect(call('verify_es256', [padded, pem(p256)])).toBe('true');
  expect(call('decode_verify', [padded, { cert: pem(p256) }])).toBe('[false,{},{}]');
});

test('RSA keys below 1,024 bits verify nothing', () => {
  expect(call('verify_rs256', [token({ alg: 'RS256' }, CLAIMS, short.privateKey), pem(short)])).toBe('false');
});

describe('io.jwt.decode', () => {
  const inner = token({ alg: 'HS256' }, { a: 1.5 }, SECRET);

  test.each<readonly [string, string]>([
    ['e30.e30.', '[{},{},""]'],
    ['e30=.e30=.Zm9v', '[{},{},"666f6f"]'],
    ['e30.e30.Zm9v=', 'undefined'],
    ['e30.e30.Zm9v', '[{},{},"666f6f"]'],
    [`${encode('{"__proto__":1,"a":1.0}')}.e30.`, '[{"__proto__":1,"a":1.0},{},""]'],
    [`${encode({ cty: 'JWT' })}.${encode(`"${inner}"`)}.`, call('decode', [inner])],
    [`${encode({ cty: 'jwt' })}.${encode(inner)}.`, 'undefined'],
  ])('%j', (text, expected) => {
    expect(call('decode', [text])).toBe(expected);
  });

  test.each([
    ['', 'encoded JWT had no period separators'],
    ['a.b', 'encoded JWT must have 3 sections, found 2'],
    ['a.b.c.d', 'encoded JWT must have 3 sections, found 4'],
    ['e3!0.e30.', 'JWT header had invalid encoding: illegal base64 data at input byte 2'],
    ['e30.e3!0.', 'JWT payload had invalid encoding: illegal base64 data at input byte 2'],
    ['e30.e30.Zm9!', 'JWT signature had invalid encoding: illegal base64 data at input byte 3'],
    ['bnVsbA.e30.', 'bad JWT header: decoded JSON type was not an Object'],
    ['e30.W10.', 'decoded JSON type was not an Object'],
    [`${encode({ enc: 'A128GCM' })}.e30.`, 'JWT is a JWE object, which is not supported'],
    [`e30.${'A'.repeat(262_144)}.`, 'encoded JWT is longer than 262144 characters'],
  ])('refuses %.30j', (text, why) => {
    expect(call('decode', [text], true)).toBe(`eval_builtin_error: ${why}`);
  });

  test('refuses what is no text', () => {
    expect(call('decode', [1], true)).toBe('eval_type_error: operand 1 must be string but got number');
  });
});

describe('io.jwt.decode_verify', () => {
  const verify = (header: object, claims: unknown, constraints: object = {}, strict = false): string =>
    call(
      'decode_verify',
      [token({ alg: 'HS256', ...header }, claims, SECRET), { secret: SECRET, ...constraints }],
      strict,
    );
  const NOW = AT_MS / 1_000;

  test.each<readonly [unknown, object, boolean]>([
    [{}, {}, true],
    [{ exp: NOW + 1 }, {}, true],
    [{ exp: NOW }, {}, false],
    [{ exp: 100.5 }, { time: 100.4e9 }, true],
    [{ exp: 100 }, { time: 100e9 }, false],
    [{ nbf: NOW }, {}, true],
    [{ nbf: NOW + 1 }, {}, false],
    [{ aud: 'a' }, {}, false],
    [{ aud: 'a' }, { aud: 'a' }, true],
    [{ aud: ['b', 'a'] }, { aud: 'a' }, true],
    [{ aud: ['b', 1] }, { aud: 'a' }, false],
    [{ aud: { a: 1 } }, { aud: 'a' }, false],
    [{ aud: '' }, {}, true],
    [{}, { aud: 'a' }, false],
    [{ iss: 'i' }, { iss: 'i' }, true],
    [{ iss: 'i' }, { iss: 'j' }, false],
    [{}, { iss: 'i' }, false],
    [{}, { alg: 'HS256' }, true],
    [{}, { alg: 'HS512' }, false],
  ])('claims %j under %j: %s', (claims, constraints, valid) => {
    expect(verify({}, claims, constraints)).toBe(
      valid ? `[true,{"alg":"HS256"},${JSON.stringify(claims)}]` : '[false,{},{}]',
    );
  });

  test.each<readonly [object, boolean]>([
    [{ crit: ['x'] }, true],
    [{ crit: ['x'], x: 1 }, false],
    [{ crit: ['alg'] }, true],
    [{ alg: '' }, false],
    [{ alg: 'none' }, false],
  ])('a header with %j: %s', (header, valid) => {
    const text = token({ alg: 'HS256' }, {}, SECRET);
    const signed = `${encode({ alg: 'HS256', ...header })}.${text.split('.')[1]}`;
    const signature = createHmac('sha256', SECRET).update(signed).digest('base64url');
    const answer = call('decode_verify', [`${signed}.${signature}`, { secret: SECRET }]);
    expect(answer.startsWith('[true,')).toBe(valid);
  });

  test.each<readonly [object, unknown, object, string]>([
    [{ crit: [] }, {}, {}, 'crit: must be a nonempty list'],
    [{ crit: 'x' }, {}, {}, 'crit: must be a list'],
    [{ kid: 1 }, {}, {}, 'kid: must be a string'],
    [{}, { exp: '1' }, {}, 'exp value must be a number'],
    [{}, { nbf: null }, {}, 'nbf value must be a number'],
    [{}, {}, { other: 1 }, 'unknown token validation constraint: other'],
    [{}, {}, { time: -1 }, 'token time constraint: must not be negative'],
    [{}, {}, { iss: 1 }, 'iss constraint: must be a string'],
    [{}, {}, { secret: '' }, 'no key constraint'],
    [{}, {}, { cert: '{"keys":[]}' }, 'duplicate key constraints'],
  ])('is an error: header %j, claims %j, constraints %j', (header, claims, constraints, why) => {
    expect(verify(header, claims, constraints, true)).toBe(`eval_builtin_error: ${why}`);
  });

  test('each of nested tokens has to be signed', () => {
    const inner = token({ alg: 'HS256' }, { a: 1 }, SECRET);
    expect(verify({ cty: 'jwt' }, inner)).toBe('[true,{"alg":"HS256"},{"a":1}]');
    expect(verify({ cty: 'JWT' }, token({ alg: 'HS256' }, { a: 1 }, 'another'))).toBe('[false,{},{}]');
    let deep = inner;
    for (let depth = 0; depth < 12; depth++) deep = token({ alg: 'HS256', cty: 'JWT' }, deep, SECRET);
    expect(call('decode_verify', [deep, { secret: SECRET }])).toBe('[true,{"alg":"HS256"},{"a":1}]');
  });
});

describe('keys', () => {
  test.each([
    ['', 'failed to parse a JWK key (set)'],
    ['{"keys":{}}', 'failed to parse a JWK key (set)'],
    ['{"kty":"oct","k":""}', 'missing "k" field'],
    ['{"kty":"oct","k":"!"}', 'expected base64'],
    ['{"kty":"oct","k":"YQ","alg":"FOO"}', 'invalid key algorithm'],
    ['{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', 'invalid "x" length (1)'],
    ['{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}', 'invalid curve algorithm'],
    ['{"kty":"RSA","n":"AQAB","e":"AA"}', 'invalid rsa public exponent'],
    ['{"kty":"__proto__"}', 'invalid key type from JSON (__proto__)'],
    [
      JSON.stringify({ ...privateJwk(ed), x: JSON.parse(jwk(generateKeyPairSync('ed25519'))).x }),
      'invalid x value given d value',
    ],
    [`${pem(rsa)}x`, 'extra data after a PEM certificate block'],
    [
      rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      'failed to extract a Key from the PEM certificate',
    ],
    [
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      'failed to parse a PEM certificate: x509: malformed certificate',
    ],
    [`{"keys":[${'{},'.repeat(1_000)}{}]}`, 'more than 1000 keys'],
    [' '.repeat(1_048_577), 'keys are longer than 1048576 characters'],
  ])('refuses %.60s', (key, why) => {
    expect(call('verify_rs256', [token({ alg: 'RS256' }, {}, rsa.privateKey), key], true)).toContain(why);
  });

  test('each check of a signature is charged', () => {
    const bad = token({ alg: 'ES384' }, {}, p256.privateKey);
    const keys = `{"keys":[${Array.from({ length: 30 }, (_, index) => jwk(p384, { kid: `${index}` })).join()}]}`;
    const args = `${JSON.stringify(bad)}, ${JSON.stringify(keys)}`;
    expect(() => callBuiltin(JWT_BUILTINS, 'io.jwt.verify_es384', args, { steps: 1_000_000 })).toThrow(OutOfSteps);
  });
});

describe('io.jwt.encode_sign', () => {
  const oct = {
    kty: 'oct',
    k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
  };

  test('signs what RFC 7515 A.1 signs', () => {
    const header = '{"typ":"JWT",\r\n "alg":"HS256"}';
    const claims = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
    expect(call('encode_sign_raw', [header, claims, JSON.stringify(oct)])).toBe(
      '"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"',
    );
  });

  test('the numbers that speed RSA up may be missing', () => {
    const { dp: _p, dq: _q, qi: _i, ...rest } = rsa.privateKey.export({ format: 'jwk' });
    const [with_, without] = [privateJwk(rsa), rest].map((key) => call('encode_sign', [{ alg: 'RS256' }, {}, key]));
    expect(without).toBe(with_);
  });

  test.each([
    ['', '{}', "missing or invalid 'alg' header: cannot parse JSON: cannot parse empty string"],
    ['{', '{}', "missing or invalid 'alg' header: cannot parse JSON"],
    ['{}', '{}', `missing or invalid 'alg' header: jwsbb: header "alg" not found`],
    ['{"alg":"none"}', '{}', 'unknown JWS algorithm: none'],
    ['{"alg":"HS256"}', 'text', 'type is JWT but payload is not JSON'],
    ['{"alg":"HS256","typ":"JWT"}', '', 'type is JWT but payload is not JSON'],
    ['{"alg":"RS256"}', '{}', 'the key cannot sign with `RS256`'],
  ])('refuses the header %j over %j', (header, claims, why) => {
    expect(call('encode_sign_raw', [header, claims, JSON.stringify(oct)], true)).toBe(`eval_builtin_error: ${why}`);
  });
});
