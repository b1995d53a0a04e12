import type { Clock, Instant } from '../../decision/ports.ts';
import type { BucketCharge, BucketState, BucketTerms } from '../bucket.ts';
import { type Renewed, type Reservation, type Settled, StoreFault } from '../bucket-store.ts';
import type { RedisCalls } from './redis-calls.ts';
import { chargeBytes, readReservation, readState, STATE_BYTES, toDoubles, viewOf, writeCharge } from './redis-codec.ts';
import { toCommand } from './redis-connection.ts';
import type { RedisKeys } from './redis-keys.ts';
import { BUCKETS_SCRIPT, RESERVATION_SCRIPT, type RedisScript } from './redis-script.ts';
import type { RedisState } from './redis-state.ts';
import type { PlainTaken } from './redis-takes.ts';

/** What is done, but for takes, with buckets and reservations whose keys are together. */
export interface RedisPart {
  release(id: string): Promise<void>;
  /** As if it had never taken: its id is not marked. */
  undo(id: string): Promise<void>;
  look(id: string): Promise<Reservation | undefined>;
  settle(id: string, used: readonly number[]): Promise<Settled>;
  renew(id: string, ttlMs: number): Promise<Renewed>;
  charge(charges: readonly BucketCharge[], at: Instant): Promise<void>;
  /** For their costs. */
  peek(charges: readonly BucketCharge[], at: Instant): Promise<readonly BucketState[]>;
  /** Gives back what was charged at once, and is refundable. */
  refund(charges: readonly BucketCharge[], taken: PlainTaken): Promise<void>;
  /** Makes charges of what is held provisionally, or nothing. */
  conclude(what: 'confirm' | 'cancel', id: string, charges: readonly BucketCharge[]): Promise<void>;
}

export interface RedisPartOptions {
  readonly keys: RedisKeys;
  readonly calls: RedisCalls;
  readonly state: RedisState;
  readonly clock: Clock;
  readonly horizonMs: number;
  /** The store has another marker than was expected. */
  readonly changed: () => void;
}

export function createRedisPart({ keys, calls, state, clock, horizonMs, changed }: RedisPartOptions): RedisPart {
  function run(script: RedisScript, names: readonly string[], args: readonly (string | Buffer)[]): Promise<Buffer> {
    const count = String(names.length + 1);
    const command = toCommand(['EVALSHA', script.sha, count, keys.marker, ...names, state.marker(), ...args]);
    return new Promise((resolve, reject) => {
      const answered = (reply: Buffer): void => {
        if (reply.length < 9) {
          reject(new StoreFault('refused', 'the quota store answers nonsense'));
          return;
        }
        state.observe(reply);
        if (reply[0] !== 9) {
          resolve(reply);
          return;
        }
        changed();
        reject(new StoreFault('cold', 'the quota store lost its state, or it was declared lost'));
      };
      calls.send({ command, answered, fault: reject, late: () => {}, lost: () => {} });
    });
  }

  async function onRecord(id: string, what: string, ...args: readonly Buffer[]): Promise<Buffer | undefined> {
    const record = keys.record(id);
    return record === undefined ? undefined : run(RESERVATION_SCRIPT, [record], [what, ...args]);
  }

  async function onBuckets(
    what: string,
    charges: readonly BucketCharge[],
    at: Instant,
    starts: readonly number[] = [],
    id = '',
  ): Promise<Buffer> {
    const names = charges.map(({ terms }) => keys.bucket(terms));
    for (let asked = 1; ; asked += 1) {
      const nowMs = asked === 1 ? state.serverMs(at.monotonicMs) : state.serverMs(clock.now().monotonicMs);
      const args = charges.map((charge, index) => {
        const bytes = Buffer.alloc(chargeBytes(charge.terms) + 8);
        bytes.writeDoubleLE(starts[index] ?? 0, writeCharge(bytes, 0, charge, nowMs));
        return bytes;
      });
      const reply = await run(BUCKETS_SCRIPT, names, [what, ...args, id]);
      if (reply[0] === 0) return reply;
      if (asked > 1) throw new StoreFault('refused', 'the clock of the quota store does not stand still');
    }
  }

  return {
    release: async (id) => void (await onRecord(id, 'release', toDoubles(horizonMs))),
    undo: async (id) => void (await onRecord(id, 'undo')),
    look: async (id) => {
      const reply = await onRecord(id, 'look');
      if (reply === undefined || reply[0] !== 0) return undefined;
      return legible(() => readReservation(reply.subarray(9)));
    },
    settle: async (id, used) => SETTLED[(await onRecord(id, 'settle', toDoubles(...used)))?.[0] ?? 1] ?? 'unknown',
    renew: async (id, ttlMs) => {
      const reply = await onRecord(id, 'renew', toDoubles(ttlMs), toDoubles(horizonMs));
      return RENEWED[reply?.[0] ?? 1] ?? 'unknown';
    },
    charge: async (charges, at) => {
      if (charges.length > 0) await onBuckets('charge', charges, at);
    },
    peek: async (charges, at) => {
      if (charges.length === 0) return [];
      const reply = await onBuckets('peek', charges, at);
      return legible(() => {
        const nowMs = reply.readDoubleLE(1);
        const view = viewOf(reply);
        return charges.map(({ terms, cost }, index) => readState(view, 9 + index * STATE_BYTES, terms, cost, nowMs));
      });
    },
    refund: async (charges, { atMs, taken }) => {
      const back = charges.filter(({ refundable }, index) => refundable && taken[index] === true);
      if (back.length === 0) return;
      const starts = back.map(({ terms }) => terms.windows?.at(atMs).startMs ?? 0);
      await onBuckets('refund', back, clock.now(), starts);
    },
    conclude: async (what, id, charges) => {
      if (charges.length > 0) await onBuckets(what, charges, clock.now(), [], id);
    },
  };
}

/** A charge by which one asks how a bucket stands. */
export function asQuestion(terms: BucketTerms): BucketCharge {
  return { terms, cost: 0, enforced: true, refundable: false };
}

const SETTLED: readonly Settled[] = ['settled', 'unknown', 'already'];
const RENEWED: readonly Renewed[] = ['renewed', 'unknown', 'ended'];

/** What `read` makes of a reply; a reply that is shorter than it says is no answer. */
function legible<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new StoreFault('refused', 'the answer of the quota store cannot be read', { cause });
  }
}
