import type { Instant } from '../../decision/ports.ts';
import type { BucketStore } from '../bucket-store.ts';
import type { Line } from './memory-lines.ts';
import { createMemorySettling } from './memory-settle.ts';
import { createMemoryView, full, giveUnlinked, type MemoryView, type WindowJournal } from './memory-steps.ts';
import type { MemoryTable } from './memory-table.ts';
import { createMemoryTake } from './memory-take.ts';

export interface MemoryStoreOptions {
  readonly table: MemoryTable;
  /** 0 for the main thread; no two threads have the same. */
  readonly workerId: number;
  /** How long a lock of another thread may keep a call waiting; the main thread waits less than a worker may. */
  readonly patienceMs?: number;
  /** Keeps windows over a restart. */
  readonly journal?: WindowJournal;
}

const PATIENCE_MS = 5;

/**
 * Buckets in a table that threads share. Every call answers at once. `at.monotonicMs` must count from the same moment
 * in all threads, as `process.hrtime` does.
 */
export function openMemoryStore({
  table,
  workerId,
  patienceMs = PATIENCE_MS,
  journal,
}: MemoryStoreOptions): MemoryStore {
  const view = createMemoryView({ table, workerId, patienceMs, journal });
  const { now, locks, lines, digests } = view;
  const take = createMemoryTake(view);
  const settling = createMemorySettling(view);

  function setNow(at: Instant): void {
    now.steadyMs = Math.floor(at.monotonicMs);
    now.epochMs = Math.floor(at.epochMs);
  }

  /** One step on buckets that no id is kept for. */
  function locked<T>(step: () => T): T {
    locks.takeAll();
    try {
      const answer = step();
      giveUnlinked(view);
      return answer;
    } finally {
      locks.releaseAll();
    }
  }

  return {
    take: (request, at) => {
      setNow(at);
      return take(request);
    },
    release: (id, charges, at, receipt) => {
      setNow(at);
      if (receipt === undefined) settling.release(id, charges);
      else settling.giveBack(charges, receipt);
    },
    look: (id, at) => {
      setNow(at);
      return settling.look(id);
    },
    settle: (id, used, at) => {
      setNow(at);
      return settling.settle(id, used);
    },
    renew: (id, ttlMs, at) => {
      setNow(at);
      return settling.renew(id, ttlMs);
    },
    charge: (charges, at) => {
      setNow(at);
      locks.clear();
      const forced = charges.filter(({ terms }) => terms.kind !== 'concurrency');
      const places = forced.map(({ terms }) => digests.placeOf(terms));
      for (const { lock } of places) locks.add(lock);
      const read = (nth: number): Line | undefined => {
        const place = places[nth];
        const one = forced[nth];
        return place === undefined || one === undefined ? undefined : lines.read(0, one.terms, one.cost, place, now);
      };
      locked(() => {
        // Each by itself, since two may be of one bucket; but none where there is no room for another.
        if (forced.some((_, nth) => read(nth)?.bucket === 0)) throw full('another bucket');
        forced.forEach((one, nth) => {
          const line = read(nth);
          if (line === undefined || (line.fresh && one.cost < 0)) return;
          if (line.bucket === 0) throw full('another bucket');
          lines.admit(line, { terms: one.terms, cost: one.cost, enforced: one.enforced, refundable: one.refundable });
          if (one.terms.kind === 'window') journal?.note(line, places[nth]?.lock ?? 0);
        });
      });
    },
    peek: (buckets, at) => {
      setNow(at);
      locks.clear();
      const places = buckets.map((terms) => digests.placeOf(terms));
      for (const { lock } of places) locks.add(lock);
      return locked(() =>
        places.map((place, nth) => {
          const terms = buckets[nth];
          if (terms === undefined) throw new RangeError('there are as many places as buckets');
          const line = lines.read(0, terms, 0, place, now);
          return lines.state(line, line.bucket === 0 || line.fits);
        }),
      );
    },
    view: (at) => {
      setNow(at);
      return view;
    },
    start: async () => undefined,
    stop: async () => undefined,
  };
}

/** A store that answers at once. */
export interface MemoryStore extends BucketStore {
  take(...args: Parameters<BucketStore['take']>): Awaited<ReturnType<BucketStore['take']>>;
  release(...args: Parameters<BucketStore['release']>): void;
  look(...args: Parameters<BucketStore['look']>): Awaited<ReturnType<BucketStore['look']>>;
  settle(...args: Parameters<BucketStore['settle']>): Awaited<ReturnType<BucketStore['settle']>>;
  renew(...args: Parameters<BucketStore['renew']>): Awaited<ReturnType<BucketStore['renew']>>;
  charge(...args: Parameters<BucketStore['charge']>): void;
  /** What the store works on, for what keeps it. */
  view(at: Instant): MemoryView;
  peek(...args: Parameters<BucketStore['peek']>): Awaited<ReturnType<BucketStore['peek']>>;
}
