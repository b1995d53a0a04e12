import { describe, expect, test } from 'vitest';
import type { KeySet } from '../../../src/identity/key-set.ts';
import { createVerifiedTokens } from '../../../src/identity/verified-tokens.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
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

const INSIDE = 5000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';

/** A text that differs from this one in one to three places: a character, its case, an order, a length. */
function nearly(text: string, random: Random): string {
  let near = text;
  for (let edits = 1 + random.below(3); edits > 0; edits -= 1) near = edited(near, random);
  return near;
}

function edited(text: string, random: Random): string {
  const at = random.below(text.length);
  const letter = ALPHABET.charAt(random.below(ALPHABET.length));
  switch (random.below(7)) {
    case 0:
    case 1:
      return text.slice(0, at) + letter + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + letter + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(at + 1);
    case 4:
      return text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2);
    case 5:
      return random.chance(0.5) ? text.slice(at) : text.slice(0, at + 1);
    default: {
      const flipped = text.charAt(at);
      const other = flipped === flipped.toLowerCase() ? flipped.toUpperCase() : flipped.toLowerCase();
      return text.slice(0, at) + other + text.slice(at + 1);
    }
  }
}

describe('verified tokens', () => {
  test('tokens that all but equal a remembered one share nothing with it (row 25)', () => {
    const random = createRandom(seedOf('near collisions'));
    const { cache } = cacheOf([['a', 'x']], INSIDE + 1);
    // Long enough that a digest over a part of it would not see most of the changes.
    const stem = `eyJhbGciOiJFUzI1NiJ9.${'AbCd'.repeat(200)}.${'EfGh'.repeat(22)}`;
    cache.add(stem, { of: stem }, AT);
    const inside: string[] = [];
    const seen = new Set([stem]);
    while (inside.length < INSIDE) {
      const twin = nearly(stem, random);
      if (seen.has(twin)) continue;
      seen.add(twin);
      inside.push(twin);
    }
    const count = caseCount(1_000_000);
    let tried = 0;
    let shared = 0;
    // Nothing but the stem is inside: whatever is found for another text is the stem's.
    for (; tried < count / 2; tried += 1) {
      const twin = nearly(stem, random);
      if (twin !== stem && cache.get(twin, AT) !== undefined) shared += 1;
    }
    // Then a crowd of near-twins, of which each must find its own, and strangers nothing.
    for (const one of inside) cache.add(one, { of: one }, AT);
    for (; tried < count; tried += 1) {
      const twin = random.chance(0.5) ? nearly(stem, random) : nearly(random.pick(inside), random);
      const found = cache.get(twin, AT);
      if (seen.has(twin) ? found?.of !== twin : found !== undefined) shared += 1;
    }
    expect(shared).toBe(0);
    console.info(`row 25: ${tried} near-collisions, 0 shared`);
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
