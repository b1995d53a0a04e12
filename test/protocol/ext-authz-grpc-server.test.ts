import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import type { AccessRequest, UnreadableRequest } from '../../src/decision/access-request.ts';
import type { Authorize } from '../../src/decision/ports.ts';
import { formatAddress } from '../../src/listener/address.ts';
import type { ExtAuthzGrpcConfig } from '../../src/protocols/ext-authz-grpc/config.ts';
import { createExtAuthzGrpcDoor, type ExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import { core } from '../support/core.ts';
import { decodeCheckResponse, encodeCheckRequest, type ReadCheckResponse } from '../support/ext-authz-proto.ts';

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const CHECK_HEADERS = { ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc', te: 'trailers' };
const same = (bytes: Buffer): Buffer => bytes;
const readable = encodeCheckRequest({
  attributes: { request: { http: { method: 'POST', path: '/tenant-a/llama-3-8b/infer', host: 'gateway.test' } } },
});

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Seen {
  readonly requests: (AccessRequest | UnreadableRequest)[];
  readonly logged: string[];
}

interface Running extends Seen {
  readonly door: ExtAuthzGrpcDoor;
  readonly target: string;
  readonly client: grpc.Client;
}

async function startDoor(
  options: { config?: Partial<ExtAuthzGrpcConfig>; authorize?: Authorize; clientOptions?: grpc.ClientOptions } = {},
): Promise<Running> {
  const requests: (AccessRequest | UnreadableRequest)[] = [];
  const logged: string[] = [];
  const ask = options.authorize ?? core().authorize;
  const door = createExtAuthzGrpcDoor({
    authorize: (request) => {
      requests.push(request);
      return ask(request);
    },
    config: {
      listen: '127.0.0.1:0',
      trusted_loopback: true,
      max_in_flight: 100,
      max_message_bytes: 65_536,
      ...options.config,
    },
    startTimer: (delayMs, late) => {
      const timer = setTimeout(late, delayMs);
      return () => clearTimeout(timer);
    },
    logger: {
      info: () => undefined,
      warn: () => undefined,
      limited: (key) => {
        logged.push(key);
      },
    },
    graceMs: 2_000,
  });
  const { address } = await door.start();
  open.push(() => door.stop());
  const target = formatAddress(address);
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    ...options.clientOptions,
  });
  open.push(() => client.close());
  return { door, target, client, requests, logged };
}

function call(
  client: grpc.Client,
  bytes: Buffer,
  options: grpc.CallOptions & { method?: string } = {},
): Promise<Buffer> {
  const { method = CHECK, ...callOptions } = options;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method, same, same, bytes, new grpc.Metadata(), callOptions, (error, answer) => {
      if (error !== null) reject(error);
      else if (answer === undefined) reject(new Error('no answer'));
      else resolve(answer);
    });
  });
}

async function check(client: grpc.Client, bytes: Buffer, options: grpc.CallOptions = {}): Promise<ReadCheckResponse> {
  return decodeCheckResponse(await call(client, bytes, options));
}

function reasonOf(response: ReadCheckResponse): unknown {
  expect(response.status?.code ?? 0).not.toBe(0);
  const body: unknown = JSON.parse(response.deniedResponse?.body ?? 'null');
  return typeof body === 'object' && body !== null && 'reason' in body ? body.reason : undefined;
}

