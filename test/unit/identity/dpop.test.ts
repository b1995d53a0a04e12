import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { SIGNATURE_ALGORITHMS } from '../../../src/identity/config.ts';
import { createDpop } from '../../../src/identity/dpop.ts';
import { createJwtMethod } from '../../../src/identity/jwt.ts';
import { athOf, bareJwk, dpopRequest, type ProofWish, proof, TARGET, thumbprintOf } from './dpop-support.ts';
import {
  AT,
  encode,
  hmac,
  jwtIssuer,
  later,
  NOW_SECONDS,
  payload,
  publicJwk,
  rsaKey,
  signature,
  token as signToken,
  type TestKey,
  testKey,
} from './support.ts';

const issuerKey = testKey('ES256', 'issuer');
const clientKey = testKey('ES256', 'client');
const otherKey = testKey('ES256', 'other');
const CONFIG = { enabled: true, max_age_seconds: 60, max_entries: 100_000 } as const;

const bound = (key: TestKey = clientKey): string =>
  signToken(issuerKey, payload({ cnf: { jkt: thumbprintOf(key) }, jti: randomUUID() }));
const TOKEN = bound();

async function open(config: Partial<Parameters<typeof createDpop>[0]> = {}, cacheTtlMs = 60_000) {
  return createJwtMethod({
    issuers: [await jwtIssuer({}, [publicJwk(issuerKey)])],
    maxTokenBytes: 8192,
    cacheTtlMs,
    cacheMaxEntries: 1000,
    confirm: createDpop({ ...CONFIG, ...config }),
  });
}

const method = await open();
const ask = async (request: AccessRequest, at = AT, of = method) => await of.authenticate(request, at);
const REFUSED = { kind: 'refused', code: 'invalid_credential' };
const PROOF_REFUSED = { ...REFUSED, challenge: 'DPoP error="invalid_dpop_proof"' };

describe('good proofs are accepted', () => {
  test.each(SIGNATURE_ALGORITHMS)('%s', async (algorithm) => {
    const key = testKey(algorithm, 'client');
    const token = bound(key);
    expect(await ask(dpopRequest(token, [proof(key, token)]))).toMatchObject({
      kind: 'verified',
      principal: { subject: 'user-1' },
      stripHeaders: [],
    });
  });

  test.each<[string, ProofWish]>([
    ['type in other case', { headerChanges: { typ: 'DPoP+JWT' } }],
    ['type with its prefix', { headerChanges: { typ: 'application/dpop+jwt' } }],
    [
      'key with use and id',
      { headerChanges: { jwk: { ...bareJwk(clientKey), use: 'sig', kid: 'mine', alg: 'ES256' } } },
    ],
    ['scheme and host in other case', { payloadChanges: { htu: TARGET.replace('https://api', 'HTTPS://API') } }],
    ['the default port', { payloadChanges: { htu: TARGET.replace('.test/', '.test:443/') } }],
    ['a needless escape', { payloadChanges: { htu: TARGET.replace('llama', '%6c%6Cama') } }],
    ['made a minute ago', { payloadChanges: { iat: NOW_SECONDS - 60 } }],
    ['a clock that is a minute ahead', { payloadChanges: { iat: NOW_SECONDS + 60 } }],
    ['an iat with a fraction', { payloadChanges: { iat: NOW_SECONDS - 0.5 } }],
    ['the longest jti', { payloadChanges: { jti: 'x'.repeat(128) } }],
    ['claims that mean nothing here', { payloadChanges: { nonce: 'abc', exp: 1, htx: {} } }],
  ])('%s', async (_name, wish) => {
    expect(await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN, wish)]))).toMatchObject({ kind: 'verified' });
  });

  test('the query of the request is not part of the target', async () => {
    const request = dpopRequest(TOKEN, [proof(clientKey, TOKEN)], { target: '/tenant-a/llama-3-8b/infer?x=1#y' });
    expect(await ask(request)).toMatchObject({ kind: 'verified' });
  });

  test('the public url stands for what the gateway is told', async () => {
    const of = await open({ public_url: 'https://api.example.test' });
    const request = dpopRequest(TOKEN, [proof(clientKey, TOKEN)], { scheme: 'http', host: '10.0.0.1:8080' });
    expect(await ask(request, AT, of)).toMatchObject({ kind: 'verified' });
    const direct = dpopRequest(TOKEN, [
      proof(clientKey, TOKEN, { payloadChanges: { htu: 'http://10.0.0.1:8080/tenant-a/llama-3-8b/infer' } }),
    ]);
    expect(await ask({ ...direct, scheme: 'http', host: '10.0.0.1:8080' }, AT, of)).toMatchObject(PROOF_REFUSED);
  });
});

