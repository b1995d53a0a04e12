import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ObjectStore } from './object-store.ts';
import { formatRecordKey } from './record-keys.ts';

/** The bytes of archives, kept in memory as far as they fit: a fleet asks for one archive at one time. */
export interface Archives {
  /** Of exactly that digest; `undefined` when the store has none such, or holds it damaged. */
  load(bundle: string, sha256: string): Promise<Buffer | undefined>;
}

export interface ArchivesPorts {
  readonly store: ObjectStore;
  readonly maxArchiveBytes: number;
  readonly cacheBytes: number;
  /** Told of a file that no longer has the digest of its name. */
  readonly onDamage: (bundle: string, sha256: string) => void;
}

export function createArchives({ store, maxArchiveBytes, cacheBytes, onDamage }: ArchivesPorts): Archives {
  const cache = new LRUCache<string, Buffer>({ maxSize: cacheBytes, sizeCalculation: (bytes) => bytes.length + 1 });
  const loading = new Map<string, Promise<Buffer | undefined>>();

  async function read(bundle: string, sha256: string, key: string): Promise<Buffer | undefined> {
    const bytes = await store.get(key, maxArchiveBytes);
    if (bytes === undefined) return undefined;
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
      onDamage(bundle, sha256);
      return undefined;
    }
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    cache.set(key, buffer);
    return buffer;
  }

  return {
    load: (bundle, sha256) => {
      const key = formatRecordKey({ kind: 'archive', bundle, sha256 });
      const cached = cache.get(key);
      if (cached !== undefined) return Promise.resolve(cached);
      const present = loading.get(key);
      if (present !== undefined) return present;
      const promise = read(bundle, sha256, key).finally(() => loading.delete(key));
      loading.set(key, promise);
      return promise;
    },
  };
}
