import { admit, fits, type Moment, release, renew, settle } from '../../../src/quota/arithmetic.ts';
import type { Bucket, BucketState } from '../../../src/quota/bucket.ts';
import type { BucketEvent, HiddenWrite } from './bucket-events.ts';

/** A bucket that was brought to a moment. */
export interface Now {
  readonly bucket: Bucket;
  readonly moment: Moment;
}

export function perform(bucket: Bucket, { action, terms }: BucketEvent, { nowMs }: Moment): void {
  switch (action.kind) {
    case 'take':
      if (fits(bucket, terms, action.charge.cost)) admit(bucket, action.charge, action.id, nowMs);
      break;
    case 'settle':
      settle(bucket, terms, action.taken, action.used);
      break;
    case 'release':
      release(bucket, terms, action.taken);
      break;
    case 'renew':
      renew(bucket, action.id, nowMs + action.ttlMs);
      break;
    case 'charge':
      admit(bucket, action.charge, '', nowMs);
      break;
    case 'peek':
      break;
  }
}

/** Whether what was told is what the arithmetic tells at the one end, at the other, or at some moment between. */
export function compare(
  one: BucketEvent,
  told: BucketState,
  low: Now,
  high: Now,
  tell: (bucket: Bucket, moment: Moment) => BucketState,
): string | undefined {
  const wrong = within(one, 'level', told.level, low.bucket.level, high.bucket.level);
  if (wrong !== undefined) return wrong;
  low.bucket.level = told.level;
  high.bucket.level = told.level;
  const first = tell(low.bucket, low.moment);
  const final = low.bucket === high.bucket ? first : tell(high.bucket, high.moment);
  for (const key of ['version', 'limit', 'remaining', 'held', 'waitMs', 'resetMs'] as const) {
    const off = within(one, key, told[key], first[key], final[key]);
    if (off !== undefined) return off;
  }
  return told.fits === first.fits || told.fits === final.fits
    ? undefined
    : `${describe(one)} was told fits ${told.fits}`;
}

export function within(one: BucketEvent, key: string, told: number, first: number, final: number): string | undefined {
  if (told >= Math.min(first, final) && told <= Math.max(first, final)) return undefined;
  const wanted = first === final ? `${first}` : `${first} to ${final}`;
  return `${describe(one)} was told ${key} ${told} where the arithmetic has ${wanted}`;
}

export function describe(one: BucketEvent | undefined): string {
  return one === undefined ? 'an operation' : `${one.action.kind} (operation ${one.operation})`;
}

export function startOf(group: HiddenWrite | undefined): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { startUs } of group?.events ?? []) first = Math.min(first, startUs);
  return first;
}

/** Of each version: from when on, and until when, it can have been there at the most; by what is exactly known. */
export function knownMoments(
  last: number,
  writeOf: ReadonlyMap<number, BucketEvent>,
  readsOf: ReadonlyMap<number, readonly BucketEvent[]>,
): { readonly earliest: readonly number[]; readonly latest: readonly number[] } {
  const earliest: number[] = [];
  const latest: number[] = [];
  const at = (version: number): number[] => {
    const write = writeOf.get(version);
    const told = write === undefined ? (readsOf.get(version) ?? []) : [write, ...(readsOf.get(version) ?? [])];
    return told.flatMap(({ atMs: [first, final] }) => (first === final ? [first] : []));
  };
  let known = Number.NEGATIVE_INFINITY;
  for (let version = 0; version <= last; version += 1) {
    known = Math.max(known, ...at(version));
    earliest[version] = known;
  }
  known = Number.POSITIVE_INFINITY;
  for (let version = last; version >= 0; version -= 1) {
    known = Math.min(known, ...at(version));
    latest[version] = known;
  }
  return { earliest, latest };
}

/** By when each must have been written. What gives back may be nothing to a store where nothing was written before. */
export function toDeadlines(writes: readonly BucketEvent[], groups: readonly HiddenWrite[]): readonly number[] {
  const charges = groups.flatMap(({ events: [first], optional }) =>
    first === undefined || optional || isGivingBack(first) ? [] : [first],
  );
  const firstUs = [...writes, ...charges].reduce(
    (least, { endUs }) => Math.min(least, endUs),
    Number.POSITIVE_INFINITY,
  );
  return groups.map((group) => {
    const [first] = group.events;
    const isNothing = first !== undefined && isGivingBack(first) && first.startUs <= firstUs;
    return isNothing ? Number.POSITIVE_INFINITY : deadlineOf(group);
  });
}

function isGivingBack({ action }: BucketEvent): boolean {
  return action.kind === 'charge' && action.charge.cost < 0;
}

/**
 * By when one of the events has taken place. Of several releases that overlap one may have been told that it is done
 * because another is at it.
 */
function deadlineOf({ events, optional }: HiddenWrite): number {
  if (optional) return Number.POSITIVE_INFINITY;
  const firstUs = Math.min(...events.map(({ endUs }) => endUs));
  const overlapping = events.filter(({ startUs, endUs }) => startUs <= firstUs && endUs !== Number.POSITIVE_INFINITY);
  return Math.max(...overlapping.map(({ endUs }) => endUs));
}

/** The places of the renewals, by the reservation whose hold they put off. */
export function renewalsIn(groups: readonly HiddenWrite[]): ReadonlyMap<string, readonly number[]> {
  const renewals = new Map<string, number[]>();
  groups.forEach(({ events: [first] }, at) => {
    if (first?.action.kind !== 'renew') return;
    const { id } = first.action;
    renewals.set(id, [...(renewals.get(id) ?? []), at]);
  });
  return renewals;
}

export function copyBucket(bucket: Bucket | undefined): Bucket | undefined {
  return bucket === undefined ? undefined : { ...bucket, holds: [...bucket.holds] };
}

export function isSame(one: Bucket, other: Bucket): boolean {
  if (one.level !== other.level || one.atMs !== other.atMs || one.holds.length !== other.holds.length) return false;
  return one.holds.every(
    ({ id, deadlineMs }, at) => other.holds[at]?.id === id && other.holds[at]?.deadlineMs === deadlineMs,
  );
}
