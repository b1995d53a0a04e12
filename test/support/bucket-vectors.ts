import {
  admit,
  advance,
  fits,
  type Moment,
  release,
  renew,
  settle,
  type Taken,
  toState,
} from '../../src/quota/arithmetic.ts';
import type { Bucket, BucketState, BucketTerms } from '../../src/quota/bucket.ts';
import { drawBucket, drawMoment, drawTaken, drawTerms, drawUnits, toHoldId } from './bucket-draws.ts';
import { createRandom, type Random } from './seed.ts';

/**
 * One step of one bucket, all of it integers from −(2^53 − 1) to 2^53 − 1 in flat lists, as `arithmetic.ts` carries it
 * out. A replay rebuilds `before`, brings it to `moment`, carries out `operation`, and has `did`, `after` and `state`
 * to show for it. Where `did` is 0 nothing was written, and `after` is `before`, not brought to the moment; but where
 * `setBack` is 1 the bucket at the moment is written all the same, by all but a peek, with the version that it had.
 * `state` is always of the bucket at the moment. The drain changes with takes and charges only.
 */
export interface BucketVector {
  /** `[kind, limit, burst, periodMs]`; 0 rate, 1 window, 2 concurrency. */
  readonly terms: readonly [kind: number, limit: number, burst: number, periodMs: number];
  /** `[nowMs, startMs, endMs]`; the last two are 0 but for windows. */
  readonly moment: readonly [nowMs: number, startMs: number, endMs: number];
  /** `[level, atMs, drain, held, version, ...holds]`; see {@link toFlat}. */
  readonly before: readonly number[];
  /**
   * `[0, cost]` take at once
   * `[1, cost, id, ttlMs, onExpiry]` take and hold; 0 release, 1 charge
   * `[2, id, amount, sort, startMs, refundable, used]` settle; sort 0: charged at once, 1: held, released on expiry,
   *   2: held, charged on expiry
   * `[3, id, amount, sort, startMs, refundable]` release
   * `[4, id, deadlineMs]` renew
   * `[5, cost]` forced charge; the cost may be negative
   * `[6]` peek
   */
  readonly operation: readonly number[];
  readonly after: readonly number[];
  /** 1: it was written. 0: refused, ended, nothing to do. */
  readonly did: number;
  /** 1: the clock was set back, see `advance`. */
  readonly setBack: number;
  /**
   * `[limit, remaining, held, fits, waitMs, resetMs, version, level]`, of a take for its cost, with `fits` 1 where it
   * was taken; of anything else for a cost of 0.
   */
  readonly state: readonly number[];
}

export const VECTOR_KINDS = ['rate', 'window', 'concurrency'] as const;
export const VECTOR_OPERATIONS = ['take', 'hold', 'settle', 'release', 'renew', 'charge', 'peek'] as const;

/** As many vectors as are asked for, always the same ones for a seed. */
export function* bucketVectors(seed: number, count: number): Generator<BucketVector> {
  const random = createRandom(seed);
  for (let at = 0; at < count; at += 1) yield drawVector(random);
}

/** A bucket as a list: five numbers, then `[id, amount, deadlineMs, onExpiry]` of each hold; 0 release, 1 charge. */
export function toFlat({ level, atMs, drain, held, version, holds }: Bucket): readonly number[] {
  const flat = [level, atMs, drain, held, version];
  for (const { id, amount, deadlineMs, onExpiry } of holds) {
    flat.push(toNumber(id), amount, deadlineMs, onExpiry === 'charge' ? 1 : 0);
  }
  return flat;
}

/** The bucket of a list; hold 7 has the id `toHoldId(7)`. */
export function fromFlat(flat: readonly number[]): Bucket {
  const [level = 0, atMs = 0, drain = 0, held = 0, version = 0, ...rest] = flat;
  const bucket: Bucket = { level, atMs, drain, held, version, holds: [] };
  for (let at = 0; at < rest.length; at += 4) {
    const [id = 0, amount = 0, deadlineMs = 0, onExpiry = 0] = rest.slice(at, at + 4);
    bucket.holds.push({ id: toHoldId(id), amount, deadlineMs, onExpiry: onExpiry === 1 ? 'charge' : 'release' });
  }
  return bucket;
}

function toNumber(id: string): number {
  return Number.parseInt(id.split('-')[1] ?? '', 16);
}