const rsa = rsaKey('weak', 1024);
const { x, y } = bareJwk(clientKey);
const privateJwk = clientKey.privateKey.export({ format: 'jwk' });
const hostilePayload = { htm: 'POST', htu: TARGET, iat: NOW_SECONDS, jti: 'j', ath: athOf(TOKEN) };
const json = (value: unknown): string => JSON.stringify(value);

/** Every one is refused, though the token beside it is good and the key is the right one where the case names none. */
const HOSTILE: readonly (readonly [string, ProofWish | string])[] = [
  // type and algorithm
  ['no typ', { headerChanges: { typ: undefined } }],
  ['typ JWT', { headerChanges: { typ: 'JWT' } }],
  ['typ at+jwt', { headerChanges: { typ: 'at+jwt' } }],
  ['typ of another tree', { headerChanges: { typ: 'text/dpop+jwt' } }],
  ['typ a list', { headerChanges: { typ: ['dpop+jwt'] } }],
  ['typ with a space', { headerChanges: { typ: 'dpop+jwt ' } }],
  ['no alg', { headerChanges: { alg: undefined } }],
  ['alg none', { headerChanges: { alg: 'none' } }],
  ['alg NONE', { headerChanges: { alg: 'NONE' } }],
  ['alg HS256', { headerChanges: { alg: 'HS256' } }],
  ['alg in lower case', { headerChanges: { alg: 'es256' } }],
  ['alg of another curve', { headerChanges: { alg: 'ES384' } }],
  ['alg of another family', { headerChanges: { alg: 'RS256' } }],
  ['alg ES256K', { headerChanges: { alg: 'ES256K' } }],
  ['alg a list', { headerChanges: { alg: ['ES256'] } }],
  ['alg __proto__', { headerChanges: { alg: '__proto__' } }],
  // header members
  ['kid', { headerChanges: { kid: 'client' } }],
  ['jku', { headerChanges: { jku: 'https://attacker.test/jwks' } }],
  ['x5u', { headerChanges: { x5u: 'https://attacker.test/cert' } }],
  ['x5c', { headerChanges: { x5c: ['MIIB'] } }],
  ['crit', { headerChanges: { crit: ['b64'], b64: false } }],
  ['b64', { headerChanges: { b64: false } }],
  ['zip', { headerChanges: { zip: 'DEF' } }],
  // key
  ['no jwk', { headerChanges: { jwk: undefined } }],
  ['jwk null', { headerChanges: { jwk: null } }],
  ['jwk a text', { headerChanges: { jwk: json(bareJwk(clientKey)) } }],
  ['jwk a list', { headerChanges: { jwk: [bareJwk(clientKey)] } }],
  ['jwk private', { headerChanges: { jwk: privateJwk } }],
  ['jwk with an empty d', { headerChanges: { jwk: { ...bareJwk(clientKey), d: '' } } }],
  ['jwk symmetric', { headerChanges: { jwk: { kty: 'oct', k: 'AAAA' }, alg: 'HS256' } }],
  ['jwk oct without k', { headerChanges: { jwk: { kty: 'oct' } } }],
  ['jwk with k', { headerChanges: { jwk: { ...bareJwk(clientKey), k: 'AAAA' } } }],
  ['jwk off its curve', { headerChanges: { jwk: { ...bareJwk(clientKey), x: y, y: x } } }],
  ['jwk without y', { headerChanges: { jwk: { ...bareJwk(clientKey), y: undefined } } }],
  ['jwk of another curve', { headerChanges: { jwk: { ...bareJwk(clientKey), crv: 'P-384' } } }],
  ['jwk with padded x', { headerChanges: { jwk: { ...bareJwk(clientKey), x: `${x}=` } } }],
  ['jwk for encryption', { headerChanges: { jwk: { ...bareJwk(clientKey), use: 'enc' } } }],
  ['jwk of another alg', { headerChanges: { jwk: { ...bareJwk(clientKey), alg: 'ES384' } } }],
  ['jwk not for verifying', { headerChanges: { jwk: { ...bareJwk(clientKey), key_ops: ['sign'] } } }],
  ['jwk with a number for x', { headerChanges: { jwk: { ...bareJwk(clientKey), x: 1 } } }],
  [
    'jwk with a number beyond 2^53',
    { header: `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","n":99999999999999999999}}` },
  ],
  ['jwk weak RSA', { headerChanges: { alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) } }],
  ['another key, its own signature', { headerChanges: { jwk: bareJwk(otherKey) }, signer: otherKey }],
  ['the issuer’s key', { headerChanges: { jwk: bareJwk(issuerKey) }, signer: issuerKey }],
  ['the right key, the signature of another', { signer: otherKey }],
  // method and target
  ['no htm', { payloadChanges: { htm: undefined } }],
  ['htm of another method', { payloadChanges: { htm: 'GET' } }],
  ['htm in lower case', { payloadChanges: { htm: 'post' } }],
  ['htm a list', { payloadChanges: { htm: ['POST'] } }],
  ['no htu', { payloadChanges: { htu: undefined } }],
  ['htu of another host', { payloadChanges: { htu: TARGET.replace('api', 'apj') } }],
  ['htu of another port', { payloadChanges: { htu: TARGET.replace('.test/', '.test:8443/') } }],
  ['htu of another scheme', { payloadChanges: { htu: TARGET.replace('https', 'http') } }],
  ['htu of another path', { payloadChanges: { htu: TARGET.replace('tenant-a', 'tenant-b') } }],
  ['htu in other case', { payloadChanges: { htu: TARGET.replace('infer', 'Infer') } }],
  ['htu with a slash more', { payloadChanges: { htu: `${TARGET}/` } }],
  ['htu with dot segments', { payloadChanges: { htu: TARGET.replace('infer', 'x/../infer') } }],
  ['htu with an escaped slash', { payloadChanges: { htu: TARGET.replace('/infer', '%2finfer') } }],
  ['htu with a bad escape', { payloadChanges: { htu: `${TARGET}%zz` } }],
  ['htu with a query', { payloadChanges: { htu: `${TARGET}?x=1` } }],
  ['htu with a fragment', { payloadChanges: { htu: `${TARGET}#x` } }],
  ['htu with a user', { payloadChanges: { htu: TARGET.replace('api.', 'user@api.') } }],
  ['htu with a backslash', { payloadChanges: { htu: TARGET.replace('test/', 'test\\') } }],
  ['htu a path alone', { payloadChanges: { htu: '/tenant-a/llama-3-8b/infer' } }],
  ['htu with white space', { payloadChanges: { htu: ` ${TARGET}` } }],
  // times
  ['no iat', { payloadChanges: { iat: undefined } }],
  ['iat too old', { payloadChanges: { iat: NOW_SECONDS - 61 } }],
  ['iat too far ahead', { payloadChanges: { iat: NOW_SECONDS + 61 } }],
  ['iat in milliseconds', { payloadChanges: { iat: NOW_SECONDS * 1000 } }],
  ['iat a text', { payloadChanges: { iat: String(NOW_SECONDS) } }],
  ['iat null', { payloadChanges: { iat: null } }],
  [
    'iat beyond a double',
    { payload: `{"htm":"POST","htu":"${TARGET}","jti":"j","ath":"${athOf(TOKEN)}","iat":1e999}` },
  ],
  // once
  ['no jti', { payloadChanges: { jti: undefined } }],
  ['jti empty', { payloadChanges: { jti: '' } }],
  ['jti too long', { payloadChanges: { jti: 'x'.repeat(129) } }],
  ['jti a number', { payloadChanges: { jti: 1 } }],
  // token
  ['no ath', { payloadChanges: { ath: undefined } }],
  ['ath of another token', { payloadChanges: { ath: athOf(bound()) } }],
  ['ath padded', { payloadChanges: { ath: `${athOf(TOKEN)}=` } }],
  ['ath as hex', { payloadChanges: { ath: Buffer.from(athOf(TOKEN), 'base64url').toString('hex') } }],
  // form
  ['empty', ''],
  ['the access token itself', TOKEN],
  ['two proofs joined by a comma', `${proof(clientKey, TOKEN)}, ${proof(clientKey, TOKEN)}`],
  ['no signature', `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: bareJwk(clientKey) })}.${encode(hostilePayload)}.`],
  ['two parts', proof(clientKey, TOKEN).split('.').slice(0, 2).join('.')],
  ['four parts', `${proof(clientKey, TOKEN)}.AA`],
  ['five parts (JWE)', `${proof(clientKey, TOKEN)}.AA.AA`],
  ['signature cut', proof(clientKey, TOKEN).slice(0, -2)],
  ['signature of zeros', proof(clientKey, TOKEN).replace(/[^.]+$/, Buffer.alloc(64).toString('base64url'))],
  ['signature padded', `${proof(clientKey, TOKEN)}==`],
  ['trailing space', `${proof(clientKey, TOKEN)} `],
  [
    'header with the same key twice',
    { header: `{"typ":"JWT","typ":"dpop+jwt","alg":"ES256","jwk":${json(bareJwk(clientKey))}}` },
  ],
  [
    'jwk with the same key twice',
    { header: `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct",${json(bareJwk(clientKey)).slice(1)}}` },
  ],
  ['payload with the same key twice', { payload: `{"htm":"GET",${json(hostilePayload).slice(1)}` }],
  ['payload with an escaped key', { payload: json(hostilePayload).replace('"htm"', '"\\u0068tm"') }],
  ['payload a list', { payload: [hostilePayload] }],
  ['payload with a BOM', { payload: `\uFEFF${json(hostilePayload)}` }],
  ['claims by prototype', { payload: `{"__proto__":${json(hostilePayload)}}` }],
  ['longer than 8 KiB', { payloadChanges: { padding: 'x'.repeat(9000) } }],
];

