import { describe, expect, test, vi } from 'vitest';
import type { Peer } from '../../../src/decision/principal.ts';
import { CredentialFault } from '../../../src/identity/credential-fault.ts';
import type { Confirm, Confirmed } from '../../../src/identity/jwt-confirmation.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import {
  AT,
  INVALID,
  jwtIssuer,
  jwtMethod,
  jwtMethodWith,
  later,
  NOW_SECONDS,
  payload,
  publicJwk,
  request,
  testKey,
  token,
} from './support.ts';

const key = testKey('ES256');
const issuer = await jwtIssuer({}, [publicJwk(key)]);
const FINGERPRINT = Buffer.from(Array.from({ length: 32 }, (_, index) => 7 * index + 3));
const peer: Peer = { dnsSans: [], fingerprintSha256: FINGERPRINT.toString('hex') };
const x5t = { 'x5t#S256': FINGERPRINT.toString('base64url') };
const jkt = { jkt: Buffer.alloc(32, 9).toString('base64url') };
const tokenWith = (cnf: unknown) => token(key, payload({ cnf }));

describe('a token that is bound to a client certificate (RFC 8705)', () => {
  const presented = request(`Bearer ${tokenWith(x5t)}`);

  test('is good for the peer with that certificate, who is told to be the peer, cold and warm', async () => {
    const method = jwtMethod(issuer);
    expect(await method.authenticate(presented, AT, peer)).toMatchObject({ kind: 'verified', peer });
    expect(method.authenticate(presented, AT, peer)).toMatchObject({ kind: 'verified', peer });
  });

  const others: readonly (readonly [string, Peer | null | undefined])[] = [
    ['nobody said', undefined],
    ['no peer', null],
    ['a peer without certificate', { dnsSans: [], spiffeId: 'spiffe://test/a' }],
    ['a peer with another certificate', { ...peer, fingerprintSha256: 'ab'.repeat(32) }],
    ['a peer with an empty fingerprint', { ...peer, fingerprintSha256: '' }],
    ['the fingerprint in capitals', { ...peer, fingerprintSha256: FINGERPRINT.toString('hex').toUpperCase() }],
    ['the fingerprint in base64url', { ...peer, fingerprintSha256: FINGERPRINT.toString('base64url') }],
  ];
  test.each(others)('is refused to %s, cold and with a warm cache', async (_name, other) => {
    const method = jwtMethod(issuer);
    const of = () => method.authenticate(presented, AT, other);
    expect(await of()).toMatchObject({ ...INVALID, cause: expect.stringMatching(/client certificate/) });
    expect(await method.authenticate(presented, AT, peer)).toMatchObject({ kind: 'verified' });
    expect(of()).not.toBeInstanceOf(Promise);
    expect(of()).toMatchObject({ ...INVALID, cause: expect.stringMatching(/client certificate/) });
  });

  test('is refused to every other peer, however near its fingerprint, with a warm cache (row 25)', async () => {
    const random = createRandom(seedOf('bound tokens'));
    const method = jwtMethod(issuer);
    await method.authenticate(presented, AT, peer);
    const count = caseCount(100_000);
    let accepted = 0;
    for (let tried = 0; tried < count; tried += 1) {
      const twin = Buffer.from(FINGERPRINT);
      for (let flips = 1 + random.below(2); flips > 0; flips -= 1) {
        const at = random.below(256);
        twin[at >> 3] = (twin[at >> 3] ?? 0) ^ (1 << (at & 7));
      }
      if (twin.equals(FINGERPRINT)) continue;
      const found = method.authenticate(presented, AT, { dnsSans: [], fingerprintSha256: twin.toString('hex') });
      if (found instanceof Promise || found?.kind !== 'refused') accepted += 1;
    }
    expect(accepted).toBe(0);
    expect(method.authenticate(presented, AT, peer)).toMatchObject({ kind: 'verified' });
    console.info(`row 25: a bound token from ${count} other peers with a warm cache, 0 accepted`);
  });
});

