import { beforeEach, describe, expect, test } from 'vitest';
import type { LedgerCharge, SettledEvent } from '../../../src/quota/ledger/ledger-event.ts';
import type { SettleAnswer } from '../../../src/quota/settlement/settlement-answer.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { idOf, START_MS } from './ledger-fixtures.ts';
import {
  bucketTerms,
  createMemoryLedger,
  createReplica,
  createTroubledStore,
  HORIZON_SECONDS,
  type MemoryLedger,
  planOf,
  type Replica,
  reserve,
  settleDown,
  type TroubledStore,
} from './settlement-world.ts';

let clock: ManualClock;
let store: TroubledStore;
let ledger: MemoryLedger;
let replica: Replica;
const ID = idOf(1);
/** A hold of 60 s, and the horizon after its end. */
const CLOSED_MS = (60 + HORIZON_SECONDS) * 1000;
const usage = (prompt: number, completion: number) => ({ prompt_tokens: prompt, completion_tokens: completion });

beforeEach(async () => {
  clock = createManualClock({ epochMs: START_MS });
  store = createTroubledStore();
  ledger = createMemoryLedger();
  replica = createReplica(store, clock, ledger);
  await replica.settlement.start();
});

/** Charged and held of a bucket. */
async function standing(name = 'tokens_month'): Promise<{ readonly level: number; readonly held: number }> {
  const [state] = await store.peek([bucketTerms(name)], clock.now());
  return { level: state?.level ?? -1, held: state?.held ?? -1 };
}

const outcome = (answer: SettleAnswer) =>
  answer.status === 200 ? `200 ${answer.body.outcome}` : `${answer.status} ${answer.reason}`;
const settle = async (id = ID, given: unknown = usage(100, 20)) => outcome(await replica.settlement.settle(id, given));
const kinds = () => ledger.events.map((event) => (event.event === 'rejected' ? event.reason : event.event));
const tick = async (ms = 1_000) => {
  clock.advance(ms);
  await settleDown();
};

describe('a settle', () => {
  test('is in the ledger, replaces the hold in the store, is learned from and drops what was cached', async () => {
    const plan = planOf(
      { name: 'tokens_month' },
      {
        name: 'budget',
        unit: 'nano_usd',
        cost: 4_000_000,
        prices: { input: 150_000_000, cached: 75_000_000, output: 600_000_001 },
      },
      { name: 'parallel', kind: 'concurrency', unit: 'requests', calendar: undefined, zone: undefined, cost: 1 },
    );
    await reserve(store, replica.settlement, clock, ID, plan);
    expect(await standing()).toEqual({ level: 0, held: 4096 });
    const answer = await replica.settlement.settle(ID, {
      ...usage(100, 20),
      prompt_tokens_details: { cached_tokens: 40 },
    });
    const charges: readonly LedgerCharge[] = [
      { name: 'tokens_month', unit: 'tokens', held: 4096, cost: 120 },
      // 60 × 150 + 40 × 75 + 20 × 600.000001
      { name: 'budget', unit: 'nano_usd', held: 4_000_000, cost: 24_001 },
      { name: 'parallel', unit: 'requests', held: 1, cost: 1 },
    ];
    expect(answer).toEqual({
      status: 200,
      body: { outcome: 'settled', reservation_id: ID, charges, ledger: true },
    });
    expect(await standing()).toEqual({ level: 120, held: 0 });
    expect(ledger.events).toEqual([
      {
        event: 'settled',
        id: ID,
        atMs: START_MS,
        tenant: 'tenant-a',
        model: 'llama-3-8b',
        usage: { shape: 'openai_chat', input: 60, cached: 40, output: 20 },
        charges,
      } satisfies SettledEvent,
    ]);
    expect(replica.learned).toEqual([
      { tenant: 'tenant-a', model: 'llama-3-8b', name: 'tokens_month', used: 120 },
      { tenant: 'tenant-a', model: 'llama-3-8b', name: 'budget', used: 24_001 },
    ]);
    expect(replica.dropped).toEqual(['tenant-a']);
  });

  test('counts an overrun as a debt', async () => {
    await reserve(store, replica.settlement, clock, ID);
    expect(await settle(ID, usage(10_000, 1))).toBe('200 settled');
    expect(await standing()).toEqual({ level: 10_001, held: 0 });
  });

  test('after the expiry of the hold replaces what was charged for it', async () => {
    await reserve(store, replica.settlement, clock, ID);
    clock.advance(600_000);
    expect(await standing()).toEqual({ level: 4096, held: 0 });
    expect(await settle()).toBe('200 settled');
    expect(await standing()).toEqual({ level: 120, held: 0 });
  });

  test('that comes twice counts once, in another API’s words too; one that says otherwise is a conflict', async () => {
    await reserve(store, replica.settlement, clock, ID);
    expect(await Promise.all([settle(), settle(), settle()])).toEqual(['200 settled', '200 already', '200 already']);
    expect(await settle(ID, { input_tokens: 100, output_tokens: 20 })).toBe('200 already');
    expect(await settle(ID, usage(100, 21))).toBe('409 conflict');
    expect(kinds()).toEqual(['settled', 'conflict']);
    expect(await standing()).toEqual({ level: 120, held: 0 });
    expect(replica.learned).toHaveLength(1);
  });

  test('works without a ledger, and says so', async () => {
    const bare = createReplica(store, clock);
    await bare.settlement.start();
    await reserve(store, bare.settlement, clock, ID);
    const answer = await bare.settlement.settle(ID, usage(1, 1));
    expect(answer).toMatchObject({ status: 200, body: { outcome: 'settled', ledger: false } });
    expect(outcome(await bare.settlement.settle(ID, usage(1, 1)))).toBe('200 already');
    expect(outcome(await bare.settlement.settle(ID, usage(1, 2)))).toBe('409 conflict');
    store.trouble = 'lost';
    const other = idOf(2);
    await reserve(store, bare.settlement, clock, other);
    expect(outcome(await bare.settlement.settle(other, usage(1, 1)))).toBe('503 store_unavailable');
    store.trouble = 'none';
    expect(outcome(await bare.settlement.settle(other, usage(1, 1)))).toBe('200 settled');
  });
});

