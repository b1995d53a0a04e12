import { generateKeyPairSync } from 'node:crypto';
import { decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { parseSigningKey } from '../../../src/identity/signing-key.ts';
import { ecKey, openExchange, pemOf } from './exchange-support.ts';
import { request, rsaKey } from './support.ts';

const ed = generateKeyPairSync('ed25519');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = (key: typeof ec.privateKey): string => JSON.stringify(key.export({ format: 'jwk' }));
const pem = (key: typeof ec.publicKey): string => key.export({ format: 'pem', type: 'spki' }).toString();

describe('the signing key', () => {
  test.each([
    ['P-256 in PEM', pemOf(ec.privateKey), 'ES256'],
    ['P-256 in SEC1 PEM', ec.privateKey.export({ format: 'pem', type: 'sec1' }).toString(), 'ES256'],
    ['P-256 as JWK', jwk(ec.privateKey), 'ES256'],
    ['Ed25519 in PEM', pemOf(ed.privateKey), 'EdDSA'],
    ['Ed25519 as JWK', jwk(ed.privateKey), 'EdDSA'],
  ])('%s', async (_name, text, alg) => {
    expect(parseSigningKey(text).published).toMatchObject({ alg, use: 'sig' });
    const { files, time, token, method, signer } = await openExchange();
    files.set('signing.pem', text);
    await time.advance(1000);
    const signed = await token();
    expect(decodeProtectedHeader(signed)).toMatchObject({ alg });
    expect(await method.authenticate(request(`Bearer ${signed}`), time.clock.now())).toMatchObject({
      kind: 'verified',
    });
    expect(JSON.stringify(signer.jwks())).not.toContain('"d"');
  });

  test.each([
    ['nothing', ''],
    ['a public key', pem(ec.publicKey)],
    ['a public JWK', jwk(ec.publicKey)],
    ['RSA', pemOf(rsaKey('signing').privateKey)],
    ['P-384', pemOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['a shared secret', '{"kty":"oct","k":"AAAA"}'],
    ['no JSON', '{'],
    ['a JWK off its curve', JSON.stringify({ ...ec.privateKey.export({ format: 'jwk' }), x: 'AAAA' })],
  ])('%s is none, and no message shows it', async (_name, text) => {
    expect(() => parseSigningKey(text)).toThrow(SyntaxError);
    const { files, time, events, token, signer } = await openExchange();
    const before = signer.jwks();
    files.set('signing.pem', text);
    await time.advance(3000);
    expect(events.map(({ kind }) => kind)).toEqual(['loaded', 'kept']);
    expect(signer.jwks()).toEqual(before);
    expect(await token()).toBeTypeOf('string');
  });
});

describe('rotation', () => {
  const judge = async ({ method, time }: Awaited<ReturnType<typeof openExchange>>, token: string) =>
    (await method.authenticate(request(`Bearer ${token}`), time.clock.now()))?.kind;
  const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;

  test('a new key signs within a second; the former stays published until its last token is dead', async () => {
    const opened = await openExchange();
    const { files, time, signer, token } = opened;
    const before = await token();
    files.set('signing.pem', pemOf(ecKey()));
    await time.advance(1000);
    const after = await token();
    expect(kidOf(after)).not.toBe(kidOf(before));
    expect(signer.jwks().keys.map(({ kid }) => kid)).toEqual([kidOf(after), kidOf(before)]);
    expect([await judge(opened, before), await judge(opened, after)]).toEqual(['verified', 'verified']);
    await time.advance(298_000);
    expect(await judge(opened, before)).toBe('verified');
    await time.advance(33_000);
    expect(signer.jwks().keys.map(({ kid }) => kid)).toEqual([kidOf(after)]);
  });

  test('a key that comes back is published once', async () => {
    const { files, time, signer, token } = await openExchange();
    const first = files.get('signing.pem') ?? '';
    const kid = kidOf(await token());
    files.set('signing.pem', pemOf(ecKey()));
    await time.advance(1000);
    files.set('signing.pem', first);
    await time.advance(1000);
    expect(signer.jwks().keys.filter((key) => key.kid === kid)).toHaveLength(1);
    expect(kidOf(await token())).toBe(kid);
  });

  test('a token of a key that another process uses already has the file read at once', async () => {
    const opened = await openExchange();
    const other = await openExchange();
    opened.files.set('signing.pem', other.files.get('signing.pem') ?? '');
    await opened.time.advance(200);
    expect(await judge(opened, await other.token())).toBe('verified');
  });

  test('previous keys verify and are published, and sign nothing', async () => {
    const former = await openExchange();
    const old = await former.token();
    const opened = await openExchange({ previous_key_files: ['previous.pem'] });
    opened.files.set('previous.pem', former.files.get('signing.pem') ?? '');
    await opened.time.advance(1000);
    await former.time.advance(1000);
    expect(opened.signer.jwks().keys.map(({ kid }) => kid)).toContain(kidOf(old));
    expect(await judge(opened, old)).toBe('verified');
    expect(kidOf(await opened.token())).not.toBe(kidOf(old));
  });

  test('without a key nothing is signed, and readiness says so', async () => {
    const { method, signer, exchange, time } = await openExchange({ signing_key_file: 'missing.pem' });
    expect(method.faults(time.clock.now())).toEqual([expect.stringContaining('missing.pem')]);
    await expect(signer.sign({})).rejects.toThrow('there is no signing key');
    const asked = { kind: 'pair', keyId: 'abcdefghijkl', secret: Buffer.alloc(32, 7).toString('base64url') } as const;
    expect(await exchange.exchange(asked, undefined)).toEqual({ kind: 'unavailable' });
  });

  test('nothing is left behind at stop', async () => {
    const { method, time } = await openExchange();
    expect(time.pending()).toBe(1);
    method.stop();
    expect(time.pending()).toBe(0);
  });
});