describe('a check over gRPC', () => {
  it('is allowed with the headers Sallyport owns', async () => {
    const { client, requests } = await startDoor();
    const response = await check(client, readable);
    expect(response.status).toEqual({});
    expect(response.okResponse?.headers?.map(({ header }) => [header.key, header.value])).toEqual([
      ['x-sallyport-decision-id', 'decision-1'],
      ['x-sallyport-tenant', 'tenant-a'],
      ['x-sallyport-role', 'analyst'],
    ]);
    expect(requests).toHaveLength(1);
  });

  it('is denied with problem details', async () => {
    const { client } = await startDoor({
      authorize: core({ authenticate: () => ({ kind: 'refused', code: 'invalid_credential', cause: 'expired' }) })
        .authorize,
    });
    const response = await check(client, readable);
    expect(response.status?.code).toBe(grpc.status.UNAUTHENTICATED);
    expect(response.deniedResponse?.status?.code).toBe(401);
    expect(reasonOf(response)).toBe('invalid_credentials');
  });

  it.each([
    { what: 'garbage', bytes: Buffer.from([0xff, 0xff, 0xff, 0xff, 0x00, 0x01]) },
    { what: 'no bytes', bytes: Buffer.alloc(0) },
    { what: 'no http block', bytes: encodeCheckRequest({ attributes: { request: {} } }) },
  ])('with $what is denied as a bad request', async ({ bytes }) => {
    const { client, requests } = await startDoor();
    const response = await check(client, bytes);
    expect(response.deniedResponse?.status?.code).toBe(400);
    expect(reasonOf(response)).toBe('bad_request');
    expect(requests).toMatchObject([{ unreadable: { code: 'malformed_request' } }]);
  });

  it('is given 80 % of its deadline', async () => {
    const { client, requests } = await startDoor();
    await check(client, readable, { deadline: Date.now() + 60_000 });
    await check(client, readable);
    const [timed, untimed] = requests;
    const deadlineMs = timed !== undefined && 'deadlineMs' in timed ? (timed.deadlineMs ?? 0) : 0;
    expect(deadlineMs).toBeGreaterThan(40_000);
    expect(deadlineMs).toBeLessThanOrEqual(48_000);
    expect(untimed).not.toHaveProperty('deadlineMs');
  });

  it('is denied when authorize itself fails', async () => {
    const { client, logged } = await startDoor({ authorize: () => Promise.reject(new Error('a bug')) });
    expect(reasonOf(await check(client, readable))).toBe('unavailable');
    expect(logged).toEqual(['check_failed']);
  });

  it('is denied when authorize answers what is no decision', async () => {
    const { client } = await startDoor({
      authorize: async (request) => {
        const outcome = await core().authorize(request);
        // What looks like an Allow, without being one.
        const forged = Object.fromEntries(Object.entries(outcome.decision)) as unknown as typeof outcome.decision;
        return { ...outcome, decision: forged };
      },
    });
    expect(reasonOf(await check(client, readable))).toBe('unavailable');
  });

  it('beyond the bound is denied at once as overloaded', async () => {
    const waiting: (() => void)[] = [];
    const { authorize } = core();
    const { client, requests } = await startDoor({
      config: { max_in_flight: 2 },
      authorize: async (request) => {
        if (!('unreadable' in request)) await new Promise<void>((resolve) => waiting.push(resolve));
        return authorize(request);
      },
    });
    const slow = [check(client, readable), check(client, readable)];
    await expect.poll(() => waiting.length).toBe(2);
    expect(reasonOf(await check(client, readable))).toBe('unavailable');
    expect(requests[2]).toMatchObject({ unreadable: { code: 'overloaded' } });
    for (const resolve of waiting.splice(0)) resolve();
    for (const response of await Promise.all(slow)) expect(response.status).toEqual({});
    const again = check(client, readable);
    await expect.poll(() => waiting.length).toBe(1);
    for (const resolve of waiting.splice(0)) resolve();
    expect((await again).status).toEqual({});
  });
});