describe('hostile proofs are refused', () => {
  test(`there are ${HOSTILE.length} classes, at least sixty`, () => expect(HOSTILE.length).toBeGreaterThanOrEqual(60));

  test.each(HOSTILE)('%s', async (_name, wish) => {
    const presented = typeof wish === 'string' ? wish : proof(clientKey, TOKEN, wish);
    // With a token that is remembered, too.
    await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN)]));
    expect(await ask(dpopRequest(TOKEN, [presented]))).toMatchObject(PROOF_REFUSED);
    expect(await ask(dpopRequest(TOKEN, [presented]), AT, await open({}, 0))).toMatchObject(PROOF_REFUSED);
  });

  test('an HMAC with the public key as its secret', async () => {
    const input = `${encode({ typ: 'dpop+jwt', alg: 'HS256', jwk: bareJwk(clientKey) })}.${encode(hostilePayload)}`;
    const secret = clientKey.publicKey.export({ format: 'pem', type: 'spki' });
    expect(await ask(dpopRequest(TOKEN, [`${input}.${hmac(256, secret, input)}`]))).toMatchObject(PROOF_REFUSED);
  });

  test.each(['ES256', 'RS256', 'PS256'] as const)('every algorithm of the key but its own: %s', async (algorithm) => {
    const key = testKey(algorithm, 'client');
    const token = bound(key);
    for (const other of SIGNATURE_ALGORITHMS) {
      if (other === algorithm) continue;
      const header = { typ: 'dpop+jwt', alg: other, jwk: bareJwk(key) };
      const input = `${encode(header)}.${encode({ ...hostilePayload, ath: athOf(token) })}`;
      const presented = `${input}.${signature(algorithm, key.privateKey, input)}`;
      expect(await ask(dpopRequest(token, [presented])), other).toMatchObject(PROOF_REFUSED);
    }
  });

  test('no proof, and two', async () => {
    expect(await ask(dpopRequest(TOKEN, []))).toMatchObject(PROOF_REFUSED);
    const both = [proof(clientKey, TOKEN), proof(clientKey, TOKEN)];
    expect(await ask(dpopRequest(TOKEN, both))).toMatchObject(PROOF_REFUSED);
  });

  test.each<[string, Partial<AccessRequest>]>([
    ['no host', { host: '' }],
    ['a target that is no path', { target: '*' }],
    ['a target of characters that no URI has', { target: '/tenant a' }],
  ])('a request of %s', async (_name, changes) => {
    expect(await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN)], changes))).toMatchObject(PROOF_REFUSED);
  });

  test('a request whose scheme the door does not know', async () => {
    const { scheme: _scheme, ...request } = dpopRequest(TOKEN, [proof(clientKey, TOKEN)]);
    expect(await ask(request)).toMatchObject(PROOF_REFUSED);
  });
});

