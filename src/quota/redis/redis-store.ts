import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { BucketCharge } from '../bucket.ts';
import type { QuotaConfig } from '../config.ts';
import { parseRedisUrl } from './redis-address.ts';
import { createRedisCalls } from './redis-calls.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import { createGivingBack } from './redis-giving-back.ts';
import { createRedisKeys } from './redis-keys.ts';
import { asQuestion, createRedisPart } from './redis-part.ts';
import { createRecentTakes } from './redis-recent.ts';
import { createRedisSession } from './redis-session.ts';
import { createRedisState, type EpochMemory, type SharedBucketStore } from './redis-state.ts';
import { createRedisTakes, fromReceipt, type PlainTaken } from './redis-takes.ts';

export interface RedisStoreOptions {
  readonly config: Pick<QuotaConfig, 'store' | 'deadline_ms' | 'settle_horizon_seconds'>;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  readonly epochMemory?: EpochMemory;
}

const RECENT_TAKES = 4_096;
const BEAT_MS = 1000;
/** So many beats without an answer, and the other end is gone without a word. */
const MAX_UNANSWERED = 3;

/**
 * Buckets in one Redis or Valkey server, on its clock, shared by all replicas. A take is one round trip and is never
 * sent twice: where its outcome is not known the caller is refused, and what was taken all the same is given back when
 * an answer says so, or, of what holds, as soon as there is a connection again.
 *
 * A take that holds nothing leaves no record: that its id took already is known to this process alone, which is the
 * only one that knows the id, and with a receipt to the caller alone. Its user needs `+@connection +select +eval +evalsha +script|load +config|get (or +info)
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
  const part = createRedisPart({ keys, calls, state, clock, horizonMs, changed: rejoin });
  const takes = createRedisTakes({
    keys,
    calls,
    state,
    clock,
    horizonMs,
    receipts: true,
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
    release: (id) => part.release(id),
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

  async function refund(id: string, charges: readonly BucketCharge[], taken: PlainTaken): Promise<void> {
    recent.set(id, 'released');
    await part.refund(charges, taken);
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
    take: (request, at) => {
      // No `async` function: one that returns a promise waits three more turns for it.
      try {
        const known = request.fresh === true ? undefined : recent.get(request.id);
        if (known !== undefined) return Promise.resolve({ kind: known === 'released' ? 'released' : 'duplicate' });
        session.connection();
        state.checkWarm(request.plans, at.monotonicMs);
        return takes.take(request, at);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    release: async (id, charges, _at, receipt) => {
      if (receipt !== undefined) return part.refund(charges, fromReceipt(receipt, charges.length));
      const known = recent.get(id);
      if (known === 'released') return;
      if (known !== undefined && known !== 'recorded') return refund(id, charges, known);
      recent.set(id, 'released');
      try {
        await part.release(id);
      } catch (error) {
        giving.give(id);
        throw error;
      }
    },
    look: (id) => part.look(id),
    settle: (id, used) => part.settle(id, used),
    renew: (id, ttlMs) => part.renew(id, ttlMs),
    charge: (charges, at) => part.charge(charges, at),
    peek: (buckets, at) => part.peek(buckets.map(asQuestion), at),
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
