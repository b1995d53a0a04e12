import { createClient } from '@redis/client';
import type { StartTimer } from '../decision/ports.ts';
import type { KeyDirectoryEvent } from './api-key-directory.ts';
import type { HashStore } from './api-key-redis-directory.ts';

export interface RedisHashStoreOptions {
  readonly url: string;
  readonly startTimer: StartTimer;
  readonly report: (event: KeyDirectoryEvent) => void;
}

const CONNECT_TIMEOUT_MS = 2000;
const MAX_RETRY_MS = 1000;
/** Commands that wait for an answer; more are refused at once. */
const MAX_QUEUE = 2048;

/** Hashes of one Redis or Valkey server; keeps connecting behind the requests, which are refused meanwhile. */
export function createRedisHashStore({ url, startTimer, report }: RedisHashStoreOptions): HashStore {
  const client = createClient({
    url,
    RESP: 2,
    // A question that no connection can take is answered now, not when there is one again.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUE,
    // Finds out a connection whose other end is gone without a word.
    pingInterval: 1000,
    socket: {
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: 3000,
      reconnectStrategy: (retries: number) => Math.min(50 * 2 ** Math.min(retries, 10), MAX_RETRY_MS),
    },
  });
  let told: string | undefined;
  let lastFault = 'the key directory was never reached';
  client.on('error', (error: unknown) => {
    lastFault = `the key directory cannot be reached: ${codeOf(error)}`;
    if (told === lastFault) return;
    told = lastFault;
    report({ kind: 'failed', cause: lastFault });
  });
  client.on('ready', () => {
    told = undefined;
    report({ kind: 'connected' });
  });
  return {
    readHash: async (name) => toFields(await client.sendCommand(['HGETALL', name])),
    start: () =>
      new Promise((resolve) => {
        const cancel = startTimer(CONNECT_TIMEOUT_MS, resolve);
        const over = (): void => {
          cancel();
          resolve();
        };
        client.once('error', over);
        // Rejects when stopped before it ever connected; `error` has told everything else.
        client.connect().then(over, over);
      }),
    stop: () => {
      if (client.isOpen) client.destroy();
    },
    fault: () => (client.isReady ? undefined : lastFault),
  };
}

/**
 * The plain list of names and values that RESP 2 answers. The client's own reading makes a plain object of it, which
 * fails on a field such as `constructor` and then gives later answers to the wrong questions.
 */
function toFields(answer: unknown): ReadonlyMap<string, string> {
  if (!Array.isArray(answer) || !answer.every((part) => typeof part === 'string')) {
    throw new Error('the key directory answered with something other than a hash');
  }
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < answer.length; at += 2) fields.set(answer[at] ?? '', answer[at + 1] ?? '');
  return fields;
}

/** The code alone: the text of an error may hold the address with its password. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no connection';
}