describe('the scheme says what the token is', () => {
  test('a bound token is no bearer token, even beside a good proof', async () => {
    const request = dpopRequest(TOKEN, [proof(clientKey, TOKEN)], {}, `Bearer ${TOKEN}`);
    expect(await ask(request)).toMatchObject(REFUSED);
  });

  test('an unbound token does not become bound by the scheme', async () => {
    const unbound = signToken(issuerKey, payload());
    expect(await ask(dpopRequest(unbound, [proof(clientKey, unbound)]))).toMatchObject(REFUSED);
  });

  test.each(['dpop', 'DPOP', 'DPoP'])('the scheme `%s` counts', async (scheme) => {
    const request = dpopRequest(TOKEN, [proof(clientKey, TOKEN)], {}, `${scheme} ${TOKEN}`);
    expect(await ask(request)).toMatchObject({ kind: 'verified' });
  });
});

describe('replays', () => {
  test('a proof is good once, whatever the number of requests at the same moment', async () => {
    for (const cacheTtlMs of [0, 60_000]) {
      const of = await open({}, cacheTtlMs);
      const once = proof(clientKey, TOKEN);
      const answers = await Promise.all(Array.from({ length: 200 }, () => ask(dpopRequest(TOKEN, [once]), AT, of)));
      expect(answers.filter((answer) => answer?.kind === 'verified')).toHaveLength(1);
    }
  });

  test('a replay is refused for as long as the proof is acceptable', async () => {
    const of = await open();
    const ahead = proof(clientKey, TOKEN, { payloadChanges: { iat: NOW_SECONDS + 60 } });
    expect(await ask(dpopRequest(TOKEN, [ahead]), AT, of)).toMatchObject({ kind: 'verified' });
    for (const seconds of [1, 60, 119, 120, 121, 3600]) {
      expect(await ask(dpopRequest(TOKEN, [ahead]), later(seconds * 1000), of), `${seconds} s`).toMatchObject(REFUSED);
    }
  });

  test('the same jti of another key is another proof', async () => {
    const of = await open();
    const other = bound(otherKey);
    const wish = { payloadChanges: { jti: 'same' } };
    expect(await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN, wish)]), AT, of)).toMatchObject({ kind: 'verified' });
    expect(await ask(dpopRequest(other, [proof(otherKey, other, wish)]), AT, of)).toMatchObject({ kind: 'verified' });
  });

  test('a proof that is refused uses nothing up', async () => {
    const of = await open();
    const wish = { payloadChanges: { jti: 'same' } };
    const forged = proof(clientKey, TOKEN, { ...wish, signer: otherKey });
    expect(await ask(dpopRequest(TOKEN, [forged]), AT, of)).toMatchObject(PROOF_REFUSED);
    expect(await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN, wish)]), AT, of)).toMatchObject({ kind: 'verified' });
  });

  test('a client that uses up its share is refused, and others are not', async () => {
    const of = await open({ max_entries: 100 });
    const answers = [];
    for (let round = 0; round < 12; round += 1) {
      answers.push((await ask(dpopRequest(TOKEN, [proof(clientKey, TOKEN)]), AT, of))?.kind);
    }
    expect(answers).toEqual([...Array.from({ length: 10 }, () => 'verified'), 'refused', 'refused']);
    const other = bound(otherKey);
    expect(await ask(dpopRequest(other, [proof(otherKey, other)]), AT, of)).toMatchObject({ kind: 'verified' });
  });
});