describe('where a gRPC library would answer an error, the door answers a denial', () => {
  it('a message over the limit', async () => {
    const { client, requests } = await startDoor();
    const response = await check(client, Buffer.alloc(65_537, 0x0a));
    expect(response.deniedResponse?.status?.code).toBe(413);
    expect(requests).toMatchObject([{ unreadable: { code: 'payload_too_large' } }]);
  });

  it('a message far over the limit, still being sent', async () => {
    const { client } = await startDoor({ clientOptions: { 'grpc.max_send_message_length': -1 } });
    expect((await check(client, Buffer.alloc(20_000_000, 0x0a))).deniedResponse?.status?.code).toBe(413);
    expect((await check(client, readable)).status).toEqual({});
  });

  it.each([
    { what: 'an unknown compression', headers: { 'grpc-encoding': 'br' }, frames: [frame(readable, 1)], code: 400 },
    { what: 'a broken compression', headers: { 'grpc-encoding': 'gzip' }, frames: [frame(readable, 1)], code: 400 },
    {
      what: 'a compressed bomb',
      headers: { 'grpc-encoding': 'gzip' },
      frames: [frame(gzipSync(Buffer.alloc(10_000_000)), 1)],
      code: 413,
    },
    { what: 'an invalid timeout', headers: { 'grpc-timeout': 'soon' }, frames: [frame(readable)], code: 400 },
    { what: 'no message', headers: {}, frames: [], code: 400 },
    { what: 'two messages', headers: {}, frames: [frame(readable), frame(readable)], code: 400 },
  ])('$what', async ({ headers, frames, code }) => {
    const { target } = await startDoor();
    const { answers, grpcStatus } = await rawCall(target, headers, frames);
    expect(grpcStatus).toBe('0');
    expect(answers.map((answer) => decodeCheckResponse(answer).deniedResponse?.status?.code)).toEqual([code]);
  });

  it('a deadline that passes while the core hangs', async () => {
    const { target, logged } = await startDoor({ authorize: () => new Promise(() => undefined) });
    const { answers, grpcStatus } = await rawCall(target, { 'grpc-timeout': '50m' }, [frame(readable)]);
    expect(grpcStatus).toBe('0');
    expect(answers.map((answer) => decodeCheckResponse(answer).deniedResponse?.status?.code)).toEqual([503]);
    expect(logged).toEqual(['deadline']);
  });

  it('a deadline that passes before the message is there, which the core records', async () => {
    const { requests, target, logged } = await startDoor();
    const session = connect(`http://${target}`);
    open.push(() => session.destroy());
    const stream = session.request({ ...CHECK_HEADERS, 'grpc-timeout': '20m' });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [trailers] = await once(stream, 'trailers');
    expect(trailers).toMatchObject({ 'grpc-status': '0' });
    expect(decodeCheckResponse(Buffer.concat(chunks).subarray(5)).deniedResponse?.status?.code).toBe(503);
    expect(requests).toMatchObject([{ unreadable: { code: 'deadline' } }]);
    expect(logged).toEqual([]);
  });

  it('but a compressed message that can be read is read', async () => {
    const { target } = await startDoor();
    const { answers } = await rawCall(target, { 'grpc-encoding': 'gzip' }, [frame(gzipSync(readable), 1)]);
    expect(answers.map((answer) => decodeCheckResponse(answer).status)).toEqual([{}]);
  });
});

describe('the listener', () => {
  it('serves nothing but Check and health', async () => {
    const { client } = await startDoor();
    const other = call(client, readable, { method: '/envoy.service.auth.v2.Authorization/Check' });
    await expect(other).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });

  it('serves a unix socket, whose callers are believed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-door-'));
    open.push(() => rmSync(folder, { recursive: true, force: true }));
    const { client, requests } = await startDoor({
      config: { listen: `unix:${join(folder, 'door.sock')}`, trusted_loopback: false },
    });
    const claiming = encodeCheckRequest({
      attributes: { source: { principal: 'spiffe://td/x' }, request: { http: { method: 'GET', path: '/' } } },
    });
    expect((await check(client, claiming)).status).toEqual({});
    expect(requests).toMatchObject([{ sourcePrincipal: 'spiffe://td/x' }]);
  });

  it('believes nobody on a loopback address that is not marked trusted', async () => {
    const { client, requests } = await startDoor({ config: { trusted_loopback: false } });
    const claiming = encodeCheckRequest({
      attributes: {
        source: { principal: 'spiffe://td/x' },
        contextExtensions: { 'sallyport.decision': 'other' },
        request: { http: { method: 'GET', path: '/' } },
      },
    });
    expect((await check(client, claiming)).status).toEqual({});
    const [request] = requests;
    expect(request).not.toHaveProperty('sourcePrincipal');
    expect(request).toMatchObject({ contextExtensions: new Map() });
  });

  it('lets checks under way finish at stop, and accepts no more', async () => {
    const waiting: (() => void)[] = [];
    const { authorize } = core();
    const { door, client, target } = await startDoor({
      authorize: async (request) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return authorize(request);
      },
    });
    const slow = check(client, readable);
    await expect.poll(() => waiting.length).toBe(1);
    const stopped = door.stop();
    for (const resolve of waiting) resolve();
    expect((await slow).status).toEqual({});
    await stopped;
    const late = new grpc.Client(target, grpc.credentials.createInsecure());
    open.push(() => late.close());
    await expect(check(late, readable)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
  });

  it('keeps a connection on which thousands of checks are cancelled', async () => {
    const { target } = await startDoor({
      config: { max_in_flight: 10_000 },
      authorize: () => new Promise(() => undefined),
    });
    const session = connect(`http://${target}`);
    open.push(() => session.destroy());
    const faults: unknown[] = [];
    session.on('error', (error) => faults.push(error));
    session.on('goaway', (code) => faults.push(code));
    const roundTrip = (): Promise<void> =>
      new Promise((resolve, reject) => {
        session.ping((error) => (error === null ? resolve() : reject(error)));
      });
    await once(session, 'connect');
    for (let round = 0; round < 150; round++) {
      const streams = Array.from({ length: 20 }, () => session.request(CHECK_HEADERS).on('error', () => undefined));
      for (const stream of streams) stream.write(frame(readable));
      await roundTrip();
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    }
    await roundTrip();
    expect(faults).toEqual([]);
    expect(session.destroyed).toBe(false);
  });

  it('can be started again after a stop', async () => {
    const { door } = await startDoor();
    await door.stop();
    const { address } = await door.start();
    const client = new grpc.Client(formatAddress(address), grpc.credentials.createInsecure());
    open.push(() => client.close());
    expect((await check(client, readable)).status).toEqual({});
  });
});