describe('a `cnf` that is not understood', () => {
  test.each([
    ['null', null],
    ['a text', 'x5t#S256'],
    ['a list', [x5t]],
    ['empty', {}],
    ['of an unknown kind', { kid: 'key-1' }],
    ['a key of its own', { jwk: publicJwk(key) }],
    ['an encrypted key', { jwe: 'a.b.c.d.e' }],
    ['the address of a key', { jku: 'https://evil.test/keys', kid: 'a' }],
    ['a member of an unknown kind beside the known', { ...x5t, kid: 'key-1' }],
    ['SHA-1', { x5t: 'AAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
    ['in another case', { 'x5t#s256': x5t['x5t#S256'] }],
    ['no text', { 'x5t#S256': [x5t['x5t#S256']] }],
    ['in hex', { 'x5t#S256': FINGERPRINT.toString('hex') }],
    ['padded', { 'x5t#S256': `${x5t['x5t#S256']}=` }],
    ['in standard base64', { 'x5t#S256': Buffer.alloc(32, 0xff).toString('base64').replace('=', '') }],
    ['with stray bits', { 'x5t#S256': `${x5t['x5t#S256'].slice(0, -1)}B` }],
    ['too short', { 'x5t#S256': FINGERPRINT.subarray(1).toString('base64url') }],
    ['too long', { 'x5t#S256': Buffer.concat([FINGERPRINT, FINGERPRINT]).toString('base64url') }],
    ['of no length', { 'x5t#S256': '' }],
    ['a key thumbprint that is none', { jkt: 'key-1' }],
  ])('refuses the token: %s', async (_name, cnf) => {
    const confirm = vi.fn<Confirm>(() => undefined);
    const method = jwtMethodWith({ confirm }, issuer);
    for (const scheme of ['Bearer', 'DPoP']) {
      expect(await method.authenticate(request(`${scheme} ${tokenWith(cnf)}`), AT, peer)).toMatchObject(INVALID);
    }
    expect(confirm).not.toHaveBeenCalled();
  });

  test('an inherited one is none', async () => {
    const text = JSON.stringify(payload()).replace('{', `{"__proto__":{"cnf":${JSON.stringify(x5t)}},`);
    expect(await jwtMethod(issuer).authenticate(request(`Bearer ${token(key, text)}`), AT)).toMatchObject({
      kind: 'verified',
    });
  });
});

describe('a token that is bound to a key (RFC 9449)', () => {
  const raw = tokenWith(jkt);
  const presented = request(`DPoP ${raw}`);
  const asked = async (confirm: Confirm | undefined, of = presented, as: Peer | null = null) =>
    await jwtMethodWith(confirm === undefined ? {} : { confirm }, issuer).authenticate(of, AT, as);

  test('is refused where nothing can judge its proof, whatever the scheme', async () => {
    expect(await asked(undefined)).toMatchObject(INVALID);
    expect(await asked(undefined, request(`Bearer ${raw}`))).toMatchObject({
      ...INVALID,
      cause: expect.stringMatching(/bearer/),
    });
  });

  test.each<[string, () => Confirmed | Promise<Confirmed>]>([
    ['at once', () => undefined],
    ['later', () => Promise.resolve(undefined)],
  ])('holds when its proof does, told %s: asked on every request, with token and request', async (_name, answer) => {
    const confirm = vi.fn<Confirm>(answer);
    const method = jwtMethodWith({ confirm }, issuer);
    for (let round = 1; round <= 3; round += 1) {
      expect(await method.authenticate(presented, AT)).toMatchObject({ kind: 'verified' });
      expect(confirm).toHaveBeenCalledTimes(round);
    }
    expect(confirm).toHaveBeenLastCalledWith(jkt, presented, raw, AT);
  });

  test('is answered at once with a warm cache, where its proof is', async () => {
    const method = jwtMethodWith({ confirm: () => undefined }, issuer);
    await method.authenticate(presented, AT);
    expect(method.authenticate(presented, AT)).not.toBeInstanceOf(Promise);
  });

  test.each<[string, () => Confirmed | Promise<Confirmed>]>([
    ['at once', () => ({ cause: 'seen before' })],
    ['later', () => Promise.resolve({ cause: 'seen before' })],
    [
      'by throwing a fault',
      () => {
        throw new CredentialFault('seen before');
      },
    ],
    ['by rejecting with a fault', () => Promise.reject(new CredentialFault('seen before'))],
  ])('is refused when its proof does not hold, told %s, cold and warm', async (_name, answer) => {
    const confirm = vi.fn<Confirm>(answer).mockReturnValueOnce(undefined);
    const cold = await asked(answer);
    expect(cold).toEqual({ ...INVALID, cause: 'seen before' });
    const method = jwtMethodWith({ confirm }, issuer);
    expect(await method.authenticate(presented, AT)).toMatchObject({ kind: 'verified' });
    expect(await method.authenticate(presented, AT)).toEqual(cold);
  });

  test('is refused with the challenge of what judged it', async () => {
    const challenge = 'DPoP error="use_dpop_nonce"';
    expect(await asked(() => ({ cause: 'stale', challenge }))).toMatchObject({ cause: 'stale', challenge });
  });

  test('a judge that breaks is never taken for consent', async () => {
    const broken = new TypeError('bug');
    await expect(asked(() => Promise.reject(broken))).rejects.toBe(broken);
    const method = jwtMethodWith({ confirm: vi.fn<Confirm>(() => undefined) }, issuer);
    await method.authenticate(presented, AT);
    const throwing = jwtMethodWith(
      {
        confirm: () => {
          throw broken;
        },
      },
      issuer,
    );
    await expect(Promise.resolve(throwing.authenticate(presented, AT))).rejects.toBe(broken);
  });

  test('is no bearer token: the scheme `Bearer` is refused without asking (RFC 9449 §7.2)', async () => {
    const confirm = vi.fn<Confirm>(() => undefined);
    const method = jwtMethodWith({ confirm }, issuer);
    await method.authenticate(presented, AT);
    expect(await method.authenticate(request(`Bearer ${raw}`), AT)).toMatchObject(INVALID);
    expect(confirm).toHaveBeenCalledTimes(1);
  });

  test('a token that is not bound is refused under the scheme `DPoP`, cold and warm', async () => {
    const confirm = vi.fn<Confirm>(() => undefined);
    const method = jwtMethodWith({ confirm }, issuer);
    const unbound = token(key, payload());
    expect(await method.authenticate(request(`DPoP ${unbound}`), AT)).toMatchObject(INVALID);
    expect(await method.authenticate(request(`Bearer ${unbound}`), AT)).toMatchObject({ kind: 'verified' });
    expect(method.authenticate(request(`DPoP ${unbound}`), AT)).toMatchObject(INVALID);
    expect(confirm).not.toHaveBeenCalled();
  });

  test('that is also bound to a certificate needs both', async () => {
    const confirm = vi.fn<Confirm>(() => undefined);
    const both = request(`DPoP ${tokenWith({ ...jkt, ...x5t })}`);
    expect(await asked(confirm, both)).toMatchObject(INVALID);
    expect(confirm).not.toHaveBeenCalled();
    expect(await asked(confirm, both, peer)).toMatchObject({ kind: 'verified' });
    expect(await asked(() => ({ cause: 'no proof' }), both, peer)).toMatchObject(INVALID);
    expect(await asked(undefined, both, peer)).toMatchObject(INVALID);
  });

  test('that is expired is refused without its proof being spent', async () => {
    const confirm = vi.fn<Confirm>(() => undefined);
    const method = jwtMethodWith({ confirm }, issuer);
    const brief = request(`DPoP ${token(key, payload({ cnf: jkt, exp: NOW_SECONDS + 1 }))}`);
    await method.authenticate(brief, AT);
    expect(await method.authenticate(brief, later(31_000))).toMatchObject(INVALID);
    expect(confirm).toHaveBeenCalledTimes(1);
  });

  test('keeps its proof from the upstream where the issuer is not to be forwarded', async () => {
    const kept = await jwtIssuer({ forward: false }, [publicJwk(key)]);
    const method = jwtMethodWith({ confirm: () => undefined }, kept);
    expect(await method.authenticate(presented, AT)).toMatchObject({ stripHeaders: ['authorization', 'dpop'] });
  });
});

describe('an issuer whose tokens must be bound', () => {
  test('is refused a token that any bearer could use', async () => {
    const strict = await jwtIssuer({ sender_constrained: 'required' }, [publicJwk(key)]);
    const method = jwtMethod(strict);
    expect(await method.authenticate(request(`Bearer ${token(key, payload())}`), AT, peer)).toMatchObject(INVALID);
    expect(await method.authenticate(request(`Bearer ${tokenWith(x5t)}`), AT, peer)).toMatchObject({
      kind: 'verified',
    });
  });
});
