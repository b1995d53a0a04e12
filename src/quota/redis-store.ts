import type { Clock, Instant, StartTimer } from '../decision/ports.ts';
import type { BucketCharge } from './bucket.ts';
import { type Renewed, type Settled, StoreFault } from './bucket-store.ts';
import type { QuotaConfig } from './config.ts';
import { parseRedisUrl } from './redis-address.ts';
import { createRedisCalls } from './redis-calls.ts';
import { chargeBytes, readReservation, readState, STATE_BYTES, toDoubles, writeCharge } from './redis-codec.ts';
import { toCommand } from './redis-connection.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import { createGivingBack } from './redis-giving-back.ts';
import { createRedisKeys } from './redis-keys.ts';
import { createRecentTakes } from './redis-recent.ts';
import { BUCKETS_SCRIPT, RESERVATION_SCRIPT, type RedisScript } from './redis-script.ts';
import { createRedisSession } from './redis-session.ts';
import { createRedisState, type EpochMemory, type SharedBucketStore } from './redis-state.ts';
import { createRedisTakes, type PlainTaken } from './redis-takes.ts';

export interface RedisStoreOptions {
  readonly config: Pick<QuotaConfig, 'store' | 'deadline_ms' | 'settle_horizon_seconds'>;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  readonly epochMemory?: EpochMemory;
}

const RECENT_TAKES = 32_768;
const BEAT_MS = 1000;
/** So many beats without an answer, and the other end is gone without a word. */
const MAX_UNANSWERED = 3;

/**
 * Buckets in one Redis or Valkey server, on its clock, shared by all replicas. A take is one round trip and is never
 * sent twice: where its outcome is not known the caller is refused, and what was taken all the same is given back when
 * an answer says so, or, of what holds, as soon as there is a connection again.
 *
 * A take that holds nothing leaves no record: that its id took already is known to this process alone, which is the
 * only one that knows the id. Its user needs `+@connection +select +eval +evalsha +script|load +config|get (or +info)
 * +mget +set +del +pttl +pexpire +zadd +zcard +zremrangebyscore +time ~<prefix>1:*`.
 */
