import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createCertificateMaker } from '../../../support/certificates.ts';
import { type Answering, type LoopbackTarget, startTarget } from './loopback-target.ts';
import { faultOf, linesOf, sinkOf, tellAll } from './sink-cases.ts';

let target: LoopbackTarget | undefined;
afterEach(async () => {
  await target?.stop();
  target = undefined;
});

async function listen(answer?: Answering, tls?: Parameters<typeof startTarget>[1]): Promise<LoopbackTarget> {
  target = await startTarget(answer, tls);
  return target;
}

describe('the http sink', () => {
  test('posts a gzipped JSON array to /logs and keeps the connection', async () => {
    const { url, received } = await listen();
    const sink = sinkOf('http', `${url}/opa/`);
    await sink.open();
    await sink.write(linesOf(3));
    await sink.write(linesOf(1));
    await sink.close();
    expect(received.map((one) => [one.method, one.url])).toEqual([
      ['POST', '/opa/logs'],
      ['POST', '/opa/logs'],
    ]);
    expect(received[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'content-encoding': 'gzip' });
    expect(JSON.parse(received[0]?.body ?? '').map(({ sequence }: { sequence: number }) => sequence)).toEqual([
      1, 2, 3,
    ]);
    expect(new Set(received.map(({ port }) => port)).size).toBe(1);
  });

  test('opens while the target is down, and its write is tried again', async () => {
    const gone = await listen();
    await gone.stop();
    target = undefined;
    const sink = sinkOf('http', gone.url);
    await sink.open();
    const fault = await faultOf(sink.write(linesOf(2)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
    expect(fault.message).toContain('ECONNREFUSED');
  });

  test.each([301, 307, 401, 403, 404, 408, 429, 500, 502, 503, 504])('tries again after %i', async (status) => {
    const { url, received } = await listen(
      (_, response) => void response.writeHead(status, { location: '/else' }).end('x'),
    );
    const sink = sinkOf('http', url);
    expect(await faultOf(sink.write(linesOf(2)))).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
    expect(received.length).toBe(1);
  });

  test.each([400, 422])('gives up what is refused with %i', async (status) => {
    const { url } = await listen((_, response) => void response.writeHead(status).end());
    expect(await faultOf(sinkOf('http', url).write(linesOf(2)))).toMatchObject({ refused: [0, 1], delivered: [] });
  });

  test.each([
    ['7', 7_000],
    ['soon', 0],
    ['-1', 0],
    [new Date(Date.now() + 60_000).toUTCString(), 58_000],
  ])('passes on `retry-after: %s`', async (value, atLeastMs) => {
    const { url } = await listen((_, response) => void response.writeHead(429, { 'retry-after': value }).end());
    const { retryAfterMs } = await faultOf(sinkOf('http', url).write(linesOf(1)));
    expect(retryAfterMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(retryAfterMs).toBeLessThanOrEqual(atLeastMs + 2_000);
  });

  test('halves what is too large, remembers the size, and refuses the one event that never fits', async () => {
    const { url, received } = await listen((one, response) => {
      const isTooLarge = JSON.parse(one.body).length > 3 || one.body.includes('"d2"');
      response.writeHead(isTooLarge ? 413 : 200).end();
    });
    const sink = sinkOf('http', url);
    const fault = await faultOf(sink.write(linesOf(12)));
    expect(fault.refused).toEqual([1]);
    expect(fault.delivered).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const requests = received.length;
    await sink.write(linesOf(12).slice(2, 4));
    expect(received.slice(requests).every((one) => JSON.parse(one.body).length <= 3)).toBe(true);
    await sink.close();
  });

  test('says what was delivered before the fault', async () => {
    const { url } = await listen((_, response, at) => void response.writeHead(at === 0 ? 200 : 503).end());
    const lines = linesOf(600, { padding: 'x'.repeat(200) });
    const fault = await faultOf(sinkOf('http', url, { batch: { max_events: 1_000, max_bytes: 32_768 } }).write(lines));
    expect(fault.kind).toBe('retry');
    expect(fault.delivered.length).toBeGreaterThan(50);
    expect(fault.delivered).toEqual(fault.delivered.map((_, at) => at));
  });

  test('refuses a line that is no event, and delivers its neighbours', async () => {
    const { url } = await listen();
    const [one = '', two = ''] = linesOf(2);
    expect(await faultOf(sinkOf('http', url).write([one, '{"torn\n', two, '[1]\n']))).toMatchObject({
      ...{ kind: 'retry', refused: [1, 3], delivered: [0, 2] },
    });
  });

  const faults: readonly (readonly [string, Answering, string])[] = [
    ['never answers', () => {}, 'took longer than 300 ms'],
    [
      'stalls in the body of its answer',
      (_, response) => void response.writeHead(200).write('{'),
      'took longer than 300 ms',
    ],
    ['resets the connection', (_, response) => void response.socket?.resetAndDestroy(), 'ECONNRESET'],
    [
      'resets it in the middle of its answer',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.socket?.destroy());
      },
      'does not answer',
    ],
    ['answers without an end', (_, response) => flood(response), ''],
  ];
  test.each(faults)('tries again when the target %s', async (_, answer, message) => {
    const { url } = await listen(answer);
    const sink = sinkOf('http', url, { timeout_ms: 300 });
    const fault = await faultOf(sink.write(linesOf(2)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
    expect(fault.message).toContain(message);
    await sink.close();
  });

  test('gives up when it is asked to', async () => {
    const { url } = await listen(() => {});
    const giveUp = new AbortController();
    const write = faultOf(sinkOf('http', url).write(linesOf(1), giveUp.signal));
    setTimeout(() => giveUp.abort(), 20);
    expect((await write).message).toContain('was given up');
  });
});

describe('credentials', () => {
  test.each([
    [{ bearer_token: 'token-canary' }, 'authorization', 'Bearer token-canary'],
    [{ basic: { username: 'writer', password: 'p:w-canary' } }, 'authorization', `Basic ${btoa('writer:p:w-canary')}`],
    [{ api_key: { header: 'X-Api-Key', value: 'key-canary' } }, 'x-api-key', 'key-canary'],
  ])('are sent, and are in no error: %j', async (credentials, header, value) => {
    // Says back what it was told, and where it was asked for to be sent on.
    const { url, received } = await listen((one, response) =>
      response.writeHead(403, { location: `https://elsewhere/${value}`, echo: value }).end(JSON.stringify(one.headers)),
    );
    const fault = await faultOf(sinkOf('http', url, { credentials }).write(linesOf(1)));
    expect(received[0]?.headers[header]).toBe(value);
    expect(tellAll(fault)).not.toMatch(/canary|Basic |Bearer /);
  });

  test('come from a file that is read again, and a missing one is named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-credentials-'));
    const file = join(folder, 'token');
    const { url, received } = await listen();
    const sink = sinkOf('http', url, { credentials: { bearer_token_file: file } });
    await expect(sink.open()).rejects.toThrow(`cannot read \`${file}\``);
    writeFileSync(file, 'one\n');
    await sink.open();
    await sink.write(linesOf(1));
    writeFileSync(file, 'two\n');
    await sink.write(linesOf(1));
    writeFileSync(file, 'canary-1\ncanary-2\n');
    const fault = await faultOf(sink.write(linesOf(1)));
    expect(fault.kind).toBe('retry');
    expect(tellAll(fault)).not.toContain('canary');
    expect(received.map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer two']);
    await rm(folder, { recursive: true });
  });

  test('are a certificate where the target demands one, and a wrong CA is refused', async () => {
    const maker = createCertificateMaker();
    try {
      const ca = maker.make('ca', { isCa: true });
      const server = maker.make('server', { ca, sans: ['DNS:localhost'] });
      const client = maker.make('client', { ca });
      const files = { cert: readFileSync(server.cert), key: readFileSync(server.key), ca: readFileSync(ca.cert) };
      const { url, received } = await listen(undefined, files);
      const sink = sinkOf('http', url, { tls: { ca: ca.cert, ...client } });
      await sink.open();
      await sink.write(linesOf(2));
      await sink.reopen();
      await sink.write(linesOf(2));
      await sink.close();
      expect(received.length).toBe(2);
      expect((await faultOf(sinkOf('http', url, { tls: { ca: ca.cert } }).write(linesOf(1)))).kind).toBe('retry');
      expect((await faultOf(sinkOf('http', url).write(linesOf(1)))).message).toMatch(/CERT|SIGNATURE|certificate/i);
      await expect(sinkOf('http', url, { tls: { ca: ca.key } }).open()).rejects.toThrow('no certificates');
      const pair = { cert: client.cert, key: server.key };
      await expect(sinkOf('http', url, { tls: pair }).open()).rejects.toThrow('no pair');
    } finally {
      maker.remove();
    }
  });
});

function flood(response: Parameters<Answering>[1]): void {
  const chunk = Buffer.alloc(1 << 20);
  const more = (): void => {
    if (response.writable) response.write(chunk, more);
  };
  response.writeHead(200);
  more();
}
