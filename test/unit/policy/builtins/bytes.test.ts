import { expect, test } from 'vitest';
import { toBytes, toText } from '../../../../src/policy/builtins/bytes.ts';
import { toJsonText } from '../../../../src/policy/values/json-text.ts';
import { caseCount, createRandom, seedOf } from '../../../support/seed.ts';

test.each([
  ['nothing', '', ''],
  ['UTF-8', 'c3a9f09f9880', 'é😀'],
  ['a byte that begins nothing', '61ff62', 'a\udcffb'],
  ['a character cut short', 'f09f98', '\udcf0\udc9f\udc98'],
  ['an overlong form', 'c080', '\udcc0\udc80'],
  ['a surrogate in UTF-8', 'eda080', '\udced\udca0\udc80'],
  ['the character of what is unknown', 'efbfbd', '\ufffd'],
])('bytes as a text: %s', (_, hex, text) => {
  expect(toText(Buffer.from(hex, 'hex'))).toBe(text);
  expect(toBytes(text).toString('hex')).toBe(hex);
});

test('different bytes are different texts, and come back', () => {
  const random = createRandom(seedOf('bytes'));
  const seen = new Map<string, string>();
  const pool = [0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc3, 0xa9, 0xe2, 0x80, 0xa8, 0xed, 0xf0, 0x9f, 0x98, 0xff, 0xef, 0xbd];
  for (let count = 0; count < caseCount(20_000); count++) {
    const bytes = Buffer.from(Array.from({ length: random.below(8) }, () => random.pick(pool)));
    const text = toText(bytes);
    expect(toBytes(text).equals(bytes)).toBe(true);
    const hex = bytes.toString('hex');
    expect(seen.get(text) ?? hex).toBe(hex);
    seen.set(text, hex);
  }
});

test('are printed in JSON as Go prints them', () => {
  expect(toJsonText('a\udcff\ufffd😀"')).toBe('"a\\ufffd\ufffd😀\\""');
});
