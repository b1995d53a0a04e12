import type { StartTimer } from '../../decision/ports.ts';
import type { QuotaStoreConfig } from '../config.ts';
import { openRedisSocket, type RedisAddress } from './redis-address.ts';
import { createRedisConnection } from './redis-connection.ts';
import { RespError, type RespReply } from './redis-resp.ts';

/** Who has the slots from `first` to `last`. */
export interface NodeSlots {
  readonly first: number;
  readonly last: number;
  readonly host: string;
  readonly port: number;
}

export const SLOTS_COMMAND = ['CLUSTER', 'SLOTS'] as const;
const LAST_SLOT = 16_383;
const CONNECT_MS = 2000;

/** The answer to `CLUSTER SLOTS` of a node at `asked`, who may not know its own name. Throws for any other. */
export function parseClusterSlots(reply: RespReply, asked: string): readonly NodeSlots[] {
  if (!Array.isArray(reply)) throw new TypeError('what a node of the quota store says of slots cannot be read');
  return reply.map((entry: unknown) => {
    const [first, last, master] = listOf(entry);
    const [host, port] = listOf(master);
    return {
      first: numberOf(first, LAST_SLOT),
      last: numberOf(last, LAST_SLOT),
      host: hostOf(host, asked),
      port: numberOf(port, 65_535),
    };
  });
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('what a node of the quota store says of slots is no list');
  return value;
}

function numberOf(value: unknown, most: number): number {
  if (typeof value === 'number' && value >= 0 && value <= most) return value;
  throw new TypeError('what a node of the quota store says of slots is no number');
}

function hostOf(value: unknown, asked: string): string {
  const text = Buffer.isBuffer(value) ? value.toString() : '';
  return text === '' || text === '?' ? asked : text;
}

/** `MOVED 3999 host:port` and `ASK 3999 host:port`; a host that is left out is the one that answered. */
export function parseRedirect(
  { text }: RespError,
  asked: string,
): { readonly kind: 'MOVED' | 'ASK'; readonly host: string; readonly port: number } | undefined {
  const match = REDIRECT.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port === 0 || port > 65_535) return undefined;
  return { kind: match[1] === 'ASK' ? 'ASK' : 'MOVED', host: hostOf(Buffer.from(match[2] ?? ''), asked), port };
}

const REDIRECT = /^(MOVED|ASK) \d{1,5} ([^\s/]{0,255}):(\d{1,5})$/;

/** One command on a connection of its own. Rejects when there is no answer in time. */
export async function askOnce(
  address: RedisAddress,
  tls: QuotaStoreConfig['tls'],
  startTimer: StartTimer,
  command: readonly string[],
): Promise<RespReply> {
  const { socket, opened } = await openRedisSocket(address, tls);
  const cancel = startTimer(CONNECT_MS, () => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(opened, resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed')));
    });
    const connection = createRedisConnection(socket, () => {});
    const { user, password } = address;
    if (password !== undefined) await connection.ask(['AUTH', ...(user === undefined ? [] : [user]), password]);
    const reply = await connection.ask(command);
    if (reply instanceof RespError) throw new Error(reply.code);
    return reply;
  } finally {
    cancel();
    socket.destroy();
  }
}
