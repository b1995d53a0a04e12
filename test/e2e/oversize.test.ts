import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import type { ExtAuthz, ListenerOptions } from '../support/envoy-config.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer } from '../support/tokens.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const PATH = '/tenant-a/llama-3-8b/infer';
/** What the tier `free` of the shipped data may send. */
const LIMIT = 65_536;
const OVER = 70_000;
/** What a request says of its length that sends more; the rest belongs to no request. */
const LIE = 10;
/** What the partial listeners keep of a body. */
const KEPT = 16_384;
/** How long a request that never ends is left open. */
const PATIENCE_MS = 400;

/** The size limit of the tier at the upstream's own count, whatever tells or hides how large a body is. */
describeWith(['envoy'], 'a body over the size limit', () => {
  let folder: string;
  let token: string;
  let upstream: Upstream;
  const services: Service[] = [];
  let envoy: Envoy;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-oversize-'));
    const issuer = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    token = await issuer.mint({ tenant: 'tenant-a', tier: 'free', roles: [] });
    upstream = await startUpstream();
    const config = await toServiceConfig({ issuer, jwksFile: join(folder, 'jwks.json') });
    const service = await startService({ config });
    services.push(service);
    const wary = await startService({ config: { ...config, network: { partial_bodies: true } } });
    services.push(wary);
    const portOf = (door: 'grpc' | 'http', body: ExtAuthz['body']): number =>
      (body?.allowPartial === true ? wary : service).port(door === 'grpc' ? 'ext_authz_grpc' : 'ext_authz_http');
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: Object.fromEntries(
        DOORS.flatMap((door) =>
          BUFFERS.map(([name, body]): [string, ListenerOptions] => [
            `${door}-${name}`,
            {
              upgrades: ['websocket'],
              authz: {
                door,
                at: { ports: [portOf(door, body)] },
                // What the service fails to answer would pass here, and be counted.
                failureModeAllow: true,
                ...(body === undefined ? {} : { body }),
              },
            },
          ]),
        ),
      ),
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([...services.map((service) => service.stop()), upstream?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  for (const door of DOORS) {
    for (const [buffer] of BUFFERS) {
      const listener = `${door}-${buffer}`;
      test.each(WAYS)(`never reaches the upstream through ${listener}: %s`, async (_, send) => {
        const status = await send(envoy.port(listener), token, OVER);
        // 0: the connection ended, or nothing came while the body was still on its way.
        if (status === 200) expect(upstream.seen.map(({ bodyBytes }) => bodyBytes)).toEqual([LIE]);
        else expect([0, 400, 403, 405, 413]).toContain(status);
        expect(upstream.bodyBytes()).toBeLessThanOrEqual(LIMIT);
        expect(upstream.seen.filter(({ bodyBytes }) => bodyBytes > LIMIT)).toEqual([]);
      });
    }
  }

  // A limit that lets nothing through holds too.
  test.each([
    ['grpc-none', 'content-length'],
    ['grpc-whole', 'content-length'],
    ['grpc-whole', 'chunked'],
    ['grpc-whole', 'h2 without length'],
    ['grpc-whole', 'slow'],
    ['grpc-partial', 'content-length'],
    ['http-whole', 'content-length'],
    ['http-whole', 'chunked'],
    ['http-whole', 'h2 without length'],
  ])('is the only one that does not: %s passes a small one by %s', async (listener, way) => {
    const send = new Map(WAYS).get(way);
    expect(await send?.(envoy.port(listener), token, 1_000)).toBe(200);
    expect(upstream.bodyBytes()).toBe(1_000);
  });
});

const DOORS = ['grpc', 'http'] as const;

const BUFFERS: readonly (readonly [string, ExtAuthz['body']])[] = [
  ['none', undefined],
  ['whole', { maxBytes: 131_072 }],
  ['partial', { maxBytes: KEPT, allowPartial: true }],
];

/** Sends a body of so many bytes; the answer's status, 0 without one. */
type Send = (port: number, token: string, bytes: number) => Promise<number>;

const WAYS: readonly (readonly [string, Send])[] = [
  ['content-length', (port, token, bytes) => sendRaw(port, [head(token, [`content-length: ${bytes}`]), body(bytes)])],
  ['chunked', (port, token, bytes) => sendRaw(port, [head(token, [CHUNKED]), ...chunks(bytes, bytes), END])],
  ['many chunks', (port, token, bytes) => sendRaw(port, [head(token, [CHUNKED]), ...chunks(bytes, 100), END])],
  ['slow', (port, token, bytes) => sendRaw(port, [head(token, [CHUNKED]), ...chunks(bytes, 10_000), END], 20)],
  [
    'just what the gateway keeps, then the rest',
    (port, token, bytes) =>
      sendRaw(port, [head(token, [CHUNKED]), ...chunks(KEPT, KEPT), ...chunks(bytes - KEPT, bytes), END], 50),
  ],
  [
    'slow with a length',
    (port, token, bytes) =>
      sendRaw(port, [head(token, [`content-length: ${bytes}`]), body(1_000), body(bytes - 1_000)], 100),
  ],
  ['never ending', (port, token, bytes) => sendRaw(port, [head(token, [CHUNKED]), ...chunks(bytes, 1_000)], 1)],
  [
    'a length that is too small',
    (port, token, bytes) => sendRaw(port, [head(token, [`content-length: ${LIE}`]), body(bytes)]),
  ],
  [
    'a length that is too great',
    (port, token, bytes) => sendRaw(port, [head(token, [`content-length: ${bytes * 2}`]), body(bytes)]),
  ],
  [
    'a length and chunks',
    (port, token, bytes) =>
      sendRaw(port, [head(token, [`content-length: ${LIE}`, CHUNKED]), ...chunks(bytes, bytes), END]),
  ],
  [
    'the gateway’s own word for a whole body',
    (port, token, bytes) =>
      sendRaw(port, [head(token, [CHUNKED, 'x-envoy-auth-partial-body: false']), ...chunks(bytes, 9_000), END], 5),
  ],
  [
    'Upgrade',
    (port, token, bytes) =>
      sendRaw(port, [
        head(token, ['connection: upgrade', 'upgrade: websocket', 'content-length: 0'], 'GET'),
        body(bytes),
      ]),
  ],
  [
    'Upgrade of a POST',
    (port, token, bytes) =>
      sendRaw(port, [
        head(token, ['connection: upgrade', 'upgrade: websocket', CHUNKED]),
        ...chunks(bytes, 1_000),
        END,
      ]),
  ],
  ['h2 without length', (port, token, bytes) => sendHttp2(port, token, bytes, {})],
  [
    'h2 with a length that is too small',
    (port, token, bytes) => sendHttp2(port, token, bytes, { 'content-length': String(LIE) }),
  ],
];

const CHUNKED = 'transfer-encoding: chunked';
const END = Buffer.from('0\r\n\r\n');

function head(token: string, lines: readonly string[], method = 'POST'): Buffer {
  const all = [`${method} ${PATH} HTTP/1.1`, 'host: gateway.test', `authorization: Bearer ${token}`, ...lines];
  return Buffer.from(`${all.join('\r\n')}\r\n\r\n`);
}

function body(bytes: number): Buffer {
  return Buffer.alloc(Math.max(0, bytes), 'x');
}

function chunks(bytes: number, each: number): readonly Buffer[] {
  const all: Buffer[] = [];
  for (let left = bytes; left > 0; left -= each) {
    const length = Math.min(left, each);
    all.push(Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`), body(length), Buffer.from('\r\n')]));
  }
  return all;
}

/** Writes the pieces one after the other; the status of the first answer, 0 when none came. */
function sendRaw(port: number, pieces: readonly Buffer[], pauseMs = 0): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    let timer: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 0));
    };
    socket.on('data', (data: Buffer) => {
      received += data.toString('latin1');
      if (received.includes('\r\n\r\n')) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    const write = async (): Promise<void> => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        if (pauseMs > 0) await new Promise((later) => setTimeout(later, pauseMs));
      }
      timer = setTimeout(finish, PATIENCE_MS * (pieces.at(-1) === END ? 10 : 1));
    };
    void write();
  });
}

function sendHttp2(port: number, token: string, bytes: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    let status = 0;
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      authorization: `Bearer ${token}`,
      ...headers,
    });
    const finish = (): void => {
      session.destroy();
      resolve(status);
    };
    session.on('error', finish);
    stream.on('response', (answer) => {
      status = Number(answer[':status']);
    });
    stream.on('error', finish);
    stream.on('close', finish);
    stream.resume();
    stream.write(body(bytes / 2));
    setTimeout(() => stream.end(body(bytes - Math.floor(bytes / 2))), 50);
  });
}
