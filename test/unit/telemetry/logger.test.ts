import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger, type Logger, stderrDestination } from '../../../src/telemetry/logger.ts';

function logger(options: Partial<Parameters<typeof createLogger>[0]> = {}): {
  readonly log: Logger;
  readonly lines: string[];
  readonly parsed: () => { readonly [name: string]: unknown }[];
} {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) }, ...options });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

test('writes one JSON line with level, time, fields and message', () => {
  const { log, lines, parsed } = logger();
  log.info({ bundle: 'authz', revision: 'r1' }, 'bundle activated');
  expect(lines[0]?.endsWith('}\n')).toBe(true);
  const [line] = parsed();
  expect(line).toMatchObject({ level: 'info', bundle: 'authz', revision: 'r1', message: 'bundle activated' });
  expect(line?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('writes nothing below its level', () => {
  const { log, lines } = logger({ level: 'warn' });
  log.debug({}, 'a');
  log.info({}, 'b');
  log.warn({}, 'c');
  log.error({}, 'd');
  expect(lines).toHaveLength(2);
});

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLWNhbmFyeQ';

test.each([
  ['a field named authorization', { authorization: 'canary-1' }],
  ['a header map within', { request: { headers: { Cookie: 'session=canary-1' } } }],
  ['an API key', { 'x-api-key': 'canary-1' }],
  ['a client secret', { client_secret: 'canary-1' }],
  ['a presented credential', { credentials: [{ presented: 'canary-1' }] }],
  ['a bearer header in a text', { cause: 'got `Authorization: Bearer canary-1`' }],
  ['a basic header in a text', { cause: 'Basic Y2FuYXJ5LTE=canary-1' }],
  ['a password in a URL', { url: 'redis://user:canary-1@store:6379/0' }],
  ['an error', { error: new Error('connect redis://:canary-1@store failed') }],
  ['the cause of an error', { error: new Error('no', { cause: new Error('Bearer canary-1') }) }],
])('redacts %s', (_, fields) => {
  const { log, lines } = logger();
  log.error(fields, 'message');
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toContain('canary-1');
  expect(lines[0]).toContain('[redacted]');
});

test('redacts a token wherever it stands, and nothing of plain words', () => {
  const { log, lines, parsed } = logger();
  log.warn({ cause: `token ${JWT} is refused` }, `about ${JWT}`);
  expect(lines[0]).not.toContain('canary');
  expect(lines[0]).not.toContain('eyJ');
  log.warn({ cause: 'the bearer token is refused by basic checks' }, 'plain');
  expect(parsed()[1]?.['cause']).toBe('the bearer token is refused by basic checks');
});

test('a line stays one line and of bounded length whatever a text holds', () => {
  const { log, lines } = logger();
  log.error({ cause: `a\nb\r\u2028c\u2029d\u0085e\u009bf${'x'.repeat(1_000_000)}` }, 'y'.repeat(1_000_000));
  expect(lines).toHaveLength(1);
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\n\r\u2028\u2029\u0080-\u009f]/);
  expect(lines[0]?.length).toBeLessThan(6_000);
  expect(() => JSON.parse(lines[0] ?? '')).not.toThrow();
});

test('takes fields that JSON cannot hold', () => {
  const { log, parsed } = logger();
  const circle: { [name: string]: unknown } = { big: 2n ** 64n, bytes: new Uint8Array(3), skip: () => 1 };
  circle['self'] = circle;
  log.error({ circle }, 'odd');
  expect(parsed()[0]?.['circle']).toMatchObject({ big: '18446744073709551616', bytes: '[3 bytes]' });
});

describe('limited', () => {
  test('writes a few lines an interval for each key and counts the rest', () => {
    let nowMs = 0;
    const { log, parsed } = logger({ monotonicMs: () => nowMs, limit: { lines: 2, intervalMs: 1_000 } });
    for (let i = 0; i < 10; i += 1) log.limited('a', 'warn', { i }, 'fault');
    log.limited('b', 'error', {}, 'other fault');
    expect(parsed().map(({ i, message }) => [i, message])).toEqual([
      [0, 'fault'],
      [1, 'fault'],
      [undefined, 'other fault'],
    ]);
    nowMs = 1_000;
    log.limited('a', 'warn', { i: 10 }, 'fault');
    expect(parsed().at(-1)).toMatchObject({ i: 10, suppressed: 8 });
    log.limited('a', 'warn', { i: 11 }, 'fault');
    expect(parsed().at(-1)).not.toHaveProperty('suppressed');
  });

  test('a flood of distinct keys cannot make more lines or memory than a few hundred keys', () => {
    const { log, lines } = logger({ monotonicMs: () => 0, limit: { lines: 1, intervalMs: 1_000 } });
    for (let i = 0; i < 100_000; i += 1) log.limited(`key ${i}`, 'warn', {}, 'fault');
    expect(lines.length).toBeLessThanOrEqual(257);
  });
});

describe('stderrDestination', () => {
  test('drops lines that a stalled reader does not take, and survives a closed one', () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const destination = stderrDestination(stream);
    const line = 'x'.repeat(100_000);
    for (let i = 0; i < 100; i += 1) destination.write(line);
    expect(stream.writableLength).toBeLessThan(1_300_000);
    stream.destroy(new Error('EPIPE'));
    expect(() => destination.write(line)).not.toThrow();
  });
});
