import { expect, test } from 'vitest';
import type { BucketStore } from '../../../src/quota/bucket-store.ts';
import type { Ledger } from '../../../src/quota/ledger/ledger.ts';
import type { LedgerEvent } from '../../../src/quota/ledger/ledger-event.ts';
import { type BilledEvent, mergeEvent } from '../../../src/quota/ledger/ledger-merge.ts';
import type { Settlement } from '../../../src/quota/settlement/settlement.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { idOf, START_MS } from './ledger-fixtures.ts';
import {
  bucketTerms,
  createMemoryLedger,
  createReplica,
  createTroubledStore,
  HORIZON_SECONDS,
  planOf,
  reserve,
  settleDown,
} from './settlement-world.ts';

const HELD = 4096;

interface Result {
  readonly produced: number;
  readonly charged: number;
  readonly acknowledged: boolean;
  /** What both ledgers together bill, event by event. */
  readonly billed: readonly { readonly event: BilledEvent['event']; readonly cost: number }[];
}

/** One reservation, and everything that can happen to its end: lost, late, twice, by another, in any weather. */
async function schedule(random: Random): Promise<Result> {
  const clock = createManualClock({ epochMs: START_MS });
  const store = createTroubledStore();
  const ledgers = [createMemoryLedger(), createMemoryLedger()] as const;
  const replicas = ledgers.map((ledger) => startProcess(store, clock, ledger));
  for (const { settlement } of replicas) await settlement.start();
  const id = idOf(1);
  // Never as much as is held, so that one can tell what was charged.
  const produced = random.chance(0.7) ? random.below(HELD) : HELD + 1 + random.below(HELD);
  const usage = { prompt_tokens: produced, completion_tokens: 0 };
  const plan = planOf({});
  const [first] = replicas;
  if (first === undefined) throw new Error('there are two replicas');
  await reserve(store, first.settlement, clock, id, plan);

  let acknowledged = false;
  const reports: Promise<void>[] = [];
  const report = (at: number, given: unknown): void => {
    const process = replicas[at];
    if (process === undefined) return;
    const answered = process.settlement.settle(id, given).then(({ status }) => {
      if (status === 200) acknowledged = true;
    });
    reports.push(Promise.race([answered, process.killed]));
  };
  const steps = 1 + random.below(8);
  for (let step = 0; step < steps; step += 1) {
    const at = random.below(2);
    switch (random.below(9)) {
      case 0:
      case 1:
        report(at, usage);
        break;
      case 2:
        report(at, usage);
        report(random.below(2), usage);
        break;
      case 3:
        report(at, { prompt_tokens: -1, completion_tokens: 0 });
        break;
      case 4:
        store.trouble = random.pick(['none', 'down', 'lost']);
        break;
      case 5:
        for (const ledger of ledgers) ledger.full = random.chance(0.5);
        break;
      case 6:
        clock.advance(random.below(70_000));
        break;
      case 7:
        // Wherever it stands, and what only this process knew is gone.
        for (let turn = random.below(12); turn > 0; turn -= 1) await Promise.resolve();
        replicas[at]?.kill();
        replicas[at] = startProcess(store, clock, ledgers[at] ?? ledgers[0]);
        await replicas[at]?.settlement.start();
        break;
      case 8:
        await Promise.all(reports);
        break;
    }
  }
  await Promise.all(reports);
  store.trouble = 'none';
  for (const ledger of ledgers) ledger.full = false;
  for (let round = 0; round < 2; round += 1) {
    clock.advance(1_000);
    await settleDown();
  }
  clock.advance(HORIZON_SECONDS * 1000 + 70_000);
  await settleDown();
  clock.advance(1_000);
  await settleDown();
  const [state] = await store.peek([bucketTerms('tokens_month')], clock.now());
  expect(state?.held).toBe(0);
  return { produced, charged: state?.level ?? -1, acknowledged, billed: bill(ledgers.map(({ events }) => events)) };
}

interface TestProcess {
  readonly settlement: Settlement;
  readonly killed: Promise<void>;
  kill(): void;
}

/** A settlement whose timers, and whose answers of store and ledger, stop coming once it is killed. */
function startProcess(store: BucketStore, clock: ManualClock, ledger: Ledger): TestProcess {
  let alive = true;
  let end = (): void => undefined;
  const killed = new Promise<void>((resolve) => {
    end = resolve;
  });
  const unlessKilled = async <T>(work: () => T | Promise<T>): Promise<T> => {
    if (!alive) return new Promise<never>(() => undefined);
    try {
      return await work();
    } finally {
      if (!alive) await new Promise<never>(() => undefined);
    }
  };
  const { settlement } = createReplica(
    {
      ...store,
      look: (id, at) => unlessKilled(() => store.look(id, at)),
      settle: (id, used, at) => unlessKilled(() => store.settle(id, used, at)),
    },
    {
      ...clock,
      startTimer: (ms, late) => clock.startTimer(ms, () => (alive ? late() : undefined)),
    },
    {
      ...ledger,
      append: (event) => unlessKilled(() => ledger.append(event)),
      noteApplied: (seq) => unlessKilled(() => ledger.noteApplied(seq)),
    },
  );
  return {
    settlement,
    killed,
    kill: () => {
      alive = false;
      end();
    },
  };
}

/** As an export of both ledgers does it. */
function bill(ledgers: readonly (readonly LedgerEvent[])[]): Result['billed'] {
  let billed: BilledEvent | undefined;
  for (const events of ledgers) {
    const own = events.reduce<BilledEvent | undefined>(mergeEvent, undefined);
    if (own !== undefined) billed = mergeEvent(billed, own);
  }
  return billed === undefined ? [] : [{ event: billed.event, cost: billed.charges[0]?.cost ?? -1 }];
}

test('whatever happens to a settle, at least what was produced is charged, and once', async () => {
  const random = createRandom(seedOf('settle schedules'));
  const cases = caseCount(10_000);
  let acknowledged = 0;
  let lost = 0;
  let billedByRestarted = 0;
  for (let round = 0; round < cases; round += 1) {
    const result = await schedule(random);
    const { produced, charged, billed } = result;
    const what = `schedule ${round}: ${JSON.stringify(result)}`;
    // Exactly what was used where it was reported, else all that was held.
    expect([produced, HELD], what).toContain(charged);
    // A hold covers what may be produced, but for one that was cut to what is usual: then only a report can tell.
    if (produced <= HELD) expect(charged, what).toBeGreaterThanOrEqual(produced);
    if (result.acknowledged) {
      acknowledged += 1;
      expect(charged, what).toBe(produced);
      expect(billed, what).toEqual([{ event: 'settled', cost: produced }]);
    } else if (billed.length > 0) {
      expect(billed, what).toEqual([{ event: charged === produced ? 'settled' : 'expired', cost: charged }]);
      lost += 1;
    } else {
      billedByRestarted += 1;
    }
  }
  console.info(
    `settle schedules: ${cases}, ${acknowledged} acknowledged, ${lost} charged otherwise, ` +
      `${billedByRestarted} charged in the store alone, since the process that took was killed; 0 twice, 0 too little`,
  );
});
