import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, StartTimer } from '../../decision/ports.ts';
import { type BucketStore, StoreFault } from '../bucket-store.ts';
import type { QuotaConfig } from '../config.ts';
import { type FolderLock, lockFolder } from '../ledger/ledger-lock.ts';
import { createMemoryJournal, loadDigestKey, type MemoryJournal, type Restored } from './memory-journal.ts';
import { type MemoryStore, openMemoryStore } from './memory-store.ts';
import { createMemoryTable } from './memory-table.ts';

export interface SingleMemoryStoreOptions {
  readonly config: Pick<QuotaConfig, 'store' | 'data_dir' | 'settle_horizon_seconds'>;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly random?: (bytes: number) => Buffer;
  /** Told of what came back at the start, and when windows can, or can no longer, be kept. */
  readonly report: (event: MemoryStoreEvent) => void;
  /** How the journal is written. */
  readonly write?: (file: number, text: string) => number;
}

export type MemoryStoreEvent =
  | { readonly kind: 'restored'; readonly restored: Restored }
  | { readonly kind: 'kept' }
  | { readonly kind: 'not_kept'; readonly cause: unknown };

/**
 * The memory store of one process; with a `data_dir` its windows outlive it, and holds that were open are charged. The
 * folder is its own: `start` throws where another process has it.
 */
export function createMemoryStore(options: SingleMemoryStoreOptions): BucketStore {
  const { config, clock, startTimer, random = randomBytes, report, write } = options;
  const folder = config.data_dir === undefined ? undefined : join(config.data_dir, 'memory');
  let store: MemoryStore | undefined;
  let lock: FolderLock | undefined;
  let journal: MemoryJournal | undefined;

  const started = (): MemoryStore => {
    if (store === undefined) throw new StoreFault('refused', 'the memory store is not started');
    return store;
  };

  async function openJournal(own: string): Promise<{ readonly key: Buffer; readonly journal: MemoryJournal }> {
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const held = await lockFolder(own, {
      startTimer,
      randomId: () => random(8).toString('hex'),
      nowMs: () => clock.now().epochMs,
    });
    lock = held;
    const told = ({ kept, cause }: { readonly kept: boolean; readonly cause?: unknown }): void =>
      report(kept ? { kind: 'kept' } : { kind: 'not_kept', cause });
    const key = loadDigestKey(own, random);
    const made = { folder: own, isOurs: () => held.held(), report: told };
    return { key, journal: createMemoryJournal(write === undefined ? made : { ...made, write }) };
  }

  async function start(): Promise<void> {
    const kept = folder === undefined ? undefined : await openJournal(folder);
    const table = createMemoryTable({
      store: config.store,
      settleHorizonSeconds: config.settle_horizon_seconds,
      key: kept?.key ?? random(16),
    });
    if (kept === undefined) {
      store = openMemoryStore({ table, workerId: 0 });
      return;
    }
    const opened = openMemoryStore({ table, workerId: 0, journal: kept.journal });
    report({ kind: 'restored', restored: kept.journal.restore(opened.view(clock.now())) });
    journal = kept.journal;
    store = opened;
  }

  return {
    take: (request, at) => started().take(request, at),
    release: (id, charges, at, receipt) => started().release(id, charges, at, receipt),
    look: (id, at) => started().look(id, at),
    settle: (id, used, at) => started().settle(id, used, at),
    renew: (id, ttlMs, at) => started().renew(id, ttlMs, at),
    charge: (charges, at) => started().charge(charges, at),
    peek: (buckets, at) => started().peek(buckets, at),
    start: async () => {
      try {
        await start();
      } catch (error) {
        await lock?.release();
        throw error;
      }
    },
    stop: async () => {
      journal?.close();
      store = undefined;
      await lock?.release();
    },
  };
}
