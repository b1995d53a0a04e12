import { LRUCache } from 'lru-cache';
import type { Instant, StartTimer } from '../decision/ports.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import { type KeyRecord, parseKeyEntry } from './api-key-record.ts';
import { CredentialFault } from './credential-fault.ts';

/** Where hashes are read from, one at a time: Redis, Valkey. */
export interface HashStore {
  /** The fields of a hash, none when there is no such hash. Rejects when the store does not answer. */
  readHash(name: string): Promise<ReadonlyMap<string, string>>;
  /** Resolves when the first attempt to connect is over, well or not. */
  start(): Promise<void>;
  stop(): void;
  /** Why it cannot be asked at this moment. */
  fault(): string | undefined;
}

export interface RedisKeyDirectoryOptions {
  readonly store: HashStore;
  readonly prefix: string;
  readonly deadlineMs: number;
  /** Of the keys, and as many of the ids that are none. */
  readonly cacheMaxEntries: number;
  readonly startTimer: StartTimer;
}

/** From the question on, so that with the longest lookup of the default deadline it stays under a second. */
const CACHE_TTL_MS = 900;
/** Lookups under way at one time: ids are free to invent, so a flood of them must not pile up here. */
const MAX_IN_FLIGHT = 1024;

/**
 * Keys of a directory of any size: a hash per key, read when the key is presented and remembered for under a second;
 * one lookup of an id at a time. What cannot be looked up in time, or reads badly, is not a key: it is unavailable.
 */
export function createRedisKeyDirectory(options: RedisKeyDirectoryOptions): KeyDirectory {
  const { store, prefix, deadlineMs, cacheMaxEntries, startTimer } = options;
  const keys = new LRUCache<string, Remembered>({ max: cacheMaxEntries });
  // Apart, so that invented ids never push out a key.
  const unknown = new LRUCache<string, Remembered>({ max: cacheMaxEntries });
  const underWay = new Map<string, Promise<KeyRecord | undefined>>();

  async function look(id: string, askedAtMs: number): Promise<KeyRecord | undefined> {
    try {
      const fields = await inTime(store.readHash(`${prefix}${id}`), deadlineMs, startTimer);
      const record = fields.size === 0 ? undefined : toRecord(id, fields);
      keys.delete(id);
      unknown.delete(id);
      (record === undefined ? unknown : keys).set(id, { record, askedAtMs });
      return record;
    } catch (error) {
      throw error instanceof CredentialFault ? error : unavailable('the key directory does not answer');
    } finally {
      underWay.delete(id);
    }
  }

  return {
    find: (id, at) => {
      const known = keys.get(id) ?? unknown.get(id);
      if (known !== undefined && isFresh(known, at)) return known.record;
      const joined = underWay.get(id);
      if (joined !== undefined) return joined;
      if (underWay.size >= MAX_IN_FLIGHT) throw unavailable('too many lookups in the key directory');
      const lookup = look(id, at.monotonicMs);
      underWay.set(id, lookup);
      return lookup;
    },
    start: () => store.start(),
    stop: () => store.stop(),
    fault: () => store.fault(),
  };
}

interface Remembered {
  readonly record: KeyRecord | undefined;
  readonly askedAtMs: number;
}

/** Also not when the clock went backwards. */
function isFresh({ askedAtMs }: Remembered, at: Instant): boolean {
  const ageMs = at.monotonicMs - askedAtMs;
  return ageMs >= 0 && ageMs < CACHE_TTL_MS;
}

function unavailable(message: string): CredentialFault {
  return new CredentialFault(message, 'issuer_unavailable');
}

function inTime<T>(work: Promise<T>, delayMs: number, startTimer: StartTimer): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = startTimer(delayMs, () => reject(unavailable('the key directory does not answer in time')));
    work.then(resolve, reject).finally(cancel);
  });
}

const LISTS: ReadonlySet<string> = new Set(['roles', 'models', 'addresses']);

/** The fields of a hash are texts: lists are JSON, `revoked` is `true` or `false`, the rest stands as it is. */
function toRecord(id: string, fields: ReadonlyMap<string, string>): KeyRecord {
  const entry: Record<string, unknown> = Object.create(null);
  for (const [name, text] of fields) entry[name] = toValue(name, text);
  const record = parseKeyEntry(entry);
  if (!('id' in record)) throw unavailable('the entry of the key in the key directory is broken');
  // The name of the hash is what was asked for: one copied under another name is nobody's key.
  if (record.id !== id) throw unavailable('the entry of the key in the key directory is that of another key');
  return record;
}

function toValue(name: string, text: string): unknown {
  if (LISTS.has(name)) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }
  if (name !== 'revoked') return text;
  return text === 'true' ? true : text === 'false' ? false : text;
}