export function createRedisStore(options: RedisStoreOptions): SharedBucketStore {
  const { config, clock, startTimer, random, report, epochMemory } = options;
  const { url = '', tls, key_prefix: prefix, cold_start_seconds: coldSeconds } = config.store;
  const horizonMs = config.settle_horizon_seconds * 1000;
  const keys = createRedisKeys(prefix);
  const coldMs = coldSeconds * 1000;
  const memory = epochMemory === undefined ? {} : { memory: epochMemory };
  const state = createRedisState({ keys, coldMs, clock, random, report, ...memory });
  const session = createRedisSession({
    address: parseRedisUrl(url),
    tls,
    startTimer,
    random,
    report,
    join: async (connection) => {
      await state.join(connection);
      setImmediate(() => giving.resume());
    },
  });
  const calls = createRedisCalls({ session, deadlineMs: config.deadline_ms, clock, startTimer });
  const recent = createRecentTakes(RECENT_TAKES);
  const takes = createRedisTakes({
    keys,
    calls,
    state,
    clock,
    horizonMs,
    remember: (id, taken) => recent.set(id, taken),
    unwanted: ({ id, plans }, plan, taken) => {
      if (taken === undefined) giving.give(id);
      else refund(id, plans[plan] ?? [], taken).catch(() => giving.lost());
    },
    unknown: ({ id }, holds) => {
      if (holds) giving.give(id);
      else giving.lost();
    },
    changed: rejoin,
  });
  const giving = createGivingBack({
    release: async (id) => void (await releaseRecord(id)),
    report,
  });
  let joining = false;
  let unanswered = 0;
  let cancelBeat: (() => void) | undefined;

  function rejoin(): void {
    if (joining) return;
    joining = true;
    const over = (): void => {
      joining = false;
    };
    try {
      state.join(session.connection()).then(over, over);
    } catch {
      // There is no connection; the next one joins.
      over();
    }
  }

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
        rejoin();
        reject(new StoreFault('cold', 'the quota store lost its state, or it was declared lost'));
      };
      calls.send({ command, answered, fault: reject, late: () => {}, lost: () => {} });
    });
  }

  async function onRecord(id: string, what: string, ...args: readonly Buffer[]): Promise<Buffer | undefined> {
    const record = keys.record(id);
    return record === undefined ? undefined : run(RESERVATION_SCRIPT, [record], [what, ...args]);
  }

  const releaseRecord = (id: string): Promise<Buffer | undefined> => onRecord(id, 'release', toDoubles(horizonMs));

  async function onBuckets(
    what: string,
    charges: readonly BucketCharge[],
    at: Instant,
    starts: readonly number[] = [],
  ): Promise<Buffer> {
    const names = charges.map(({ terms }) => keys.bucket(terms));
    for (let asked = 1; ; asked += 1) {
      const nowMs = asked === 1 ? state.serverMs(at.monotonicMs) : state.serverMs(clock.now().monotonicMs);
      const args = charges.map((charge, index) => {
        const bytes = Buffer.alloc(chargeBytes(charge.terms) + 8);
        bytes.writeDoubleLE(starts[index] ?? 0, writeCharge(bytes, 0, charge, nowMs));
        return bytes;
      });
      const reply = await run(BUCKETS_SCRIPT, names, [what, ...args]);
      if (reply[0] === 0) return reply;
      if (asked > 1) throw new StoreFault('refused', 'the clock of the quota store does not stand still');
    }
  }

  async function refund(id: string, charges: readonly BucketCharge[], { atMs, taken }: PlainTaken): Promise<void> {
    recent.set(id, 'released');
    const back = charges.filter(({ refundable }, index) => refundable && taken[index] === true);
    if (back.length === 0) return;
    const starts = back.map(({ terms }) => terms.windows?.at(atMs).startMs ?? 0);
    await onBuckets('refund', back, clock.now(), starts);
  }

  function armBeat(): void {
    cancelBeat = startTimer(BEAT_MS, () => {
      armBeat();
      try {
        const connection = session.connection();
        if (unanswered >= MAX_UNANSWERED) {
          unanswered = 0;
          return connection.close('it does not answer');
        }
        unanswered += 1;
        const answered = (): void => {
          unanswered = 0;
          giving.resume();
        };
        state.beat(connection).then(answered, answered);
      } catch {
        // There is no connection, and the session is at it.
        unanswered = 0;
      }
    });
  }

  return {
    take: async (request, at) => {
      const known = recent.get(request.id);
      if (known !== undefined) return { kind: known === 'released' ? 'released' : 'duplicate' };
      session.connection();
      state.checkWarm(request.plans, at.monotonicMs);
      return takes.take(request, at);
    },
    release: async (id, charges) => {
      const known = recent.get(id);
      if (known === 'released') return;
      if (known !== undefined && known !== 'recorded') return refund(id, charges, known);
      recent.set(id, 'released');
      try {
        await releaseRecord(id);
      } catch (error) {
        giving.give(id);
        throw error;
      }
    },
    look: async (id) => {
      const reply = await onRecord(id, 'look');
      return reply === undefined || reply[0] !== 0 ? undefined : readReservation(reply.subarray(9));
    },
    settle: async (id, used) => SETTLED[(await onRecord(id, 'settle', toDoubles(...used)))?.[0] ?? 1] ?? 'unknown',
    renew: async (id, ttlMs) => {
      const reply = await onRecord(id, 'renew', toDoubles(ttlMs), toDoubles(horizonMs));
      return RENEWED[reply?.[0] ?? 1] ?? 'unknown';
    },
    charge: async (charges, at) => {
      if (charges.length > 0) await onBuckets('charge', charges, at);
    },
    peek: async (buckets, at) => {
      if (buckets.length === 0) return [];
      const charges = buckets.map((terms) => ({ terms, cost: 0, enforced: true, refundable: false }));
      const reply = await onBuckets('peek', charges, at);
      const nowMs = reply.readDoubleLE(1);
      return buckets.map((terms, index) => readState(reply, 9 + index * STATE_BYTES, terms, 0, nowMs));
    },
    replicas: () => state.replicas(),
    start: async () => {
      await session.start();
      armBeat();
    },
    stop: async () => {
      cancelBeat?.();
      session.stop();
    },
  };
}

const SETTLED: readonly Settled[] = ['settled', 'unknown', 'already'];
const RENEWED: readonly Renewed[] = ['renewed', 'unknown', 'ended'];
