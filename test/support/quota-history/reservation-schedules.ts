import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { ChargePlan } from '../../../src/decision/charges.ts';
import type { Clock } from '../../../src/decision/ports.ts';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { type BucketStore, StoreFault } from '../../../src/quota/bucket-store.ts';
import { toNote } from '../../../src/quota/note.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';
import { createSettlement, type Settlement } from '../../../src/quota/settlement/settlement.ts';
import type { SettleAnswer } from '../../../src/quota/settlement/settlement-answer.ts';
import type { Random } from '../seed.ts';

/** What a reservation holds; what is produced is at most that. */
export const HELD = 100;

/** A replica: its way to the store, which tests cut, and what settles through it. */
export interface ScheduleReplica {
  readonly store: BucketStore;
  readonly settlement: Settlement;
}

export interface ScheduleWorld {
  readonly replicas: readonly ScheduleReplica[];
  readonly clock: Clock;
  readonly ttlMs: number;
  /** Lets time pass between two events of a reservation. */
  readonly pass: (random: Random) => Promise<void>;
}

/** One life of a reservation, as it went; {@link verdictOf} judges it when every hold has ended. */
export interface Life {
  readonly events: readonly string[];
  readonly tokens: BucketTerms;
  readonly streams: BucketTerms;
  /** How many tokens the caller got. */
  readonly produced: number;
  /** Whether its request was denied after the take, or given up before anybody was asked: then nothing was produced. */
  readonly released: boolean;
  /** Whether a report of the usage was answered 200. */
  readonly reported: boolean;
}

/** Cuts the connection in one of so many settles: before the store heard of it, or before its answer came. */
export function withCuts(store: BucketStore, random: Random): BucketStore {
  return {
    ...store,
    settle: async (id, used, at) => {
      const roll = random.next();
      if (roll < 0.2) throw new StoreFault('unreachable', 'cut before');
      const answer = await store.settle(id, used, at);
      if (roll < 0.4) throw new StoreFault('unknown_outcome', 'cut after');
      return answer;
    },
  };
}

export function createReplica(
  store: BucketStore,
  { clock, startTimer }: Pick<Parameters<typeof createSettlement>[0], 'clock' | 'startTimer'>,
): ScheduleReplica {
  const settlement = createSettlement({
    store,
    clock,
    startTimer,
    config: { settle_horizon_seconds: 900 },
    learned: () => {},
    dropCaches: () => {},
    report: () => {},
  });
  return { store, settlement };
}

