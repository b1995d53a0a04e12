import type { Clock } from '../../decision/ports.ts';
import type { BucketCharge } from '../bucket.ts';
import { type BucketStore, StoreFault } from '../bucket-store.ts';
import { toDoubles } from './redis-codec.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import type { RedisKeys } from './redis-keys.ts';
import { RespError } from './redis-resp.ts';
import { BEAT_SCRIPT, JOIN_SCRIPT } from './redis-script-fleet.ts';
import { refusal } from './redis-session.ts';

/** Where the epoch of a fleet's state outlives this process; without one only running processes notice a loss. */
export interface EpochMemory {
  load(): string | undefined;
  save(epoch: string): void;
}

export interface RedisStateOptions {
  readonly keys: RedisKeys;
  readonly coldMs: number;
  readonly clock: Clock;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  readonly memory?: EpochMemory;
}

/**
 * Whether the counts are those of this fleet. A marker in the store names their epoch, and every script call compares
 * it: a store that was emptied, or replaced, answers nothing until its state was looked at again. It is made by whoever
 * finds none.
 *
 * Who knows an epoch and finds no marker, or one that somebody made who knew none, declares the counts lost: nothing is
 * taken for `cold_start_seconds`, on any replica, and after that no limit that could still owe something: a rate until
 * it would have drained whole, a window until the one that was lost is over, a concurrency limit until holds as long as
 * its own have ended. An operator who accepts the loss sets `<prefix>1:accept_loss` to anything; that ends all waiting.
 *
 * Who knows no epoch and finds none is the first of a new fleet, and waits only two seconds (or `cold_start_seconds`, if
 * that is less), so that a replica that knows better can speak. All replicas and the store gone at once, with no
 * {@link EpochMemory}, cannot be told from that.
 */
export interface RedisState {
  /** As the scripts compare it. */
  marker(): Buffer;
  /** What the server's clock says now, as far as is known. */
  serverMs(monotonicMs: number): number;
  /** Reads the clock of an answer: the double at 1. */
  observe(reply: Buffer): number;
  join(connection: Asked): Promise<void>;
  /** Joins without saying that this replica lives. */
  look(connection: Asked): Promise<void>;
  /** Throws `cold` while what these charges are counted by may be lost. */
  checkWarm(plans: readonly (readonly BucketCharge[])[], monotonicMs: number): void;
  beat(connection: Asked): Promise<void>;
  replicas(): ReplicaCount;
  /** Whether nothing is known to be lost, and nothing is waited for. */
  isWhole(): boolean;
}

/** Who answers, be it one connection or whichever leads to the node that must be asked. */
export type Asked = Pick<RedisConnection, 'ask'>;

export interface ReplicaCount {
  /** The most replicas that were alive at once, as this one saw. */
  readonly highestSeen: number;
  /** Whether this replica ever saw the store. */
  readonly everSeen: boolean;
}

/** A {@link BucketStore} that replicas share. */
export interface SharedBucketStore extends BucketStore {
  replicas(): ReplicaCount;
}

const FIRST_START_MS = 2000;
const EPOCH_BYTES = 16;

export function createRedisState({ keys, coldMs, clock, random, report, memory }: RedisStateOptions): RedisState {
  const replica = random(EPOCH_BYTES).toString('hex');
  let marker: Buffer = Buffer.alloc(0);
  let epoch = '';
  let lostAtMs = 0;
  let warmAtMs = Number.MAX_SAFE_INTEGER;
  let offsetMs = 0;
  let highestSeen = 0;
  let everSeen = false;

  function observe(reply: Buffer): number {
    const nowMs = reply.readDoubleLE(1);
    offsetMs = nowMs - clock.now().monotonicMs;
    return nowMs;
  }

  async function run(connection: Asked, parts: readonly (string | Buffer)[]): Promise<Buffer> {
    const reply = await connection.ask(parts);
    if (reply instanceof RespError) throw refusal(reply);
    if (!Buffer.isBuffer(reply) || reply.length < 9)
      throw new StoreFault('refused', 'the quota store answers nonsense');
    observe(reply);
    return reply;
  }

  function adopt(found: Buffer): void {
    if (found.length !== 48) throw new StoreFault('refused', 'the marker of the quota store cannot be read');
    const text = found.toString('latin1', 0, 32);
    const lost = found.readDoubleLE(32);
    const isNews = lost > 0 && (text !== epoch || lost !== lostAtMs);
    marker = Buffer.from(found);
    lostAtMs = lost;
    warmAtMs = found.readDoubleLE(40);
    if (text !== epoch) memory?.save(text);
    epoch = text;
    if (isNews) report({ kind: 'state_lost', lostAtMs, warmAtMs });
  }

  async function beat(connection: Asked): Promise<void> {
    const reply = await run(connection, [
      'EVAL',
      BEAT_SCRIPT.text,
      '3',
      keys.replicas,
      keys.acceptLoss,
      keys.marker,
      replica,
    ]);
    everSeen = true;
    highestSeen = Math.max(highestSeen, reply.readDoubleLE(10));
    // Also where every take is refused beforehand, and so none would find the marker changed.
    if (reply[9] === 1 || !reply.subarray(18).equals(marker)) await join(connection);
  }

  async function join(connection: Asked): Promise<void> {
    const known = epoch === '' ? (memory?.load() ?? '') : epoch;
    const waits = toDoubles(coldMs, Math.min(coldMs, FIRST_START_MS));
    const fresh = random(EPOCH_BYTES).toString('hex');
    const script = ['EVAL', JOIN_SCRIPT.text, '2', keys.marker, keys.acceptLoss, fresh, known, waits];
    adopt((await run(connection, script)).subarray(9));
  }

  const serverMs = (monotonicMs: number): number => Math.floor(monotonicMs + offsetMs);

  return {
    marker: () => marker,
    serverMs,
    observe,
    join: async (connection) => {
      await join(connection);
      await beat(connection);
    },
    checkWarm: (plans, monotonicMs) => {
      if (lostAtMs <= 0 && warmAtMs === 0) return;
      const nowMs = serverMs(monotonicMs);
      if (nowMs < warmAtMs) throw cold('its counts are not known to be whole');
      if (lostAtMs <= 0) {
        warmAtMs = 0;
        return;
      }
      for (const charges of plans) {
        for (const charge of charges) {
          if (charge.enforced && nowMs < owedUntil(charge, lostAtMs)) throw cold('what such a limit owes was lost');
        }
      }
    },
    look: join,
    beat,
    replicas: () => ({ highestSeen, everSeen }),
    isWhole: () => lostAtMs <= 0 && (warmAtMs === 0 || serverMs(clock.now().monotonicMs) >= warmAtMs),
  };
}

/** Until when what was taken before `lostAtMs` could still count. */
function owedUntil({ terms, hold }: BucketCharge, lostAtMs: number): number {
  switch (terms.kind) {
    case 'rate':
      return lostAtMs + Math.ceil((terms.burst * terms.periodMs) / terms.limit);
    case 'window':
      return terms.windows?.at(lostAtMs).endMs ?? Number.MAX_SAFE_INTEGER;
    case 'concurrency':
      return lostAtMs + (hold?.ttlMs ?? 0);
  }
}

function cold(why: string): StoreFault {
  return new StoreFault('cold', `the quota store lost its state: ${why}`);
}
