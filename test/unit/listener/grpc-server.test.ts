import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../../src/listener/address.ts';
import { createGrpcServer } from '../../../src/listener/grpc-server.ts';
import { type ServeMethod, serveUnary, type UnaryMethod } from '../../../src/listener/unary-method.ts';
import { startSystemTimer } from '../../support/system-ports.ts';

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Answers its own name and what it was asked. */
function named(name: string, parts: Partial<UnaryMethod<string>> = {}): ServeMethod {
  return serveUnary<string>({
    ask: async (message, { believed }) => `${name} ${message.toString()} ${believed}`,
    askUnread: async (code, cause) => `${name} ${code}: ${cause}`,
    reply: (answer) => Buffer.from(answer),
    undecided: (code) => Buffer.from(`${name} ${code}`),
    ...parts,
  });
}

async function start(methods: Readonly<Record<string, ServeMethod>>, maxInFlight = 10) {
  const logged: string[] = [];
  const server = createGrpcServer({
    door: 'test',
    methods: new Map(Object.entries(methods)),
    config: { listen: '127.0.0.1:0', trusted_loopback: true, max_in_flight: maxInFlight, max_message_bytes: 1024 },
    startTimer: startSystemTimer,
    logger: { info: () => undefined, warn: () => undefined, limited: (key) => void logged.push(key) },
    graceMs: 1_000,
  });
  const { address } = await server.start();
  open.push(() => server.stop());
  const client = new grpc.Client(formatAddress(address), grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  open.push(() => client.close());
  const ask = (path: string, message: Buffer, deadlineMs = 5_000): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs };
      client.makeUnaryRequest(path, same, same, message, options, (error, answer) => {
        if (error !== null) reject(error);
        else resolve(String(answer));
      });
    });
  return { server, ask, logged };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

const SHORT = Buffer.from('hello');

describe('a gRPC server', () => {
  it('serves every method of its table, and nothing else', async () => {
    const { ask } = await start({ '/a.One/Ask': named('one'), '/b.Two/Ask': named('two') });
    expect(await ask('/a.One/Ask', SHORT)).toBe('one hello true');
    expect(await ask('/b.Two/Ask', SHORT)).toBe('two hello true');
    await expect(ask('/b.Two/Other', SHORT)).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });

  it('says of each of its services whether it serves', async () => {
    const { server, ask } = await start({ '/a.One/Ask': named('one'), '/b.Two/Ask': named('two') });
    const health = async (service: string) => {
      const name = Buffer.from(service);
      return await ask('/grpc.health.v1.Health/Check', Buffer.concat([Buffer.from([0x0a, name.length]), name]));
    };
    expect(await health('a.One')).toBe('\x08\x02');
    server.setServing(true);
    for (const service of ['', 'a.One', 'b.Two']) expect(await health(service)).toBe('\x08\x01');
    await expect(health('c.Three')).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
  });

  it('answers what a method may not read by the method itself', async () => {
    const { ask } = await start({ '/a.One/Ask': named('one') });
    expect(await ask('/a.One/Ask', Buffer.alloc(2_000))).toContain('one payload_too_large: ');
  });

  it('answers a method that fails by the method itself, whether it throws, rejects or cannot write', async () => {
    const fail = (): never => {
      throw new Error('test');
    };
    const { ask, logged } = await start({
      '/a.One/Throw': named('throw', { ask: fail }),
      '/a.One/Reject': named('reject', { ask: () => Promise.reject(new Error('test')) }),
      '/a.One/Write': named('write', { reply: fail }),
    });
    expect(await ask('/a.One/Throw', SHORT)).toBe('throw internal');
    expect(await ask('/a.One/Reject', SHORT)).toBe('reject internal');
    expect(await ask('/a.One/Write', SHORT)).toBe('write internal');
    expect(logged).toEqual(['check_failed', 'check_failed', 'check_failed']);
  });

  it('answers before the deadline of a call that is not decided in time', async () => {
    const { ask } = await start({ '/a.One/Ask': named('one', { ask: () => new Promise(() => undefined) }) });
    expect(await ask('/a.One/Ask', SHORT, 1_000)).toBe('one deadline');
  });

  it('bounds what is under way over all methods together', async () => {
    let letGo: (answer: string) => void = () => undefined;
    let entered: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const held = new Promise<string>((resolve) => {
      letGo = resolve;
    });
    const slow = named('slow', {
      ask: () => {
        entered();
        return held;
      },
    });
    const { ask } = await start({ '/a.One/Slow': slow, '/b.Two/Ask': named('two') }, 1);
    const first = ask('/a.One/Slow', SHORT);
    await waiting;
    expect(await ask('/b.Two/Ask', SHORT)).toContain('two overloaded: ');
    letGo('slow at last');
    expect(await first).toBe('slow at last');
    expect(await ask('/b.Two/Ask', SHORT)).toBe('two hello true');
  });
});
