import { expect, test } from 'vitest';
import { WireWriter } from '../../../src/listener/wire-writer.ts';

function written(write: (writer: WireWriter) => void): string {
  const writer = new WireWriter();
  write(writer);
  return writer.finish().toString('utf8');
}

test.each([
  ...[0, 1, 9, 10, 11, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32, 10 ** 15 - 1, 10 ** 15],
  ...[2 ** 53 - 1, 2 ** 53 - 2, 9_007_199_254_740_989, 9_000_000_000_000_000, 8_999_999_999_999_999],
])('the digits of %d', (value) => {
  expect(written((writer) => writer.digits(value))).toBe(String(value));
});

test('parts, digits and bytes stand before what was written, in a message that outgrows its room', () => {
  const whole = Array.from({ length: 200 }, (_, at) => `${at};größe,`).join('');
  const read = written((writer) => {
    for (let at = 199; at >= 0; at -= 1) {
      writer.part(';größe,');
      writer.digits(at);
    }
    writer.bytes(Buffer.from('head:'));
  });
  expect(read).toBe(`head:${whole}`);
});
