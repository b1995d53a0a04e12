import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMessageReader } from '../../../src/listener/grpc-message.ts';
import { frame } from '../../support/grpc-client.ts';

const MAX_BYTES = 64;

/** What the reader says of these bytes, which arrive in these pieces. */
function read(bytes: Buffer, cuts: readonly number[], encoding?: string): Buffer | string {
  const reader = createMessageReader(encoding, MAX_BYTES);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  for (let index = 1; index < places.length; index += 1) {
    const fault = reader.push(bytes.subarray(places[index - 1], places[index]));
    if (fault !== undefined) return fault.kind;
  }
  const message = reader.finish();
  return Buffer.isBuffer(message) ? message : message.kind;
}

const cuts = fc.array(fc.nat(200), { maxLength: 6 });
const message = fc.uint8Array({ maxLength: MAX_BYTES }).map((bytes) => Buffer.from(bytes));

describe('one message of a call', () => {
  it('is the same however its bytes arrive', () => {
    fc.assert(
      fc.property(message, cuts, (sent, at) => {
        expect(read(frame(sent), at)).toEqual(sent);
      }),
    );
  });

  it('cut short is malformed, also without a single byte', () => {
    fc.assert(
      fc.property(message, cuts, fc.nat(MAX_BYTES + 4), (sent, at, kept) => {
        const whole = frame(sent);
        expect(read(whole.subarray(0, Math.min(kept, whole.length - 1)), at)).toBe('malformed');
      }),
    );
  });

  it('with anything behind it is malformed', () => {
    fc.assert(
      fc.property(message, cuts, fc.uint8Array({ minLength: 1, maxLength: 9 }), (sent, at, more) => {
        expect(read(Buffer.concat([frame(sent), more]), at)).toBe('malformed');
      }),
    );
  });

  it.each([
    ['announces more than the limit', Buffer.from([0, 0, 0, 0, MAX_BYTES + 1]), undefined, 'too_long'],
    ['announces as much as a length can say', Buffer.from([0, 255, 255, 255, 255]), undefined, 'too_long'],
    ['is a bomb', frame(gzipSync(Buffer.alloc(MAX_BYTES + 1)), 1), 'gzip', 'too_long'],
    ['is compressed in no known way', frame(Buffer.from('x'), 1), 'br', 'malformed'],
    ['is compressed, of which nothing was said', frame(gzipSync('x'), 1), undefined, 'malformed'],
    ['has an unknown flag', frame(Buffer.from('x'), 2), 'gzip', 'malformed'],
    ['is broken', frame(Buffer.from('x'), 1), 'gzip', 'malformed'],
  ] as const)('that %s is refused', (_what, bytes, encoding, kind) => {
    expect(read(bytes, [], encoding)).toBe(kind);
  });

  it.each([
    ['gzip', gzipSync('message')],
    ['deflate', deflateSync('message')],
  ])('in %s is decompressed', (encoding, compressed) => {
    expect(read(frame(compressed, 1), [3, 7], encoding)).toEqual(Buffer.from('message'));
  });
});