describe('grpc.health.v1', () => {
  const healthOf = (service: string): Buffer =>
    Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
  const status = (answer: Buffer): number => answer[1] ?? 0;
  const method = '/grpc.health.v1.Health/Check';

  it.each(['', 'envoy.service.auth.v3.Authorization'])('follows readiness for `%s`', async (service) => {
    const { door, client } = await startDoor();
    expect(status(await call(client, healthOf(service), { method }))).toBe(2);
    door.setServing(true);
    expect(status(await call(client, healthOf(service), { method }))).toBe(1);
    door.setServing(false);
    expect(status(await call(client, healthOf(service), { method }))).toBe(2);
  });

  it('does not know other services', async () => {
    const { client } = await startDoor();
    await expect(call(client, healthOf('other'), { method })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
  });

  it('tells watchers of each change, and lets go of them at stop', async () => {
    const { door, client } = await startDoor();
    const seen: number[] = [];
    const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, healthOf(''));
    const ended = new Promise<void>((resolve) => {
      watch.on('end', resolve);
      watch.on('error', () => resolve());
    });
    watch.on('data', (answer: Buffer) => seen.push(status(answer)));
    await expect.poll(() => seen).toEqual([2]);
    door.setServing(true);
    await expect.poll(() => seen).toEqual([2, 1]);
    await door.stop();
    await ended;
    expect(seen).toEqual([2, 1, 2]);
  });
});

/** A message in gRPC's framing. */
function frame(message: Buffer, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A call by bare HTTP/2, for what a gRPC client would not send. */
async function rawCall(
  target: string,
  headers: { readonly [name: string]: string },
  frames: readonly Buffer[],
): Promise<{ answers: Buffer[]; grpcStatus: unknown }> {
  const session = connect(`http://${target}`);
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ...CHECK_HEADERS, ...headers });
      const parts: Buffer[] = [];
      let grpcStatus: unknown;
      stream.on('response', (answered) => {
        grpcStatus ??= answered['grpc-status'];
      });
      stream.on('trailers', (trailers) => {
        grpcStatus ??= trailers['grpc-status'];
      });
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('error', reject);
      stream.on('end', () => resolve({ answers: messagesOf(Buffer.concat(parts)), grpcStatus }));
      for (const one of frames) stream.write(one);
      stream.end();
    });
  } finally {
    session.destroy();
  }
}

function messagesOf(framed: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < framed.length; ) {
    const length = framed.readUInt32BE(at + 1);
    messages.push(framed.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}