describe('a stream that is longer than the settle horizon', () => {
  const stream = async (seconds: number) => {
    await reserve(store, replica.settlement, clock, ID);
    for (let at = 0; at < seconds; at += 50) {
      clock.advance(50_000);
      expect(outcome(await replica.settlement.renew(ID, 60))).toBe('200 renewed');
    }
  };

  test('is settled while its hold is live, for what it used', async () => {
    await stream(1000);
    expect(await settle(ID, usage(10, 100_000))).toBe('200 settled');
    expect(await settle(ID, usage(10, 100_000))).toBe('200 already');
    expect(await standing()).toEqual({ level: 100_010, held: 0 });
    expect(kinds()).toEqual(['settled']);
  });

  test.each([
    [0, '200 settled', ['settled']],
    [1, '410 late', ['late']],
  ])('may be settled for one horizon after the hold, and %i ms later is %s', async (ms, answer, lines) => {
    await stream(850);
    clock.advance(60_000 + HORIZON_SECONDS * 1000 + ms);
    expect(await settle(ID, usage(10, 100_000))).toBe(answer);
    expect(kinds()).toEqual(lines);
    expect(await standing()).toEqual({ level: ms === 0 ? 100_010 : 4096, held: 0 });
  });

  test('is so at a replica that never saw it, and its end is written down by the other only if nobody does', async () => {
    const other = createReplica(store, clock, createMemoryLedger());
    await stream(1000);
    expect(outcome(await other.settlement.settle(ID, usage(5, 5)))).toBe('200 settled');
    for (let second = 0; second < 20; second += 1) await tick(100_000);
    expect(kinds()).toEqual([]);
  });

  test('is written down as expired after the horizon behind its renewed end, not before', async () => {
    await stream(1000);
    await tick(60_000 + HORIZON_SECONDS * 1000);
    expect(kinds()).toEqual([]);
    for (let second = 0; second < 5; second += 1) await tick();
    expect(kinds()).toEqual(['expired']);
  });
});

