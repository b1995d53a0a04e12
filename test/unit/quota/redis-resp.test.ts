import { describe, expect, test } from 'vitest';
import { toCommand } from '../../../src/quota/redis/redis-connection.ts';
import { createRespReader, RespError, type RespReply } from '../../../src/quota/redis/redis-resp.ts';
import { createRandom, seedOf } from '../../support/seed.ts';

function readAll(chunks: readonly Buffer[]): readonly unknown[] {
  const replies: unknown[] = [];
  const reader = createRespReader((reply) => replies.push(shown(reply)));
  for (const chunk of chunks) reader.read(chunk);
  return replies;
}

function shown(reply: RespReply): unknown {
  if (Buffer.isBuffer(reply)) return `bulk ${reply.toString('latin1')}`;
  if (reply instanceof RespError) return `error ${reply.code}`;
  return Array.isArray(reply) ? reply.map(shown) : reply;
}

const WIRE =
  '+OK\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n:-42\r\n-NOSCRIPT No such\r\n*3\r\n$1\r\nx\r\n:7\r\n*1\r\n+y\r\n*-1\r\n';
const REPLIES = ['OK', 'bulk a\r\nbc', 'bulk ', null, -42, 'error NOSCRIPT', ['bulk x', 7, ['y']], null];

describe('replies of a server', () => {
  test('are read whole, whatever is in them', () => {
    expect(readAll([Buffer.from(WIRE)])).toEqual(REPLIES);
  });

  test('are the same however they are cut', () => {
    const random = createRandom(seedOf('resp cuts'));
    const bytes = Buffer.from(WIRE.repeat(3));
    for (let run = 0; run < 300; run += 1) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + random.below(run % 2 === 0 ? 4 : 40);
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(readAll(chunks)).toEqual([...REPLIES, ...REPLIES, ...REPLIES]);
    }
  });

  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a size that is no number', '$1a\r\n'],
    ['a size without end', '$99999999999999999\r\n'],
    ['a negative size', '$-2\r\n'],
    ['a huge size', '$999999999\r\n'],
    ['a text that is longer than it says', '$1\r\nabc\r\n'],
    ['a line that ends in the middle', '+a\rb\r\n'],
    ['lists in lists without end', '*1\r\n'.repeat(20)],
  ])('that are %s are a fault', (_, wire) => {
    expect(() => readAll([Buffer.from(wire)])).toThrow();
  });

  test('a command is a list of texts, each with its size in bytes', () => {
    expect(toCommand(['GET', 'é', Buffer.from([0, 13, 10])]).toString('latin1')).toBe(
      '*3\r\n$3\r\nGET\r\n$2\r\n\u00c3\u00a9\r\n$3\r\n\0\r\n\r\n',
    );
  });
});
