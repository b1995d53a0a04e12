import { createServer, type Socket } from 'node:net';
import { createRespReader, RespError, type RespReply } from '../../../src/quota/redis/redis-resp.ts';
import { BUCKETS_SCRIPT, TAKE_SCRIPT } from '../../../src/quota/redis/redis-script.ts';
import type { Fault } from './matrix.ts';

/** A server that says what Redis would, until it is told to fail. It counts nothing: every take fits. */
export interface ScriptedRedis {
  readonly url: string;
  /** Takes that it answered as taken, be it too late. */
  readonly taken: number;
  readonly givenBack: number;
  misbehave(how: Fault): Promise<void>;
  stop(): Promise<void>;
}

/** The deadline that trials give the store, and what is longer than it and shorter than a check may take. */
export const STORE_DEADLINE_MS = 50;
const LATE_MS = 400;
const STALL_MS = 100;
/** As the codec reads the state of one bucket: all 0 but the last byte, which says that it fitted. */
const STATE_BYTES = 57;

export async function startScriptedRedis(): Promise<ScriptedRedis> {
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let how: Fault | undefined;
  let taken = 0;
  let givenBack = 0;

  const dueOf = new WeakMap<Socket, Promise<void>>();

  /** One after the other on each connection, as Redis answers: what must wait holds up those behind it. */
  function later(socket: Socket, delayMs: number, run: () => void): void {
    const dueMs = performance.now() + delayMs;
    const before = dueOf.get(socket) ?? Promise.resolve();
    const after = before.then(
      () =>
        new Promise<void>((resolve) => void timers.add(setTimeout(resolve, Math.max(0, dueMs - performance.now())))),
    );
    dueOf.set(socket, after);
    void after.then(run);
  }

  function answerTo(parts: readonly Buffer[]): Buffer {
    const [name = '', first = '', count = '0'] = parts.slice(0, 3).map(String);
    switch (name) {
      case 'CONFIG':
        return list(['name', String(parts[2]) === 'appendonly' ? 'yes' : 'noeviction']);
      case 'EVAL':
        // The fleet's scripts: two keys find the marker, three say that a replica lives.
        return bulk(count === '2' ? [stamp(0), MARKER] : [stamp(0), Buffer.of(0), double(1), MARKER]);
      case 'EVALSHA': {
        const args = parts.slice(4 + Number(count));
        if (first !== TAKE_SCRIPT.sha) return bulk([stamp(0), ...args.map(() => FITTED)]);
        // A plan of one charge each.
        return bulk([stamp(0), ...args.map(() => Buffer.concat([Buffer.of(0, 0), FITTED]))]);
      }
      default:
        return Buffer.from('+OK\r\n');
    }
  }

  function answerWell(parts: readonly Buffer[], socket: Socket): void {
    if (socket.destroyed) return;
    socket.write(answerTo(parts));
    if (isTake(parts)) taken += parts.length - 4 - Number(String(parts[2]));
  }

  /** What a server does to which this happens; nothing more than that where it answers nothing. */
  const faults: Readonly<Record<Fault, (parts: readonly Buffer[], socket: Socket) => void>> = {
    down: () => undefined,
    slow: (parts, socket) => later(socket, LATE_MS, () => answerWell(parts, socket)),
    hang: () => undefined,
    garbage: (_parts, socket) => void socket.write(Buffer.alloc(2_000, 0x9d)),
    partial: (parts, socket) => {
      const whole = answerTo(parts);
      socket.write(whole.subarray(0, whole.length / 2));
    },
    reset: (_parts, socket) => void socket.resetAndDestroy(),
    full: (_parts, socket) => void socket.write("-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    // A verdict that this version does not know.
    'wrong version': (parts, socket) =>
      void socket.write(isTake(parts) ? bulk([stamp(0), Buffer.of(77)]) : '-ERR unknown command\r\n'),
    stalled: (parts, socket) => {
      if (!isTake(parts)) return later(socket, 0, () => answerWell(parts, socket));
      // It is this process that has no time, the server's half of it too.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
      later(socket, STORE_DEADLINE_MS, () => answerWell(parts, socket));
    },
  };

  function answer(parts: readonly Buffer[], socket: Socket): void {
    if (String(parts[1]) === BUCKETS_SCRIPT.sha && parts.some((part) => String(part) === 'refund')) givenBack += 1;
    if (how === undefined) answerWell(parts, socket);
    else faults[how](parts, socket);
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    const reader = createRespReader((command) => answer(partsOf(command), socket));
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');

  async function stop(): Promise<void> {
    for (const timer of timers) clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }

  return {
    // No answer and no log line may show any of it.
    url: `redis://sallyport:${PASSWORD}@127.0.0.1:${address.port}/0`,
    get taken() {
      return taken;
    },
    get givenBack() {
      return givenBack;
    },
    misbehave: async (fault) => {
      how = fault;
      if (fault === 'down') await stop();
    },
    stop,
  };
}

/** Found nowhere but in the url. */
export const PASSWORD = 'bJ4xQ7wPz2LmT9cV';

function partsOf(command: RespReply): readonly Buffer[] {
  if (command instanceof RespError || !Array.isArray(command)) throw new Error('a client sends lists');
  return command.map((part: RespReply) => (Buffer.isBuffer(part) ? part : Buffer.alloc(0)));
}

function isTake(parts: readonly Buffer[]): boolean {
  return String(parts[0]) === 'EVALSHA' && String(parts[1]) === TAKE_SCRIPT.sha;
}

function bulk(parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(`$${body.length}\r\n`), body, Buffer.from('\r\n')]);
}

function list(texts: readonly string[]): Buffer {
  return Buffer.concat([Buffer.from(`*${texts.length}\r\n`), ...texts.map((text) => bulk([Buffer.from(text)]))]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** What every script's answer begins with: a code, and the server's clock. */
function stamp(code: number): Buffer {
  return Buffer.concat([Buffer.of(code), double(Date.now())]);
}

/** An epoch that never lost anything, and is warm. */
const MARKER = Buffer.concat([Buffer.from('0123456789abcdef0123456789abcdef'), double(0), double(0)]);

const FITTED = Buffer.alloc(STATE_BYTES);
FITTED[STATE_BYTES - 1] = 1;