describe('refused are', () => {
  test.each<[string, string, unknown, string, string | undefined]>([
    ['no reservation id', 'x', usage(1, 1), '400 malformed', undefined],
    ['an id in capitals', ID.toUpperCase(), usage(1, 1), '400 malformed', undefined],
    ['an id that never took', idOf(7), usage(1, 1), '404 unknown', 'unknown'],
    ['an id just within the horizon', idOf(7, START_MS - 900_000), usage(1, 1), '404 unknown', 'unknown'],
    ['an id beyond the horizon', idOf(7, START_MS - 900_001), usage(1, 1), '410 late', 'late'],
    ['an id a minute ahead', idOf(7, START_MS + 60_000), usage(1, 1), '404 unknown', 'unknown'],
    ['an id further ahead', idOf(7, START_MS + 60_001), usage(1, 1), '410 late', 'late'],
    ['a bad usage', ID, usage(-1, 1), '422 bad_usage', 'bad_usage'],
    ['a usage of nothing', ID, null, '422 bad_usage', 'bad_usage'],
  ])('%s', async (_name, id, given, expected, line) => {
    await reserve(store, replica.settlement, clock, ID);
    expect(await settle(id, given)).toBe(expected);
    expect(kinds()).toEqual(line === undefined ? [] : [line]);
    expect(await standing()).toEqual({ level: 0, held: 4096 });
    expect(replica.reports.filter(({ kind }) => kind !== 'answered')).toEqual([]);
  });

  test('a usage with a fault in one field, which is named', async () => {
    const answer = await replica.settlement.settle(ID, { prompt_tokens: 1.5, completion_tokens: 1 });
    expect(answer).toEqual({
      status: 422,
      reason: 'bad_usage',
      detail: '`usage.prompt_tokens` is no integer',
      field: 'usage.prompt_tokens',
    });
  });

  test('a usage whose cost leaves 2^53 - 1', async () => {
    const plan = planOf({ unit: 'nano_usd', prices: { input: 1e15, output: 1e15 } });
    await reserve(store, replica.settlement, clock, ID, plan);
    expect(await settle(ID, usage(1e12, 1))).toBe('422 bad_usage');
    expect(await standing()).toEqual({ level: 0, held: 4096 });
  });

  test('a reservation that was given back', async () => {
    const charges = await reserve(store, replica.settlement, clock, ID);
    await store.release(ID, charges, clock.now());
    expect(await settle()).toBe('409 released');
    expect(await standing()).toEqual({ level: 0, held: 0 });
  });

  test('usage of what nobody knows, which is written down with its numbers', async () => {
    expect(await settle(idOf(7))).toBe('404 unknown');
    expect(await settle(idOf(7, START_MS - 900_001))).toBe('410 late');
    const used = { shape: 'openai_chat', input: 100, cached: 0, output: 20 };
    expect(ledger.events).toMatchObject([
      { reason: 'unknown', usage: used },
      { reason: 'late', usage: used },
    ]);
  });

  test('ids that are guessed, with a bounded number of lines in the ledger', async () => {
    for (let number = 0; number < 500; number += 1) expect(await settle(idOf(100 + number))).toBe('404 unknown');
    expect(ledger.events).toHaveLength(100);
    clock.advance(1_000);
    for (let number = 0; number < 500; number += 1) await settle(idOf(100 + number));
    expect(ledger.events).toHaveLength(110);
  });
});

test('nothing of what was sent but its counts is in the ledger, in an answer or in a report', async () => {
  const canary = 'sk-canary-1234567890';
  await reserve(store, replica.settlement, clock, ID);
  const answers: SettleAnswer[] = [];
  for (const given of [
    canary,
    { [canary]: canary },
    { prompt_tokens: canary, completion_tokens: 1 },
    { ...usage(1, 1), prompt_tokens_details: canary },
    { ...usage(1, 1), [canary]: 1, prompt: canary },
    { ...usage(2, 1), [canary]: 1 },
  ]) {
    answers.push(await replica.settlement.settle(ID, given));
  }
  answers.push(await replica.settlement.settle(canary, usage(1, 1)));
  expect(answers.map(({ status }) => status)).toEqual([422, 422, 422, 422, 200, 409, 400]);
  expect(JSON.stringify([answers, ledger.events, replica.reports])).not.toContain(canary);
});

