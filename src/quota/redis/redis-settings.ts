import { StoreFault } from '../bucket-store.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RespError } from './redis-resp.ts';

/**
 * What a server must be set to so that it keeps what it is told: `maxmemory-policy noeviction`, since an evicted bucket
 * is an untouched one, and `appendonly yes`, since a restart must not forget. Returns what to change, nothing when all is
 * well. Asks CONFIG, and INFO where the user may not.
 */
export async function unsafeSettings(connection: RedisConnection): Promise<readonly string[]> {
  const policy = (await setting(connection, 'maxmemory-policy')) ?? (await field(connection, 'memory', POLICY));
  const appendOnly = (await setting(connection, 'appendonly')) ?? (await field(connection, 'persistence', APPEND_ONLY));
  if (policy === undefined || appendOnly === undefined) {
    throw new StoreFault(
      'refused',
      'whether the quota store keeps what it is told cannot be seen: allow its user `CONFIG|GET` or `INFO`',
    );
  }
  const faults: string[] = [];
  if (policy !== 'noeviction') faults.push(`maxmemory-policy is \`${policy.slice(0, 32)}\`: set it to \`noeviction\``);
  if (appendOnly !== 'yes' && appendOnly !== '1') faults.push('appendonly is off: set it to `yes`');
  return faults;
}

const POLICY = /^maxmemory_policy:(\S+)/m;
const APPEND_ONLY = /^aof_enabled:(\S+)/m;

async function setting(connection: RedisConnection, name: string): Promise<string | undefined> {
  const reply = await connection.ask(['CONFIG', 'GET', name]);
  if (!Array.isArray(reply)) return undefined;
  const value: unknown = reply[1];
  return Buffer.isBuffer(value) ? value.toString() : undefined;
}

async function field(connection: RedisConnection, section: string, pattern: RegExp): Promise<string | undefined> {
  const reply = await connection.ask(['INFO', section]);
  if (reply instanceof RespError || !Buffer.isBuffer(reply)) return undefined;
  return pattern.exec(reply.toString())?.[1];
}
