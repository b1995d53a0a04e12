import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createApiKey } from '../../../src/identity/api-key-create.ts';
import { isApiKey, isKeyId, parseApiKey, toApiKeyText } from '../../../src/identity/api-key-format.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const ID = 'abcdefghijk2';
const SECRET = `${'_-aZ09xY'.repeat(5)}_-A`;
const GOOD = `sp_${ID}_${SECRET}`;

test('a key reads back as its parts, the `_` of base64url included', () => {
  expect(parseApiKey(GOOD)).toEqual({ id: ID, secret: SECRET });
  expect(parseApiKey(`sp_${'a'.repeat(20)}_${SECRET}`)).toEqual({ id: 'a'.repeat(20), secret: SECRET });
  expect(toApiKeyText({ id: ID, secret: SECRET })).toBe(GOOD);
});

test.each([
  ['nothing', ''],
  ['the prefix alone', 'sp_'],
  ['no secret', `sp_${ID}_`],
  ['another prefix', `sk_${ID}_${SECRET}`],
  ['the prefix in capitals', `SP_${ID}_${SECRET}`],
  ['an id of 11', `sp_${ID.slice(1)}_${SECRET}`],
  ['an id of 21', `sp_${'a'.repeat(21)}_${SECRET}`],
  ['a capital in the id', `sp_A${ID.slice(1)}_${SECRET}`],
  ['a `_` in the id', `sp_abcdef_hijk2_${SECRET}`],
  ['a secret of 42', `sp_${ID}_${SECRET.slice(1)}`],
  ['a secret of 44', `sp_${ID}_A${SECRET}`],
  ['bits beyond the 256', `sp_${ID}_${SECRET.slice(0, -1)}B`],
  ['padding', `${GOOD}=`],
  ['base64 of the other alphabet', `sp_${ID}_+${SECRET.slice(1)}`],
  ['white space before', ` ${GOOD}`],
  ['white space after', `${GOOD} `],
  ['a line feed after', `${GOOD}\n`],
  ['two keys', `${GOOD},${GOOD}`],
  ['a letter that lower-cases into the alphabet', `sp_\u212a${ID.slice(1)}_${SECRET}`],
])('is no key: %s', (_name, text) => {
  expect(parseApiKey(text)).toBeUndefined();
});

test('what begins like a key belongs to the API keys, well formed or not', () => {
  expect([GOOD, 'sp_', 'sp_x', `${GOOD}, x`].map(isApiKey)).toEqual([true, true, true, true]);
  expect(['', 'sp', ` ${GOOD}`, 'eyJhbGciOiJFUzI1NiJ9.sp_.x', 'SP_'].map(isApiKey)).toEqual(Array(5).fill(false));
});

test('no single changed character of a key leaves it the same key', () => {
  const random = createRandom(seedOf('api key mutants'));
  const count = caseCount(20_000);
  for (let run = 0; run < count; run += 1) {
    const at = random.below(GOOD.length);
    const mutant = GOOD.slice(0, at) + String.fromCharCode(random.below(0x250)) + GOOD.slice(at + 1);
    const parsed = parseApiKey(mutant);
    if (parsed === undefined) continue;
    expect(toApiKeyText(parsed)).toBe(mutant);
    expect(mutant === GOOD).toBe(parsed.id === ID && parsed.secret === SECRET);
  }
  console.info(`api key mutants: ${count} cases`);
});

test('a new key is well formed, its id begins with a letter, and no two are alike', () => {
  const ids = new Set<string>();
  for (let run = 0; run < 1000; run += 1) {
    const key = createApiKey(randomBytes);
    expect(parseApiKey(key.text)?.id).toBe(key.id);
    expect(isKeyId(key.id)).toBe(true);
    expect(key.id).toMatch(/^[a-z]/);
    expect(key.sha256).toMatch(/^[0-9a-f]{64}$/);
    ids.add(key.id);
  }
  expect(ids.size).toBe(1000);
});

test('a megabyte of nearly a key is refused at once', () => {
  const long = `sp_${'a'.repeat(1 << 20)}_${SECRET}`;
  const begun = performance.now();
  for (let run = 0; run < 1000; run += 1) parseApiKey(long);
  expect(performance.now() - begun).toBeLessThan(500);
});
