import { expect, test } from 'vitest';
import { WireTexts } from '../../../src/listener/wire-text.ts';

function nameIn(bytes: Buffer, from = 0, until = bytes.length): string | undefined {
  return new WireTexts(bytes).readName(from, until);
}

test('a name reads the same however often it comes, and beside others of its length', () => {
  for (const name of [
    'accept',
    'accepx',
    'axcept',
    'accept-encoding',
    'x',
    '',
    'é',
    'grüße',
    'a'.repeat(40),
    'b'.repeat(41),
  ]) {
    for (let time = 0; time < 3; time += 1) expect(nameIn(Buffer.from(name))).toBe(name);
  }
  for (let number = 0; number < 5_000; number += 1) {
    const name = `x-${number.toString(36)}`;
    expect(nameIn(Buffer.from(`..${name}..`), 2, 2 + name.length)).toBe(name);
  }
});

test('bytes that are no UTF-8 are no name, also those of a known name with their high bits set', () => {
  expect(nameIn(Buffer.from('host'))).toBe('host');
  for (let at = 0; at < 4; at += 1) {
    const bytes = Buffer.from('host');
    bytes[at] = (bytes[at] ?? 0) | 0x80;
    expect(nameIn(bytes)).toBeUndefined();
  }
});

test('a text that is not ASCII is told wherever its first such byte stands', () => {
  for (let at = 0; at < 200; at += 1) {
    const bytes = Buffer.alloc(200, 'a');
    bytes[at] = 0xe9;
    expect(new WireTexts(bytes).read(0, 200), String(at)).toBeUndefined();
    expect(new WireTexts(bytes).read(0, at), String(at)).toBe('a'.repeat(at));
    expect(new WireTexts(bytes).read(at + 1, 200), String(at)).toBe('a'.repeat(199 - at));
  }
  expect(new WireTexts(Buffer.from(`${'a'.repeat(99)}é`)).read(0, 101)).toBe(`${'a'.repeat(99)}é`);
});
