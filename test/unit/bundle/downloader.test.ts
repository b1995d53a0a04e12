import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { createFileSource } from '../../../src/bundle/sources/file-source.ts';
import { createHttpClient } from '../../../src/bundle/sources/http-client.ts';
import { createUrlSource } from '../../../src/bundle/sources/url-source.ts';
import type { StartTimer } from '../../../src/decision/ports.ts';

const never: StartTimer = () => () => {};
const servers: Server[] = [];
const signal = new AbortController().signal;

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A listening TCP server has an address of this kind.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle.tar.gz`;
}

const source = (url: string, maxBytes = 1000, startTimer = never) =>
  createUrlSource({ url, timeoutMs: 100, maxBytes, http: createHttpClient({ startTimer }) });

describe('a bundle url', () => {
  it('gives the bytes and their etag', async () => {
    const url = await serve((_request, response) => response.setHeader('etag', '"1"').end('abc'));
    const download = await source(url).load(undefined, signal);
    expect(Buffer.from(download?.bytes ?? []).toString()).toBe('abc');
    expect(download?.etag).toBe('"1"');
  });

  it('asks for news only, and for the file as it is', async () => {
    const seen: IncomingMessage['headers'][] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers);
      response.writeHead(304).end();
    });
    expect(await source(url).load('"1"', signal)).toBeUndefined();
    expect(seen[0]).toMatchObject({ 'if-none-match': '"1"', 'accept-encoding': 'identity' });
  });

  const REFUSED: readonly (readonly [string, string, (request: IncomingMessage, response: ServerResponse) => void])[] =
    [
      ['redirects', 'bundle_unreachable', (_, response) => void response.writeHead(302, { location: '/other' }).end()],
      [
        'redirects for good',
        'bundle_unreachable',
        (_, response) => void response.writeHead(308, { location: '/x' }).end(),
      ],
      ['says 304 to nothing', 'bundle_unreachable', (_, response) => void response.writeHead(304).end()],
      ['says 404', 'bundle_unreachable', (_, response) => void response.writeHead(404).end('abc')],
      ['says 500', 'bundle_unreachable', (_, response) => void response.writeHead(500).end()],
      ['says 206', 'bundle_unreachable', (_, response) => void response.writeHead(206).end('abc')],
      [
        'packs the file once more',
        'bundle_unreachable',
        (_, response) =>
          void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000))),
      ],
      [
        'declares too much',
        'bundle_too_large',
        (_, response) => void response.writeHead(200, { 'content-length': 1001 }).write('a'),
      ],
      ['sends too much', 'bundle_too_large', (_, response) => void response.writeHead(200).end(Buffer.alloc(1001))],
      [
        'breaks off',
        'bundle_unreachable',
        (_, response) => {
          response.writeHead(200, { 'content-length': 9 }).write('abc', () => response.destroy());
        },
      ],
      ['hangs up', 'bundle_unreachable', (request) => void request.socket.destroy()],
      ['talks nonsense', 'bundle_unreachable', (request) => void request.socket.end('SSH-2.0-x\r\n')],
    ];

  it.each(REFUSED)('that %s is refused: %s', async (_fault, code, answer) => {
    const url = await serve(answer);
    await expect(source(url).load(undefined, signal)).rejects.toMatchObject({ name: 'BundleError', code });
  });

  it('that nobody answers is unreachable', async () => {
    const url = await serve(() => {});
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    await expect(source(url).load(undefined, signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
  });

  it('that takes too long is given up, also in the middle of the file', async () => {
    let late = (): void => {};
    let stopped = 0;
    const timer: StartTimer = (delayMs, call) => {
      expect(delayMs).toBe(100);
      late = call;
      return () => {
        stopped += 1;
      };
    };
    const url = await serve((_request, response) => {
      response.writeHead(200).write('abc', () => setImmediate(() => late()));
    });
    await expect(source(url, 1000, timer).load(undefined, signal)).rejects.toMatchObject({
      code: 'bundle_unreachable',
      message: `\`${url}\` took longer than 100 ms`,
    });
    expect(stopped).toBe(1);
  });

  it('is given up when the service stops', async () => {
    const stop = new AbortController();
    const url = await serve(() => stop.abort());
    await expect(source(url).load(undefined, stop.signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
  });
});

describe('a bundle file', () => {
  it('is read whole, or refused as too large or missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-source-'));
    try {
      const path = join(folder, 'b.tar.gz');
      await writeFile(path, 'abc');
      const download = await createFileSource({ path, maxBytes: 3 }).load(undefined, signal);
      expect(Buffer.from(download?.bytes ?? []).toString()).toBe('abc');
      const tooSmall = createFileSource({ path, maxBytes: 2 }).load(undefined, signal);
      await expect(tooSmall).rejects.toMatchObject({ code: 'bundle_too_large' });
      const missing = createFileSource({ path: `${path}.gone`, maxBytes: 3 }).load(undefined, signal);
      await expect(missing).rejects.toMatchObject({
        code: 'bundle_missing',
        message: expect.stringContaining('ENOENT'),
      });
      const aFolder = createFileSource({ path: folder, maxBytes: 2 ** 20 }).load(undefined, signal);
      await expect(aFolder).rejects.toMatchObject({ code: 'bundle_missing' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