/** Draws one life and lives it. `name` is unique, so that its buckets tell of it alone. */
export async function live(
  { replicas, clock, ttlMs, pass }: ScheduleWorld,
  name: string,
  random: Random,
): Promise<Life> {
  const events: string[] = [];
  const tokens = bucketTerms(`${name}:tokens`, 'window');
  const streams = bucketTerms(`${name}:streams`, 'concurrency');
  const hold = { ttlMs, onExpiry: 'charge' } as const;
  const charges: readonly BucketCharge[] = [
    { terms: tokens, cost: HELD, enforced: true, refundable: true, hold },
    { terms: streams, cost: 1, enforced: true, refundable: true, hold: { ttlMs, onExpiry: 'release' } },
  ];
  const id = createReservationId(clock.now().epochMs, (count) => Buffer.from(random.bytes(count)), 'tenant');
  const request = { id, plans: [charges], note: toNote('tenant', 'model', [PLAN]) };
  const any = (): ScheduleReplica => random.pick(replicas);
  const owner = any();
  const produced = random.pick([0, 1, HELD, random.below(HELD + 1)]);
  let reported = false;

  const settle = async (units = produced): Promise<SettleAnswer> => {
    const prompt = Math.min(units, 10);
    const answer = await any().settlement.settle(id, { prompt_tokens: prompt, completion_tokens: units - prompt });
    const outcome = answer.status === 200 ? answer.body.outcome : answer.reason;
    events.push(`settle ${units}: ${outcome}`);
    if (answer.status === 200 && units === produced) reported = true;
    return answer;
  };
  const release = async (by: ScheduleReplica): Promise<void> => {
    events.push('release');
    // A release that fails leaves the hold to expire.
    await Promise.resolve(by.store.release(id, charges, clock.now())).catch((error: unknown) =>
      events.push(String(error)),
    );
  };
  const end = (released: boolean): Life => ({
    events,
    tokens,
    streams,
    produced: released ? 0 : produced,
    released,
    reported,
  });

  const aborted = random.pick(['before the answer', 'after the take', 'never', 'never', 'never', 'never']);
  events.push(`aborted ${aborted}`);
  if (aborted === 'before the answer') {
    // Whoever gives it up may be heard before the take is.
    const take = async (): Promise<void> => void (await owner.store.take(request, clock.now()));
    if (random.chance(0.5)) await Promise.all([take(), release(owner)]);
    else await Promise.all([release(owner), take()]);
    return end(true);
  }
  const answer = await owner.store.take(request, clock.now());
  if (answer.kind !== 'taken') throw new Error(`a take was answered \`${answer.kind}\``);
  await pass(random);
  if (aborted === 'after the take') {
    if (random.chance(0.5)) await release(owner);
    // A denied request was never sent on; whoever reports usage for it is too late, or too early.
    else await Promise.all(random.chance(0.5) ? [release(owner), settle(0)] : [settle(0), release(owner)]);
    await release(owner);
    return end(true);
  }
  for (let renewals = random.below(3); renewals > 0; renewals -= 1) {
    const renewed = await any().settlement.renew(id, Math.max(1, Math.ceil(ttlMs / 1000)));
    events.push(`renew: ${renewed.status === 200 ? 'renewed' : renewed.reason}`);
    await pass(random);
  }
  if (random.chance(0.2)) {
    events.push('the settle is lost');
    return end(false);
  }
  const reports = 1 + random.below(3);
  if (random.chance(0.3)) await Promise.all(Array.from({ length: reports }, () => settle()));
  else for (let nth = 0; nth < reports; nth += 1) await settle();
  // What was not acknowledged is reported again until it is; now and then the gateway gives up.
  for (let tries = 0; !reported && tries < 50 && !random.chance(0.02); tries += 1) {
    await pass(random);
    await settle();
  }
  // Once more, by whoever, with whatever: nothing changes.
  if (reported && random.chance(0.5)) await settle(random.pick([0, produced, HELD]));
  if (reported && random.chance(0.3)) await release(any());
  if (reported && random.chance(0.2)) await any().settlement.renew(id, 1);
  return end(false);
}

/** What is wrong with how a life ended; to be asked when every hold has. */
export async function verdictOf(life: Life, store: BucketStore, clock: Clock): Promise<string | undefined> {
  const [tokens, streams] = await store.peek([life.tokens, life.streams], clock.now());
  if (tokens === undefined || streams === undefined) return 'nothing is told of its buckets';
  const { level: charged, held } = tokens;
  const told = `charged ${charged}, produced ${life.produced}: ${life.events.join(', ')}`;
  if (held !== 0 || streams.held !== 0) return `still held; ${told}`;
  if (charged < life.produced) return `less than was produced; ${told}`;
  if (life.reported && !life.released && charged !== life.produced) return `not what was reported; ${told}`;
  return charged === 0 || charged === life.produced || charged === HELD ? undefined : `not charged once; ${told}`;
}

const PLAN: ChargePlan = [
  {
    terms: parseChargeTerms({
      name: 'tokens',
      key: ['tenant'],
      unit: 'tokens',
      kind: 'window',
      calendar: 'month',
      zone: 'UTC',
      limit: 1e12,
      cost: HELD,
      reserve: { ttl_seconds: 60 },
      scope: 'tenant',
    }),
    key: ['tenant'],
  },
  {
    terms: parseChargeTerms({
      name: 'streams',
      key: ['tenant'],
      unit: 'requests',
      kind: 'concurrency',
      limit: 10,
      cost: 1,
      reserve: { ttl_seconds: 60, on_expiry: 'release' },
      scope: 'tenant',
    }),
    key: ['tenant'],
  },
];

function bucketTerms(id: string, kind: 'window' | 'concurrency'): BucketTerms {
  const limit = kind === 'window' ? 1e12 : 10;
  const plain = { id, kind, limit, burst: limit, periodMs: 1, region: 'callers', scope: 'tenant' } as const;
  return kind === 'window' ? { ...plain, windows: ERA } : plain;
}

/** No end of it comes in any run. */
const ERA = { at: () => ({ startMs: Date.UTC(2020, 0), endMs: Date.UTC(2060, 0) }) };