/** The terms of a vector. */
export function toTerms([kind, limit, burst, periodMs]: BucketVector['terms']): BucketTerms {
  const name = VECTOR_KINDS[kind] ?? 'rate';
  return { id: `vector:${name}`, kind: name, limit, burst, periodMs, region: 'callers', scope: 'tenant' };
}

function drawVector(random: Random): BucketVector {
  const terms = drawTerms(random);
  const moment = drawMoment(random, terms);
  const bucket = drawBucket(random, terms, moment);
  const before = toFlat(bucket);
  const { version } = bucket;
  const operation = drawOperation(random, terms, bucket, moment);
  const isSetBack = advance(bucket, terms, moment);
  const state = perform(bucket, terms, moment, operation);
  const did = bucket.version === version ? 0 : 1;
  return {
    terms: [VECTOR_KINDS.indexOf(terms.kind), terms.limit, terms.burst, terms.periodMs],
    moment: [moment.nowMs, moment.startMs, moment.endMs],
    before,
    operation,
    after: did === 1 || (isSetBack && !isPeek(operation)) ? toFlat(bucket) : before,
    did,
    setBack: isSetBack ? 1 : 0,
    state: toList(state),
  };
}

function isPeek([code]: readonly number[]): boolean {
  return VECTOR_OPERATIONS[code ?? 6] === 'peek';
}

function toList(state: BucketState): readonly number[] {
  const { limit, remaining, held, fits: fitted, waitMs, resetMs, version, level } = state;
  return [limit, remaining, held, fitted ? 1 : 0, waitMs, resetMs, version, level];
}

const SORTS = [undefined, 'release', 'charge'] as const;

function drawOperation(random: Random, terms: BucketTerms, bucket: Bucket, { nowMs }: Moment): readonly number[] {
  const name = random.pick([...VECTOR_OPERATIONS, 'take', 'hold', 'settle', 'settle'] as const);
  const code = VECTOR_OPERATIONS.indexOf(name);
  const free = Math.max(0, terms.burst - bucket.held - Math.ceil(bucket.level / terms.periodMs));
  const cost = random.pick([drawUnits(random, terms), free, free + 1, Math.max(0, free - 1)]);
  switch (name) {
    case 'take':
      return [code, cost];
    case 'hold':
      return [code, cost, 100, random.pick([1, 1000, 30_000, 86_400_000]), random.below(2)];
    case 'settle':
    case 'release': {
      const { id, amount, onExpiry, startMs, refundable } = drawTaken(random, terms, bucket);
      const taken = [code, toNumber(id), amount, SORTS.indexOf(onExpiry), startMs, refundable ? 1 : 0];
      return name === 'release' ? taken : [...taken, random.pick([amount, drawUnits(random, terms)])];
    }
    case 'renew':
      return [code, random.below(bucket.holds.length + 2), nowMs + random.pick([1, 1000, 60_000])];
    case 'charge':
      return [code, random.chance(0.5) ? cost : 0 - drawUnits(random, terms)];
    case 'peek':
      return [code];
  }
}

/** Carries out the operation of a vector on an advanced bucket, and says how it stands then. */
export function perform(
  bucket: Bucket,
  terms: BucketTerms,
  moment: Moment,
  [code = 6, ...operands]: readonly number[],
): BucketState {
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = operands;
  const charge = { terms, cost: first, enforced: true, refundable: true };
  const taken = (): Taken => {
    const sort = SORTS[third];
    const plain = { id: toHoldId(first), amount: second, startMs: fourth, refundable: fifth === 1 };
    return sort === undefined ? plain : { ...plain, onExpiry: sort };
  };
  switch (VECTOR_OPERATIONS[code]) {
    case 'take':
    case 'hold': {
      const fitted = fits(bucket, terms, first);
      const hold = { ttlMs: third, onExpiry: fourth === 1 ? 'charge' : 'release' } as const;
      if (fitted) admit(bucket, code === 1 ? { ...charge, hold } : charge, toHoldId(second), moment.nowMs);
      return toState(bucket, terms, moment, first, fitted);
    }
    case 'settle':
      settle(bucket, terms, taken(), sixth);
      break;
    case 'release':
      release(bucket, terms, taken());
      break;
    case 'renew':
      renew(bucket, toHoldId(first), second);
      break;
    case 'charge':
      admit(bucket, charge, '', moment.nowMs);
      break;
    case 'peek':
    case undefined:
  }
  return toState(bucket, terms, moment, 0);
}
