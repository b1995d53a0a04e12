import { describe, expect, test, vi } from 'vitest';
import { createApiKeyMethod } from '../../../src/identity/api-key.ts';
import type { KeyDirectory } from '../../../src/identity/api-key-directory.ts';
import { CredentialFault } from '../../../src/identity/credential-fault.ts';
import { directoryOf, issueKey, requestWith } from './api-key-support.ts';
import { AT, request } from './support.ts';

const key = issueKey({ subject: 'robot-7', models: ['llama-3-8b'], name: 'the robot' });
const other = issueKey({ tenant: 'tenant-b' });
const noAddress = () => undefined;

const methodOn = (directory: KeyDirectory, clientIp: () => string | undefined = noAddress) =>
  createApiKeyMethod({ directory, clientIp });

describe('a good key', () => {
  test.each([
    ['x-api-key', key.text],
    ['authorization', `Bearer ${key.text}`],
    ['authorization', `bEARER ${key.text}`],
  ])('in `%s` says who asks, and its header is stripped', (name, value) => {
    const found = methodOn(directoryOf(key)).authenticate(requestWith([name, value]), AT);
    expect(found).toEqual({
      kind: 'verified',
      principal: {
        kind: 'api_key',
        keyId: key.id,
        tenant: 'tenant-a',
        tier: 'premium',
        roles: ['inference'],
        subject: 'robot-7',
        models: ['llama-3-8b'],
        scopes: [],
        claims: {},
        credentials: [{ kind: 'api_key', keyId: key.id, header: name, presented: value }],
        demo: false,
      },
      peer: null,
      stripHeaders: [name],
    });
  });

  test('in `x-api-key` leaves a JWT beside it to the other method', () => {
    const asked = requestWith(['x-api-key', key.text], ['authorization', 'Bearer eyJ.sp_.x']);
    expect(methodOn(directoryOf(key)).authenticate(asked, AT)).toMatchObject({
      kind: 'verified',
      stripHeaders: ['x-api-key'],
    });
  });
});

describe('no key is presented', () => {
  test.each([
    ['no header', request()],
    ['a JWT', request('Bearer eyJhbGciOiJFUzI1NiJ9.e30.c3BfeA')],
    ['Basic', request('Basic c3BfOng=')],
    ['two JWTs', request('Bearer a.b.c', 'Bearer a.b.c')],
  ])('%s', (_name, asked) => {
    const directory = directoryOf(key);
    expect(methodOn(directory).authenticate(asked, AT)).toBeUndefined();
    expect(directory.asked).toEqual([]);
  });
});

describe('what is meant as a key and is not exactly one good key is refused, before any look-up', () => {
  const both: readonly (readonly [string, string])[] = [
    ['x-api-key', key.text],
    ['authorization', `Bearer ${key.text}`],
  ];
  test.each([
    ['in both headers', both],
    [
      'two `x-api-key`, the same',
      [
        ['x-api-key', key.text],
        ['x-api-key', key.text],
      ],
    ],
    [
      'two `x-api-key`, one empty',
      [
        ['x-api-key', key.text],
        ['x-api-key', ''],
      ],
    ],
    ['two keys in one `x-api-key`', [['x-api-key', `${key.text}, ${other.text}`]]],
    ['an empty `x-api-key`', [['x-api-key', '']]],
    ['another text in `x-api-key`', [['x-api-key', 'letmein']]],
    ['a JWT in `x-api-key`', [['x-api-key', 'eyJ.e30.x']]],
    ['`Bearer` in `x-api-key`', [['x-api-key', `Bearer ${key.text}`]]],
    [
      'two `authorization`, the same',
      [
        ['authorization', `Bearer ${key.text}`],
        ['authorization', `Bearer ${key.text}`],
      ],
    ],
    [
      'a JWT, then a key',
      [
        ['authorization', 'Bearer a.b.c'],
        ['authorization', `Bearer ${key.text}`],
      ],
    ],
    ['a JWT and a key, joined', [['authorization', `Bearer a.b.c, Bearer ${key.text}`]]],
    ['a JWT and a key, joined without a space', [['authorization', `Bearer a.b.c,${key.text}`]]],
    ['two keys, joined', [['authorization', `Bearer ${key.text}, Bearer ${other.text}`]]],
    ['no scheme', [['authorization', key.text]]],
    ['the scheme of DPoP', [['authorization', `DPoP ${key.text}`]]],
    ['the scheme of Basic', [['authorization', `Basic ${key.text}`]]],
    ['two spaces', [['authorization', `Bearer  ${key.text}`]]],
    ['a tab', [['authorization', `Bearer\t${key.text}`]]],
    ['white space after', [['authorization', `Bearer ${key.text} `]]],
    ['a piece of a key', [['authorization', `Bearer ${key.text.slice(0, -1)}`]]],
  ] as const)('%s', (_name, headers) => {
    const directory = directoryOf(key, other);
    const found = methodOn(directory).authenticate(requestWith(...headers), AT);
    expect(found).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
    expect(found).not.toHaveProperty('keyId');
    expect(JSON.stringify(found)).not.toContain(key.text.slice(-20));
    expect(directory.asked).toEqual([]);
  });
});

