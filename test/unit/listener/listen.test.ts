import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { trackConnections } from '../../../src/listener/connections.ts';
import { listen } from '../../../src/listener/listen.ts';
import { createManualClock } from '../../support/manual-clock.ts';

let folder: string;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-listen-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
  rmSync(folder, { recursive: true, force: true });
});

function server(): Server {
  const made = createServer();
  servers.push(made);
  return made;
}

describe('listen', () => {
  test('answers the real port for port 0', async () => {
    const bound = await listen(server(), { kind: 'tcp', host: '127.0.0.1', port: 0 });
    expect(bound).toMatchObject({ kind: 'tcp', host: '127.0.0.1' });
    expect(bound.kind === 'tcp' && bound.port).toBeGreaterThan(0);
  });

  test('a port in use is an error', async () => {
    const bound = await listen(server(), { kind: 'tcp', host: '127.0.0.1', port: 0 });
    await expect(listen(server(), bound)).rejects.toThrow('EADDRINUSE');
  });

  test('a socket that a dead process left behind is replaced, and removed again at the end', async () => {
    const path = join(folder, 'x.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(existsSync(path)).toBe(true);
    const mine = server();
    await listen(mine, { kind: 'unix', path });
    await new Promise((closed) => mine.close(closed));
    expect(existsSync(path)).toBe(false);
  });

  test('a socket that somebody answers on is left alone', async () => {
    const path = join(folder, 'x.sock');
    await listen(server(), { kind: 'unix', path });
    await expect(listen(server(), { kind: 'unix', path })).rejects.toThrow('in use by another process');
    expect(existsSync(path)).toBe(true);
  });

  test('a file that is no socket is left alone', async () => {
    const path = join(folder, 'x.sock');
    writeFileSync(path, 'precious');
    await expect(listen(server(), { kind: 'unix', path })).rejects.toThrow('is in the way and is no socket');
    expect(existsSync(path)).toBe(true);
  });
});

describe('trackConnections', () => {
  async function connected(ask = true): Promise<{
    readonly drained: (graceMs: number) => Promise<void>;
    readonly clock: ReturnType<typeof createManualClock>;
    readonly client: Socket;
    readonly closed: Promise<unknown>;
  }> {
    const made = createServer();
    const connections = trackConnections(made);
    const bound = await listen(made, { kind: 'tcp', host: '127.0.0.1', port: 0 });
    if (bound.kind !== 'tcp') throw new Error('not a TCP address');
    const asked = new Promise<void>((resolve) => {
      made.once('connection', (socket: Socket) => socket.once('data', () => resolve()));
    });
    const client = connect({ host: bound.host, port: bound.port });
    if (ask) client.write('x');
    await (ask ? asked : new Promise((accepted) => made.once('connection', accepted)));
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.resume();
    const clock = createManualClock();
    const drained = (graceMs: number): Promise<void> => connections.drain({ startTimer: clock.startTimer, graceMs });
    return { drained, clock, client, closed };
  }

  test('waits for a connection that ends by itself', async () => {
    const { drained, clock, client } = await connected();
    const done = drained(1000);
    client.end();
    await done;
    expect(clock.pendingTimers()).toBe(0);
  });

  test('cuts a connection on which nothing was asked at once', async () => {
    const { drained, closed } = await connected(false);
    await drained(1000);
    await closed;
  });

  test('cuts what is left when the grace is over', async () => {
    const { drained, clock, closed } = await connected();
    const done = drained(1000);
    clock.advance(999);
    expect(clock.pendingTimers()).toBe(1);
    clock.advance(1);
    await done;
    await closed;
  });
});
