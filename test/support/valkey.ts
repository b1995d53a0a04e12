import { mkdtemp, rm } from 'node:fs/promises';
import { connect as openTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRedisConnection, type RedisConnection } from '../../src/quota/redis/redis-connection.ts';
import { freePort } from './ports.ts';
import { type Program, startProgram } from './programs.ts';
import { requireTool } from './tools.ts';

/** A Valkey server of a test, in a folder of its own: safe settings unless told otherwise, on a port that it keeps. */
export interface ValkeyServer {
  readonly port: number;
  readonly url: string;
  /** Where its append-only file is. */
  readonly folder: string;
  program(): Program;
  /** Runs one command on a connection of its own; an error is returned, not thrown. */
  ask(...parts: readonly string[]): Promise<unknown>;
  /** SIGKILL: nothing is written any more. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder, with what is still there. */
  restart(...settings: readonly string[]): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

const SAFE = ['--save', '', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--databases', '1000'];

export async function startValkey(...settings: readonly string[]): Promise<ValkeyServer> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-valkey-'));
  const start = async (more: readonly string[]): Promise<Program> => {
    const started = startProgram(requireTool('valkey'), [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      ...SAFE,
      ...settings,
      ...more,
    ]);
    await started.waitForLine((line) => /Ready to accept connections|Server initialized|Loading/.test(line));
    return started;
  };
  let program = await start([]);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    program: () => program,
    ask: async (...parts) => {
      const connection = await connectTo(port);
      try {
        const reply = await connection.ask(parts);
        return Buffer.isBuffer(reply) ? reply.toString() : reply;
      } finally {
        connection.close('done');
      }
    },
    kill: async () => {
      program.signal('SIGKILL');
      await program.ended;
    },
    restart: async (...more) => {
      await program.stop();
      program = await start(more);
    },
    remove: async () => {
      await program.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A bare connection to a server on this machine. */
export function connectTo(port: number): Promise<RedisConnection> {
  return new Promise((resolve, reject) => {
    const socket = openTcp({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => resolve(createRedisConnection(socket, () => {})));
  });
}
