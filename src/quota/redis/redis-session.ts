import type { StartTimer } from '../../decision/ports.ts';
import { StoreFault } from '../bucket-store.ts';
import type { QuotaStoreConfig } from '../config.ts';
import { openRedisSocket, type RedisAddress } from './redis-address.ts';
import { codeOf, createRedisConnection, type RedisConnection } from './redis-connection.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import { RespError } from './redis-resp.ts';
import { BUCKETS_SCRIPT, RESERVATION_SCRIPT, TAKE_SCRIPT } from './redis-script.ts';
import { unsafeSettings } from './redis-settings.ts';

export interface RedisSessionOptions {
  readonly address: RedisAddress;
  readonly tls: QuotaStoreConfig['tls'];
  readonly startTimer: StartTimer;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  /** The last step of each connecting; what it throws ends the connection. */
  readonly join: (connection: RedisConnection) => Promise<void>;
}

/** Keeps one connection: opens it, checks the server, and opens it again, with jitter, for as long as it takes. */
export interface RedisSession {
  /** Throws the fault that explains why there is none. */
  connection(): RedisConnection;
  /** Resolves when the first attempt is over, however it ended. */
  start(): Promise<void>;
  stop(): void;
}

const CONNECT_MS = 2000;
const MAX_PAUSE_MS = 1000;

export function createRedisSession(options: RedisSessionOptions): RedisSession {
  const { address, tls, startTimer, random, report, join } = options;
  let ready: RedisConnection | undefined;
  let pending: RedisConnection | undefined;
  let fault = new StoreFault('unreachable', 'the quota store was never reached');
  let told: string | undefined;
  let unsafe = '';
  let attempts = 0;
  let stopped = true;
  let cancelPause: (() => void) | undefined;

  function fail(error: unknown): void {
    fault = error instanceof StoreFault ? error : new StoreFault('unreachable', `the quota store: ${codeOf(error)}`);
    if (told === fault.message) return;
    told = fault.message;
    report({ kind: 'failed', reason: fault.reason, cause: fault.message });
  }

  async function open(): Promise<RedisConnection> {
    const { socket, opened } = await openRedisSocket(address, tls);
    await new Promise<void>((resolve, reject) => {
      socket.once(opened, resolve);
      socket.once('error', reject);
      const cancel = startTimer(CONNECT_MS, () => {
        socket.destroy();
        reject(new StoreFault('unreachable', 'the quota store cannot be connected to in time'));
      });
      socket.once(opened, cancel);
      socket.once('close', cancel);
    });
    const connection: RedisConnection = createRedisConnection(socket, (cause) => {
      if (pending === connection) pending = undefined;
      if (ready !== connection) return;
      ready = undefined;
      fail(new StoreFault('unreachable', `the quota store is lost: ${cause}`));
      pause();
    });
    return connection;
  }

  async function greet(connection: RedisConnection): Promise<void> {
    const { user, password, database } = address;
    if (password !== undefined) await tell(connection, 'AUTH', ...(user === undefined ? [] : [user]), password);
    if (database !== 0) await tell(connection, 'SELECT', String(database));
    const faults = await unsafeSettings(connection);
    if (faults.length > 0) {
      const text = faults.join('; ');
      if (text !== unsafe) report({ kind: 'unsafe_settings', faults });
      unsafe = text;
      throw new StoreFault('refused', `the quota store would forget: ${text}`);
    }
    unsafe = '';
    await loadScripts(connection);
    await join(connection);
  }

  async function attempt(): Promise<void> {
    try {
      const connection = await open();
      if (stopped) return connection.close('stopped');
      pending = connection;
      const cancel = startTimer(CONNECT_MS, () => connection.close('it does not answer'));
      try {
        await greet(connection);
      } catch (error) {
        connection.close('not used');
        throw error;
      } finally {
        cancel();
        pending = undefined;
      }
      if (!connection.open) throw new StoreFault('unreachable', 'the quota store closed the connection');
      ready = connection;
      attempts = 0;
      told = undefined;
      report({ kind: 'connected' });
    } catch (error) {
      fail(error);
      pause();
    }
  }

  function pause(): void {
    if (stopped) return;
    const jitter = 0.5 + (random(1)[0] ?? 0) / 512;
    const pauseMs = Math.min(MAX_PAUSE_MS, 25 * 2 ** Math.min(attempts, 10)) * jitter;
    attempts += 1;
    cancelPause = startTimer(pauseMs, () => void attempt());
  }

  return {
    connection: () => {
      if (ready?.open !== true) throw new StoreFault(fault.reason, fault.message);
      return ready;
    },
    start: async () => {
      stopped = false;
      await attempt();
    },
    stop: () => {
      stopped = true;
      cancelPause?.();
      const was = ready;
      ready = undefined;
      fault = new StoreFault('unreachable', 'the quota store is stopped');
      was?.close('stopped');
      pending?.close('stopped');
    },
  };
}

/** Also after a server forgot them. */
export async function loadScripts(connection: RedisConnection): Promise<void> {
  for (const { text } of [TAKE_SCRIPT, RESERVATION_SCRIPT, BUCKETS_SCRIPT]) {
    await tell(connection, 'SCRIPT', 'LOAD', text);
  }
}

async function tell(connection: RedisConnection, ...parts: readonly string[]): Promise<void> {
  const reply = await connection.ask(parts);
  if (reply instanceof RespError) throw refusal(reply, parts[0]);
}

/** What a server will not do, in its code alone: the text may hold names. */
export function refusal({ code }: RespError, command = 'a script'): StoreFault {
  return new StoreFault(code === 'OOM' ? 'full' : 'refused', `the quota store refuses ${command}: ${code}`);
}
