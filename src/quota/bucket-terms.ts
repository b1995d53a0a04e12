import { hash } from 'node:crypto';
import type { ChargeTerms, Dimension } from '../decision/charge-terms.ts';
import { type Charge, lengthPrefixed } from '../decision/charges.ts';
import type { LimitCounts, QuotaMetrics } from '../telemetry/quota-metrics.ts';
import type { BucketCharge, BucketTerms, Windows } from './bucket.ts';
import { createWindows } from './calendar.ts';
import { createKnownByKey, type KnownByKey } from './known-by-key.ts';

/** A charge as the store is asked for it, with what the limiter needs to know of it. */
export interface PlannedCharge extends BucketCharge {
  readonly shape: ChargeShape;
  /** The values of its dimensions. */
  readonly key: readonly string[];
}

export type PlannedPlan = readonly PlannedCharge[];

/** Everything of a charge that does not depend on the values of its key; made once for terms that requests share. */
export interface ChargeShape {
  readonly terms: ChargeTerms;
  readonly counts: LimitCounts;
  readonly enforced: boolean;
  readonly refundable: boolean;
  readonly hold: BucketCharge['hold'];
  /** Name, unit, kind and period, length-prefixed: no size, so that a new size keeps the bucket. */
  readonly prefix: string;
  readonly dimensions: readonly string[];
  readonly periodMs: number;
  readonly windows: Windows | undefined;
  readonly region: BucketTerms['region'];
  /** What was planned lately: stores look buckets up by their texts, and a new text must be hashed each time. */
  readonly known: KnownByKey<PlannedCharge> | undefined;
  /** Whether the keys alone say on which machine the buckets are. */
  readonly catalogued: boolean;
  /** Of an internal charge, which the policy does not know of. */
  readonly internal: boolean;
}

/** Finds or makes the shape of a charge. */
export function createChargeShapes(metrics: Pick<QuotaMetrics, 'limit'>): (terms: ChargeTerms) => ChargeShape {
  const known = new WeakMap<ChargeTerms, ChargeShape>();
  const knownCharges = createKnownByKey<PlannedCharge>(MAX_KNOWN);
  return (terms) => {
    const found = known.get(terms);
    if (found !== undefined) return found;
    const counts = metrics.limit(terms.name, terms.unit);
    const made = toShape(terms, counts, windowsOf(terms));
    // What anybody can make up is not worth its room.
    const shape = made.region === 'callers' ? { ...made, known: knownCharges() } : made;
    known.set(terms, shape);
    return shape;
  };
}

const MAX_KNOWN = 8192;

/** The charge of a plan for one bucket, which takes may share; `tags` where the store is spread over machines. */
export function toPlanned(shape: ChargeShape, key: readonly string[], cost: number, tags?: TagsOf): PlannedCharge {
  const known = tags === undefined || shape.catalogued ? shape.known : undefined;
  const found = known?.get(key);
  if (found?.cost === cost) return found;
  const { enforced, refundable, hold } = shape;
  const terms = found?.terms ?? toBucketTerms(shape, key, tags);
  const charge: PlannedCharge =
    hold === undefined
      ? { terms, cost, enforced, refundable, shape, key }
      : { terms, cost, enforced, refundable, shape, key, hold };
  if (found === undefined) known?.set(key, charge);
  return charge;
}

/** The bucket that a shape and the verified values of its dimensions name. */
function toBucketTerms(shape: ChargeShape, key: readonly string[], tags?: TagsOf): BucketTerms {
  const { terms, dimensions, periodMs, windows, region } = shape;
  // INVARIANT: a value that no dimension names would leave two callers in one bucket.
  if (key.length !== dimensions.length) throw new TypeError('a charge has not one value for each dimension');
  const family = shape.prefix;
  let id = family;
  for (let at = 0; at < dimensions.length; at += 1) id += `${dimensions[at]}${keyPart(key[at] ?? '')}`;
  const { kind, limit, burst, scope } = terms;
  const bucket: BucketTerms =
    windows === undefined
      ? { id, family, kind, limit, burst, periodMs, region, scope }
      : { id, family, kind, limit, burst, periodMs, region, scope, windows };
  return tags === undefined ? bucket : { ...bucket, tag: tags(shape, key, id) };
}

/** The tag of a bucket. */
export type TagsOf = (shape: ChargeShape, key: readonly string[], id: string) => string;

