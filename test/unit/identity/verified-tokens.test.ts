import { describe, expect, test } from 'vitest';
import type { KeySet } from '../../../src/identity/key-set.ts';
import { createVerifiedTokens } from '../../../src/identity/verified-tokens.ts';
import { AT, later } from './support.ts';

function keySet(digest: string): KeySet {
  return { digest, keys: [], byKid: new Map() };
}

function against(identity: string, digest: string) {
  const set = keySet(digest);
  return { identity, keys: { current: () => set } };
}

function cacheOf(issuers: readonly (readonly [identity: string, digest: string])[], maxEntries = 200_000) {
  const sets = issuers.map(([, digest]) => keySet(digest));
  const cache = createVerifiedTokens<{ readonly of: string }>({
    ttlMs: 60_000,
    maxEntries,
    issuers: issuers.map(([identity], index) => ({ identity, keys: { current: () => sets[index] } })),
  });
  return { cache, sets };
}

describe('verified tokens', () => {
  test('100,000 tokens that differ by one character share nothing (row 25)', () => {
    const { cache } = cacheOf([['a', 'x']]);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const stem = 'eyJhbGciOiJFUzI1NiJ9.'.padEnd(1700, 'AbCd');
    const tokens: string[] = [];
    for (let at = 21; tokens.length < 100_000; at += 1) {
      for (const letter of alphabet) {
        const twin = stem.slice(0, at) + letter + stem.slice(at + 1);
        if (twin !== stem && tokens.length < 100_000) tokens.push(twin);
      }
    }
    expect(new Set(tokens).size).toBe(100_000);
    cache.add(stem, { of: stem }, AT);
    let shared = 0;
    for (const one of tokens) if (cache.get(one, AT) !== undefined) shared += 1;
    // Then with a good part of them inside at the same time, each must find its own.
    const inside = tokens.slice(0, 15_000);
    for (const one of inside) cache.add(one, { of: one }, AT);
    for (const one of inside) if (cache.get(one, AT)?.of !== one) shared += 1;
    for (const one of tokens.slice(15_000)) if (cache.get(one, AT) !== undefined) shared += 1;
    expect(shared).toBe(0);
    console.log('row 25: 100,000 near-collisions, 0 shared');
  });

  test.each([
    ['another config', [['b', 'x']]],
    ['other keys', [['a', 'y']]],
    ['the border between config and keys moved', [['ax', '']]],
    ['the border moved the other way', [['', 'ax']]],
    ['a length prefix forged', [['a1:x', '']]],
    [
      'another issuer beside it',
      [
        ['a', 'x'],
        ['', ''],
      ],
    ],
  ] as const)('a token verified under one state is not found under %s', (_name, state) => {
    const issuers = [against('a', 'x')];
    const cache = createVerifiedTokens<{ readonly of: string }>({ ttlMs: 60_000, maxEntries: 10, issuers });
    cache.add('token', { of: 'first' }, AT);
    issuers.splice(0, 1, ...state.map(([identity, digest]) => against(identity, digest)));
    expect(cache.get('token', AT)).toBeUndefined();
    issuers.splice(0, issuers.length, against('a', 'x'));
    expect(cache.get('token', AT)).toEqual({ of: 'first' });
  });

  test('a change of keys hides what was there, the same keys again bring it back within its time', () => {
    const { cache, sets } = cacheOf([['a', 'x']]);
    cache.add('token', { of: 'x' }, AT);
    sets[0] = keySet('y');
    expect(cache.get('token', AT)).toBeUndefined();
    sets[0] = keySet('x');
    expect(cache.get('token', AT)).toEqual({ of: 'x' });
  });

  test('an entry ends with its time, counted from when it was added', () => {
    const { cache } = cacheOf([['a', 'x']]);
    cache.add('token', { of: 'x' }, AT);
    expect(cache.get('token', later(59_999))).toEqual({ of: 'x' });
    expect(cache.get('token', later(60_000))).toBeUndefined();
    expect(cache.get('token', AT)).toBeUndefined();
  });

  test('the number of entries is bounded', () => {
    const { cache } = cacheOf([['a', 'x']], 100);
    for (let index = 0; index < 10_000; index += 1) cache.add(`token-${index}`, { of: `${index}` }, AT);
    let found = 0;
    for (let index = 0; index < 10_000; index += 1) if (cache.get(`token-${index}`, AT) !== undefined) found += 1;
    expect(found).toBe(100);
  });

  test('texts outside ASCII do not fold together with an ASCII token', () => {
    const { cache } = cacheOf([['a', 'x']]);
    cache.add('token', { of: 'x' }, AT);
    for (const twin of ['token\ud800', 'tokeń', 'token\ufffd', 'tоken']) expect(cache.get(twin, AT)).toBeUndefined();
  });
});