describe('where the store fails', () => {
  test('before it says what was reserved, nothing is written and the report can be sent again', async () => {
    await reserve(store, replica.settlement, clock, ID);
    store.trouble = 'down';
    expect(await settle()).toBe('503 store_unavailable');
    expect(kinds()).toEqual([]);
    store.trouble = 'none';
    expect(await settle()).toBe('200 settled');
    expect(kinds()).toEqual(['settled']);
  });

  test.each(['down', 'lost'] as const)(
    'after the ledger has it (%s), it is brought there later, once',
    async (trouble) => {
      await reserve(store, replica.settlement, clock, ID);
      ledger.onAppend = () => {
        store.trouble = trouble;
      };
      expect(await settle()).toBe('503 not_yet_applied');
      ledger.onAppend = () => undefined;
      expect(await settle()).toBe('503 not_yet_applied');
      expect(await settle(ID, usage(1, 1))).toBe('409 conflict');
      expect(kinds()).toEqual(['settled', 'conflict']);
      expect(await ledger.applied()).toBe(0);
      store.trouble = 'none';
      await tick();
      expect(await standing()).toEqual({ level: 120, held: 0 });
      expect(await settle()).toBe('200 already');
      expect(kinds()).toEqual(['settled', 'conflict']);
      expect(await ledger.applied()).toBe(1);
    },
  );

  test('and the process dies, the next one brings it there', async () => {
    await reserve(store, replica.settlement, clock, ID);
    ledger.onAppend = () => {
      store.trouble = 'down';
    };
    expect(await settle()).toBe('503 not_yet_applied');
    ledger.onAppend = () => undefined;
    store.trouble = 'none';
    replica = createReplica(store, clock, ledger);
    await replica.settlement.start();
    expect(await standing()).toEqual({ level: 0, held: 4096 });
    await tick();
    expect(await standing()).toEqual({ level: 120, held: 0 });
    expect(kinds()).toEqual(['settled']);
  });

  test('for one reservation only, the others go on', async () => {
    const ids = Array.from({ length: 40 }, (_, number) => idOf(number + 1));
    for (const id of ids) await reserve(store, replica.settlement, clock, id, planOf({ cost: 10 }));
    ledger.onAppend = () => {
      store.trouble = 'down';
    };
    for (const id of ids) {
      store.trouble = 'none';
      expect(await settle(id, usage(1, 0))).toBe('503 not_yet_applied');
    }
    ledger.onAppend = () => undefined;
    store.trouble = 'none';
    store.refused = new Set(ids.slice(0, 10));
    await tick();
    expect(await standing()).toEqual({ level: 30, held: 100 });
    store.refused = new Set();
    await tick();
    expect(await standing()).toEqual({ level: 40, held: 0 });
    expect(await ledger.applied()).toBe(40);
  });

  test('that of another kind is no crash either', async () => {
    store.look = () => {
      throw new TypeError('bug');
    };
    expect(await settle()).toBe('503 store_unavailable');
    expect(replica.reports).toContainEqual({ kind: 'store_failed', cause: new TypeError('bug') });
  });
});

test('where the ledger is full nothing is acknowledged and nothing charged, and it can be sent again', async () => {
  await reserve(store, replica.settlement, clock, ID);
  ledger.full = true;
  expect(await settle()).toBe('503 ledger_unavailable');
  expect(await standing()).toEqual({ level: 0, held: 4096 });
  ledger.full = false;
  expect(await settle()).toBe('200 settled');
  expect(kinds()).toEqual(['settled']);
});

describe('two replicas with one store', () => {
  test('settle the same once: who comes second writes nothing', async () => {
    const other = createReplica(store, clock, createMemoryLedger());
    await reserve(store, replica.settlement, clock, ID);
    expect(await settle()).toBe('200 settled');
    expect(outcome(await other.settlement.settle(ID, usage(100, 20)))).toBe('200 already');
    expect(outcome(await other.settlement.settle(ID, usage(1, 20)))).toBe('409 conflict');
  });

  test.each([
    [usage(100, 20), '200 already'],
    [usage(7, 7), '409 conflict'],
  ])('at the same moment, with %j after 120 tokens: %s, and one line counts', async (second, expected) => {
    const otherLedger = createMemoryLedger();
    const other = createReplica(store, clock, otherLedger);
    await reserve(store, replica.settlement, clock, ID);
    otherLedger.onAppend = async () => {
      otherLedger.onAppend = () => undefined;
      // The first replica is through just now.
      expect(await settle()).toBe('200 settled');
    };
    expect(outcome(await other.settlement.settle(ID, second))).toBe(expected);
    expect(otherLedger.events.map((event) => event.event)).toEqual(['settled', 'rejected']);
    expect(otherLedger.events[1]).toMatchObject({ reason: 'settled_elsewhere', id: ID });
    expect(await standing()).toEqual({ level: 120, held: 0 });
  });
});

