import { StoreFault } from '../bucket-store.ts';
import { type Digest, toPlace } from './bucket-digest.ts';
import type { MemoryView } from './memory-steps.ts';
import { BUCKET_WORDS, groupWords, OVERFLOWS, type Region, WAYS } from './memory-table.ts';

/** What is kept of a window bucket; holds that become charges count as used. */
export interface KeptWindow extends Digest {
  readonly region: 'callers' | 'outsiders';
  /** Of a bucket that newcomers share: the number of its group, and how many groups there were. */
  readonly shared?: { readonly group: number; readonly groups: number };
  readonly startMs: number;
  readonly endMs: number;
  readonly used: number;
}

/** Where a bucket stands that was written. */
export interface WrittenBucket {
  readonly bucket: number;
  readonly lock: number;
}

/** Reads one bucket out of the table; `undefined` for what is no window any more. */
export function readWindow({ table, locks, buckets, holds }: MemoryView, at: WrittenBucket): KeptWindow | undefined {
  const region = at.lock < table.outsiders.firstLock ? 'callers' : 'outsiders';
  const { firstLock, groups, setsPerGroup, at: regionAt } = table[region];
  locks.clear();
  locks.add(at.lock);
  locks.takeAll();
  try {
    const window = buckets.windowOf(at.bucket);
    if (window === undefined) return undefined;
    const { startMs, endMs, level } = window;
    const used = Math.min(Number.MAX_SAFE_INTEGER, level + holds.sum(at.bucket, true));
    const kept: KeptWindow = { ...buckets.digestOf(at.bucket), region, startMs, endMs, used };
    const group = at.lock - firstLock;
    const overflowAt = regionAt + group * groupWords(setsPerGroup) + setsPerGroup * WAYS * BUCKET_WORDS;
    return at.bucket < overflowAt ? kept : { ...kept, shared: { group, groups } };
  } finally {
    locks.releaseAll();
  }
}

/** All windows that are not over. */
export function* readWindows(view: MemoryView, epochMs: number): Generator<KeptWindow> {
  for (const region of [view.table.callers, view.table.outsiders]) {
    for (let group = 0; group < region.groups; group += 1) {
      for (const bucket of bucketsOf(region, group)) {
        if (view.buckets.windowOf(bucket) === undefined) continue;
        const kept = readWindow(view, { bucket, lock: region.firstLock + group });
        if (kept !== undefined && kept.endMs > epochMs) yield kept;
      }
    }
  }
}

export function bucketsOf({ at, setsPerGroup }: Region, group: number): readonly number[] {
  const words = groupWords(setsPerGroup);
  return Array.from({ length: words / BUCKET_WORDS }, (_, nth) => at + group * words + nth * BUCKET_WORDS);
}

/** Puts a window back into the table. Throws a `StoreFault` where there is no room for it: it must not be forgotten. */
export function restoreWindow(view: MemoryView, kept: KeptWindow): void {
  if (kept.shared === undefined) {
    const { lock, set } = toPlace(view.table, kept, kept.region);
    restoreAt(view, kept, lock, set, WAYS);
    return;
  }
  // With another number of groups its keys may be in several of them now: it counts in each.
  const region = view.table[kept.region];
  const { group, groups } = kept.shared;
  const common = Math.min(groups, region.groups) - 1;
  for (let other = 0; other < region.groups; other += 1) {
    if (((other ^ group) & common) !== 0) continue;
    const first = bucketsOf(region, other).at(-OVERFLOWS) ?? 0;
    restoreAt(view, kept, region.firstLock + other, first, OVERFLOWS);
  }
}

function restoreAt(
  { locks, buckets, now }: MemoryView,
  kept: KeptWindow,
  lock: number,
  first: number,
  ways: number,
): void {
  const { startMs, endMs, used } = kept;
  const terms = {
    id: '',
    kind: 'window',
    limit: 1,
    burst: 1,
    periodMs: 1,
    region: kept.region,
    scope: 'tenant',
  } as const;
  const bucket = { level: 0, atMs: startMs, drain: endMs, held: 0, holds: [], version: 1 };
  locks.clear();
  locks.add(lock);
  locks.takeAll();
  try {
    const known = buckets.search(first, ways, kept);
    const at = known === 0 ? buckets.findFree(first, ways, now, () => false) : known;
    if (at === 0)
      throw new StoreFault('full', 'what was kept has no room: raise `quota.store.max_buckets` to what it was');
    const before = known === 0 ? undefined : buckets.windowOf(known);
    if (known === 0) buckets.found(at, kept, terms, bucket);
    bucket.level = Math.min(Number.MAX_SAFE_INTEGER, used + (before?.startMs === startMs ? before.level : 0));
    buckets.write(at, terms, bucket, 0, { nowMs: now.epochMs, startMs, endMs });
  } finally {
    locks.releaseAll();
  }
}