describe('a key that does not hold', () => {
  const refusal = (asked: string, of = key) =>
    methodOn(directoryOf(of)).authenticate(requestWith(['x-api-key', asked]), AT);

  test('with the secret of another is refused, and counted against the key that exists', () => {
    const mixed = `sp_${key.id}_${other.text.slice(-43)}`;
    expect(refusal(mixed)).toEqual({
      kind: 'refused',
      code: 'invalid_credential',
      cause: 'the secret of the API key is wrong',
      keyId: key.id,
    });
  });

  test('of an id that does not exist is refused, and counted against none', () => {
    expect(refusal(other.text)).toEqual({
      kind: 'refused',
      code: 'invalid_credential',
      cause: 'there is no such API key',
    });
  });

  test.each([
    ['revoked', { revoked: true }, 'the key is revoked'],
    ['expired', { expires: '2026-11-21T23:59:59Z' }, 'the key is expired'],
    ['early', { not_before: '2026-11-22T00:00:01Z' }, 'the key is not valid yet'],
    [
      'from nowhere',
      { addresses: ['10.0.0.0/8'] },
      'the key is bound to addresses and the address of the client is not known',
    ],
  ])('because it is %s is refused, with its id', (_name, change, cause) => {
    const bad = issueKey(change);
    expect(refusal(bad.text, bad)).toEqual({ kind: 'refused', code: 'invalid_credential', cause, keyId: bad.id });
  });

  test('says nothing more to the caller than any other bad bearer token', () => {
    const method = methodOn(directoryOf(key));
    for (const text of [other.text, `sp_${key.id}_${other.text.slice(-43)}`, 'sp_']) {
      expect(method.authenticate(request(`Bearer ${text}`), AT)).toMatchObject({
        challenge: 'Bearer error="invalid_token"',
      });
    }
  });

  test('is judged by the address of this very request', () => {
    const bound = issueKey({ addresses: ['10.0.0.0/8'] });
    const clientIp = vi.fn<() => string | undefined>();
    const method = methodOn(directoryOf(bound), clientIp);
    const asked = requestWith(['x-api-key', bound.text]);
    clientIp.mockReturnValueOnce('10.1.2.3').mockReturnValueOnce('11.1.2.3');
    expect(method.authenticate(asked, AT)).toMatchObject({ kind: 'verified' });
    expect(method.authenticate(asked, AT)).toMatchObject({ kind: 'refused', keyId: bound.id });
    expect(clientIp).toHaveBeenCalledWith(asked);
  });
});

describe('a directory that cannot tell', () => {
  const unavailable = new CredentialFault('no answer', 'issuer_unavailable');
  const asked = request(`Bearer ${key.text}`);

  test.each([
    [
      'throws',
      () => {
        throw unavailable;
      },
    ],
    ['rejects', () => Promise.reject(unavailable)],
  ])('%s: refused as unavailable, not as a bad key', async (_name, find) => {
    const found = methodOn({ ...directoryOf(), find }).authenticate(asked, AT);
    expect(await found).toEqual({ kind: 'refused', code: 'issuer_unavailable', cause: 'no answer' });
  });

  test('its fault is that of the method', () => {
    const method = methodOn({ ...directoryOf(), fault: () => 'gone' });
    expect(method.faults(AT)).toEqual(['API keys: gone']);
    expect(methodOn(directoryOf()).faults(AT)).toEqual([]);
  });
});
