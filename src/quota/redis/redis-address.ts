import { readFile } from 'node:fs/promises';
import { isIP, connect as openTcp, type Socket } from 'node:net';
import { connect as openTls } from 'node:tls';
import type { QuotaStoreConfig } from '../config.ts';

/** Where a server is, and who we are there. Never told: it may hold a password. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

/** Of a url that the config's check has seen. */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.parse(text);
  if (url === null) throw new TypeError('the url of the quota store cannot be read');
  const database = url.pathname.length > 1 ? Number(url.pathname.slice(1)) : 0;
  if (!Number.isSafeInteger(database) || database < 0)
    throw new TypeError('the url of the quota store names no database');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    secure: url.protocol === 'rediss:',
    user: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    database,
  };
}

/** A socket that is being opened; the files are read each time, so that renewed certificates are used. */
export async function openRedisSocket(
  { host, port, secure }: RedisAddress,
  tls: QuotaStoreConfig['tls'],
): Promise<{ readonly socket: Socket; readonly opened: 'connect' | 'secureConnect' }> {
  if (!secure) return { socket: openTcp({ host, port, noDelay: true, keepAlive: true }), opened: 'connect' };
  const [ca, cert, key] = await Promise.all([tls?.ca, tls?.cert, tls?.key].map(readIfNamed));
  const socket = openTls({
    host,
    port,
    ALPNProtocols: [],
    minVersion: 'TLSv1.2',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
  socket.setNoDelay(true).setKeepAlive(true);
  return { socket, opened: 'secureConnect' };
}

async function readIfNamed(path: string | undefined): Promise<Buffer | undefined> {
  return path === undefined ? undefined : readFile(path);
}