describe('a reservation that nobody settles', () => {
  test('is written down as what was charged, once nobody may settle it any more', async () => {
    const plan = planOf(
      { name: 'tokens_month' },
      { name: 'other', reserve: { ttl_seconds: 60, on_expiry: 'release' } },
      { name: 'parallel', kind: 'concurrency', unit: 'requests', calendar: undefined, zone: undefined, cost: 1 },
    );
    await reserve(store, replica.settlement, clock, ID, plan);
    await tick(CLOSED_MS);
    expect(kinds()).toEqual([]);
    await tick(3_000);
    await tick(3_000);
    expect(ledger.events).toMatchObject([
      {
        event: 'expired',
        id: ID,
        charges: [
          { name: 'tokens_month', unit: 'tokens', held: 4096, cost: 4096 },
          { name: 'other', unit: 'tokens', held: 4096, cost: 0 },
          { name: 'parallel', unit: 'requests', held: 1, cost: 0 },
        ],
      },
    ]);
    expect(await standing()).toEqual({ level: 4096, held: 0 });
    expect(await settle()).toBe('410 late');
  });

  test.each<[string, () => Promise<unknown>]>([
    ['settled late', () => settle()],
    ['settled by another replica', () => createReplica(store, clock).settlement.settle(ID, usage(1, 1))],
    ['given back', async () => store.release(ID, [], clock.now())],
  ])('is not, where it was %s', async (_name, end) => {
    await reserve(store, replica.settlement, clock, ID);
    await tick(120_000);
    await end();
    await tick(CLOSED_MS);
    await tick(3_000);
    expect(kinds()).not.toContain('expired');
  });

  test.each<[string, () => Promise<void>]>([
    ['a stop', () => replica.settlement.stop()],
    ['a kill, ten seconds after the take', () => tick(10_000)],
  ])('is not forgotten over %s', async (_name, end) => {
    await reserve(store, replica.settlement, clock, ID);
    for (let second = 0; second < 10; second += 1) await tick();
    await end();
    const next = createReplica(store, clock, ledger);
    await next.settlement.start();
    replica.settlement.closed(ID);
    await tick(70_000);
    await tick(CLOSED_MS);
    await tick();
    expect(kinds()).toEqual(['expired']);
    expect(next.reports).toContainEqual({ kind: 'expired' });
  });

  test('waits for the store and for the ledger', async () => {
    await reserve(store, replica.settlement, clock, ID);
    await tick(70_000);
    store.trouble = 'down';
    await tick(CLOSED_MS);
    await tick();
    store.trouble = 'none';
    ledger.full = true;
    await tick();
    expect(kinds()).toEqual([]);
    ledger.full = false;
    await tick();
    await tick();
    expect(kinds()).toEqual(['expired']);
  });
});

describe('a renewal', () => {
  test('puts off the end of the hold', async () => {
    await reserve(store, replica.settlement, clock, ID);
    clock.advance(50_000);
    const answer = await replica.settlement.renew(ID, 60);
    expect(answer).toMatchObject({ status: 200, body: { outcome: 'renewed', expires_ms: START_MS + 110_000 } });
    clock.advance(50_000);
    expect(await standing()).toEqual({ level: 0, held: 4096 });
  });

  test.each<[string, string, number, string]>([
    ['no id', 'x', 60, '400 malformed'],
    ['an unknown id', idOf(9), 60, '404 unknown'],
    ['no time', ID, 0, '422 malformed'],
    ['more than a day', ID, 86_401, '422 malformed'],
    ['a part of a second', ID, 1.5, '422 malformed'],
  ])('with %s is refused', async (_name, id, ttl, expected) => {
    await reserve(store, replica.settlement, clock, ID);
    expect(outcome(await replica.settlement.renew(id, ttl))).toBe(expected);
  });

  test('of a hold that ended is refused, and so is one that the store does not answer', async () => {
    await reserve(store, replica.settlement, clock, ID);
    clock.advance(61_000);
    expect(outcome(await replica.settlement.renew(ID, 60))).toBe('409 ended');
    store.trouble = 'down';
    expect(outcome(await replica.settlement.renew(ID, 60))).toBe('503 store_unavailable');
  });
});
