import { describe, expect, test } from 'vitest';
import { decodeBase64, decodeBase64Url } from '../../../../src/policy/builtins/base64.ts';
import { nextPemBlock, pemBlocks } from '../../../../src/policy/builtins/pem.ts';

describe('base64 as Go reads it', () => {
  test.each<readonly [string, string | number]>([
    ['', ''],
    ['YQ==', 'a'],
    ['YWI=', 'ab'],
    ['YWJj', 'abc'],
    ['Y\nW\r\nJj', 'abc'],
    ['YQ=\n=\n', 'a'],
    ['YR==', 'a'],
    ['YQ', 0],
    ['YWJjYQ', 4],
    ['Y', 0],
    ['YQ=', 3],
    ['YQ=x', 2],
    ['YQ==x', 4],
    ['YWI=x', 4],
    ['=', 0],
    ['Y=', 1],
    ['YW-j', 2],
    ['YWJjé', 4],
  ])('%j', (text, expected) => {
    const decoded = decodeBase64(text, 'standard');
    expect(typeof decoded === 'number' ? decoded : decoded.toString()).toBe(expected);
  });

  test.each<readonly [string, string | number]>([
    ['YQ', 'a'],
    ['YQ==', 'a'],
    ['YWI', 'ab'],
    ['-_-_', '\ufffd\ufffd\ufffd'],
    ['YQ=', 3],
    ['Y', 0],
    ['YW+j', 2],
    ['YW\n', 2],
  ])('base64url %j', (text, expected) => {
    const decoded = decodeBase64Url(text);
    if (typeof expected === 'number') expect(decoded).toSatisfy((at: unknown) => typeof at === 'number');
    else expect(decoded.toString()).toBe(expected);
  });
});

describe('PEM as Go finds it', () => {
  const block = '-----BEGIN A B-----\nYWJj\n-----END A B-----\n';

  test.each<readonly [string, string, string | undefined]>([
    ['a block', block, 'A B abc '],
    ['lines that end in CR LF and blanks', block.replaceAll('\n', ' \t\r\n'), 'A B abc '],
    ['text around it', `x\n${block}rest`, 'A B abc rest'],
    ['headers', '-----BEGIN A B-----\nProc-Type: 4\n\nYWJj\n-----END A B-----\n', 'A B abc '],
    ['a begin line that is repeated', `-----BEGIN A B-----\n${block}`, 'A B abc '],
    ['nothing in it', '-----BEGIN A-----\n-----END A-----\n', 'A  '],
    ['no line of its own', `x${block}`, undefined],
    ['another end', block.replace('END A B', 'END A C'), undefined],
    ['text behind its end', block.replace('END A B-----', 'END A B-----x'), undefined],
    ['no base64', block.replace('YWJj', 'YW!j'), undefined],
    ['no end', block.slice(0, 25), undefined],
    ['a bad block before a good one', `${block.replace('YWJj', '!')}${block}`, 'A B abc '],
  ])('%s', (_title, text, expected) => {
    const found = nextPemBlock(text);
    expect(found && `${found.type} ${found.bytes.toString()} ${found.rest}`).toBe(expected);
  });

  test.each([
    '-----BEGIN A-----\n',
    '-----BEGIN A-----\nYWJj\n-----END B-----\n',
    '-----END A-----\n',
    '-----BEGIN :-----\n-----END :\n',
    '-----BEGIN A-----\na:\n',
  ])('a text of nothing but %j is read in linear time', (line) => {
    const shortMs = elapsedMs(() => pemBlocks(`${line.repeat(2_000)}x\n`));
    const longMs = elapsedMs(() => pemBlocks(`${line.repeat(32_000)}x\n`));
    // Sixteen times the text; a quadratic reader would take 256 times as long, and seconds.
    expect(longMs).toBeLessThan(80 * shortMs + 100);
  });
});

function elapsedMs(work: () => unknown): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}
