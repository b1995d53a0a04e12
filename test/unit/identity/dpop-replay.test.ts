import { expect, test } from 'vitest';
import { createProofReplays } from '../../../src/identity/dpop-replay.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { AT, later, NOW_MS } from './support.ts';

const LIMITS = { maxAgeMs: 60_000, maxEntries: 1000, maxEntriesPerKey: 100 };
const seen = (jkt: string, jti: string, issuedAtMs = NOW_MS) => ({ jkt, jti, issuedAtMs });

test('neighbours of one text are two proofs', () => {
  const replays = createProofReplays(LIMITS);
  expect(replays.admit(seen('ab', 'c'), AT)).toBe('fresh');
  expect(replays.admit(seen('a', 'bc'), AT)).toBe('fresh');
  expect(replays.admit(seen('ab', '1:c'), AT)).toBe('fresh');
  expect(replays.admit(seen('ab', 'c'), AT)).toBe('replayed');
});

test('near-collisions never share an entry', () => {
  const random = createRandom(seedOf('dpop near-collisions'));
  const count = caseCount(25_000);
  const replays = createProofReplays({ maxAgeMs: 60_000, maxEntries: count * 2, maxEntriesPerKey: count * 2 });
  const admitted = new Set<string>();
  for (let round = 0; round < count; round += 1) {
    const jkt = Array.from({ length: 1 + random.below(4) }, () => random.pick(['0', '1', ':', 'a'])).join('');
    const jti = Array.from({ length: 1 + random.below(4) }, () => random.pick(['0', '1', ':', 'a'])).join('');
    const pair = JSON.stringify([jkt, jti]);
    expect(replays.admit(seen(jkt, jti), AT), pair).toBe(admitted.has(pair) ? 'replayed' : 'fresh');
    admitted.add(pair);
  }
});

test('when full, new proofs are refused until old ones cannot be replayed any more', () => {
  const replays = createProofReplays({ ...LIMITS, maxEntries: 3 });
  for (const jkt of ['a', 'b', 'c']) expect(replays.admit(seen(jkt, 'x'), AT)).toBe('fresh');
  expect(replays.admit(seen('d', 'x'), AT)).toBe('full');
  expect(replays.admit(seen('a', 'x'), AT)).toBe('replayed');
  expect(replays.admit(seen('d', 'x', NOW_MS + 120_000), later(120_000))).toBe('full');
  expect(replays.admit(seen('d', 'x', NOW_MS + 120_001), later(120_001))).toBe('fresh');
  expect(replays.size()).toBe(1);
});

test('what one key has used up comes back', () => {
  const replays = createProofReplays({ ...LIMITS, maxEntriesPerKey: 2 });
  expect(['1', '2', '3'].map((jti) => replays.admit(seen('a', jti), AT))).toEqual(['fresh', 'fresh', 'full']);
  expect(replays.admit(seen('b', '1'), AT)).toBe('fresh');
  expect(replays.admit(seen('a', '3', NOW_MS + 121_000), later(121_000))).toBe('fresh');
});

test('a clock that is set back makes nothing acceptable that was forgotten', () => {
  const replays = createProofReplays(LIMITS);
  expect(replays.admit(seen('a', 'x'), AT)).toBe('fresh');
  const setBack = { epochMs: NOW_MS + 1000, monotonicMs: AT.monotonicMs + 500_000 };
  expect(replays.admit(seen('a', 'x'), setBack)).toBe('replayed');
  expect(replays.admit(seen('a', 'y', NOW_MS + 1000), setBack)).toBe('fresh');
});

test('a time that is none is no fresh proof', () => {
  expect(createProofReplays(LIMITS).admit(seen('a', 'x', Number.NaN), AT)).toBe('replayed');
});