/**
 * A value, length-prefixed, as it stands in an identity. Long ones and those that are not well-formed, which UTF-8
 * would make alike, become a digest, which begins unlike any length.
 */
export function keyPart(value: string): string {
  if (value.length <= MAX_PLAIN && value.isWellFormed()) return `${value.length}:${value}`;
  return `#${hash('sha256', Buffer.from(value, 'utf16le'))}`;
}

const MAX_PLAIN = 256;

/** The name of our own cap on open holds. */
export const HOLDS = 'sallyport.holds';

/** Caps how many reservations of one holder are open. No policy can name its dimension. */
export interface HoldsCap {
  /** As a note has it, beside the charges of the plan. */
  readonly charge: Charge;
  planned(holder: string, region: BucketTerms['region'], ttlMs: number, tags?: TagsOf): PlannedCharge;
}

export function createHoldsCap(limit: number, metrics: Pick<QuotaMetrics, 'limit'>): HoldsCap {
  const terms: ChargeTerms = {
    name: HOLDS,
    dimensions: [],
    unit: 'requests',
    kind: 'concurrency',
    limit,
    burst: limit,
    cost: 1,
    reserve: { ttlSeconds: 1, onExpiry: 'release', atLeast: 1, learned: false },
    mode: 'enforce',
    onFailure: 'deny',
    charge: 'admitted',
    scope: 'tenant',
  };
  const made = toShape(terms, metrics.limit(terms.name, terms.unit), undefined);
  const shapes = {
    callers: { ...made, dimensions: ['6:holder'], internal: true, region: 'callers' },
    outsiders: { ...made, dimensions: ['6:holder'], internal: true, region: 'outsiders' },
  } as const;
  return {
    charge: { terms, key: [] },
    planned: (holder, region, ttlMs, tags) => {
      const shape = shapes[region];
      const bucket = toBucketTerms(shape, [holder], tags);
      return {
        terms: bucket,
        cost: 1,
        enforced: true,
        refundable: true,
        shape,
        key: [holder],
        hold: { ttlMs, onExpiry: 'release' },
      };
    },
  };
}

function toShape(terms: ChargeTerms, counts: LimitCounts, windows: Windows | undefined): ChargeShape {
  const { name, unit, kind, mode, charge, reserve } = terms;
  return {
    terms,
    counts,
    enforced: mode === 'enforce',
    refundable: charge === 'admitted',
    hold: reserve === undefined ? undefined : { ttlMs: reserve.ttlSeconds * 1000, onExpiry: reserve.onExpiry },
    prefix: lengthPrefixed([name, unit, kind, periodOf(terms)]),
    dimensions: terms.dimensions.map((dimension) => lengthPrefixed([dimension])),
    periodMs: kind === 'rate' ? (terms.periodSeconds ?? 1) * 1000 : 1,
    windows,
    region: terms.dimensions.some(isVerified) || terms.dimensions.every(isCatalog) ? 'callers' : 'outsiders',
    known: undefined,
    catalogued: terms.dimensions.length === 1 && terms.dimensions.every(isFew),
    internal: false,
  };
}

function windowsOf({ kind, calendar, zone = 'UTC', periodSeconds = 1 }: ChargeTerms): Windows | undefined {
  if (kind !== 'window') return undefined;
  return createWindows(calendar === undefined ? { periodSeconds } : { calendar, zone });
}

function periodOf({ periodSeconds, calendar, zone }: ChargeTerms): string {
  if (calendar !== undefined) return `${calendar} ${zone ?? 'UTC'}`;
  return periodSeconds === undefined ? '' : String(periodSeconds);
}

/** Of a caller whose credential verified. */
function isVerified(dimension: Dimension): boolean {
  return VERIFIED.has(dimension) || dimension.startsWith('claim:');
}

const VERIFIED: ReadonlySet<Dimension> = new Set<Dimension>(['principal', 'tenant', 'key_id', 'peer', 'tier']);

function isFew(dimension: Dimension): boolean {
  return isCatalog(dimension) || dimension === 'tenant' || dimension === 'tier';
}

/** What the catalog lists, and so nobody can make up; a method is whatever a client sends. */
function isCatalog(dimension: Dimension): boolean {
  return dimension === 'route' || dimension === 'model' || dimension === 'operation';
}
