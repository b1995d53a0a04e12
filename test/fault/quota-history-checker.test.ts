import { describe, expect, test } from 'vitest';
import type { BucketCharge, BucketState } from '../../src/quota/bucket.ts';
import type { BucketStore } from '../../src/quota/bucket-store.ts';
import { checkHistory, type HistoryVerdict } from '../support/history-checker.ts';
import { runClient } from '../support/quota-history/client.ts';
import type { RecordedOperation } from '../support/quota-history/history.ts';
import { createInterleavedStore, createInterleaving, delayed } from '../support/quota-history/interleaved-store.ts';
import { createScenario } from '../support/quota-history/scenario.ts';
import { createReferenceBucketStore } from '../support/reference-bucket-store.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';

/** SECURITY row 15: what the checker of histories lets pass, and what it catches. */
const CLIENTS = 8;
const OPERATIONS = 2_000;

describe('the history checker', () => {
  test('lets a store pass that is right, however its callers interleave', async () => {
    const seed = seedOf('quota history, right stores');
    for (let run = 0; run < Math.max(2, caseCount(5)); run += 1) {
      const reference = await record(seed + run, (pause) => delayed(createReferenceBucketStore(), pause));
      const interleaved = await record(seed + run, (pause) => createInterleavedStore('none', pause));
      expect([reference.faults, interleaved.faults]).toEqual([[], []]);
      expect(Math.min(reference.taken, reference.refused)).toBeGreaterThan(OPERATIONS / 20);
      expect([reference.over, interleaved.over]).toEqual([0, 0]);
    }
  });

  test.each([
    ['check-then-count', /was taken and does not fit: over by/],
    ['refund-twice', /was settled 2 times|was written by no operation that could have/],
    ['stale-drain', /was told level before \d+ where the arithmetic has/],
  ] as const)('catches %s', async (flaw, fault) => {
    const seed = seedOf(`quota history, ${flaw}`);
    const runs = Math.max(2, caseCount(5));
    let first = '';
    for (let run = 0; run < runs; run += 1) {
      const { faults } = await record(seed + run, (pause) => createInterleavedStore(flaw, pause));
      const found = faults.find((one) => fault.test(one));
      expect(found, faults.join('; ')).toBeDefined();
      first = found ?? first;
    }
    console.info(`${flaw}: caught in ${runs} of ${runs} runs, such as: ${first}`);
  });

  test.each<readonly [string, readonly Told[], RegExp | undefined]>([
    ['passes two takes in a row', [told(0, 1, 1), told(2, 3, 2)], undefined],
    ['passes two that overlap, whichever was first', [told(0, 9, 2), told(1, 8, 1)], undefined],
    ['catches a version that was written twice', [told(0, 1, 1), told(2, 3, 1)], /was written twice/],
    ['catches a version that nobody wrote', [told(0, 1, 1), told(2, 3, 3)], /was written by no operation/],
    ['catches an order that time contradicts', [told(0, 1, 2), told(2, 3, 1)], /had ended before something began/],
    [
      'catches a write that was lost',
      [told(0, 1, 1), { ...told(2, 3, 2), level: 1 }],
      /level before 0 where the arithmetic has 1/,
    ],
    ['catches a refusal of what fits', [told(0, 1, 1), { ...told(2, 3, 1), taken: false }], /told fits false/],
  ])('%s', (_title, history, fault) => {
    const { faults } = checkHistory(history.map(toOperation), { oneClock: false });
    if (fault === undefined) expect(faults).toEqual([]);
    else expect(faults.join('; ')).toMatch(fault);
  });

  test.each<readonly [string, Pick<RecordedOperation, 'startUs' | 'endUs'>, number, RegExp | undefined]>([
    ['passes a renewal that finds a hold gone by a later clock', { startUs: 2, endUs: 9 }, 25, undefined],
    ['catches a renewal that ended before the hold did', { startUs: 2, endUs: 3 }, 25, /renew .* not written yet/],
    ['catches a renewal of a living hold that wrote nothing', { startUs: 2, endUs: 9 }, 24, /by no operation/],
  ])('%s', (_title, when, laterMs, fault) => {
    // The hold of one unit ends at 25, as a charge; the renewal was asked at 10. The last one sees no third version.
    const at = (ms: number): Pick<RecordedOperation, 'steadyMs' | 'epochMs'> => ({
      steadyMs: [ms, ms],
      epochMs: [ms, ms],
    });
    const charge = { ...chargeOf('one'), hold: { ttlMs: 20, onExpiry: 'charge' } } as const;
    const level = laterMs < 25 ? 1 : 2;
    const after = { ...stateOf(2), level, held: 2 - level, resetMs: 1000 - laterMs };
    const take = (id: string, one: BucketCharge, state: BucketState): RecordedOperation['step'] => ({
      kind: 'take',
      id,
      plans: [[one]],
      answer: { kind: 'taken', plan: 0, states: [state] },
    });
    const history: readonly RecordedOperation[] = [
      { client: 0, startUs: 0, endUs: 1, ...at(5), step: take('held', charge, { ...stateOf(1), level: 0, held: 1 }) },
      { client: 1, startUs: 4, endUs: 5, ...at(laterMs), step: take('later', chargeOf('one'), after) },
      { client: 2, ...when, ...at(10), step: { kind: 'renew', id: 'held', ttlMs: 500, answer: 'renewed' } },
      {
        client: 3,
        startUs: 10,
        endUs: 11,
        ...at(laterMs),
        step: { kind: 'peek', buckets: [charge.terms], answer: [after] },
      },
    ];
    const { faults } = checkHistory(history, { oneClock: false });
    if (fault === undefined) expect(faults).toEqual([]);
    else expect(faults.join('; ')).toMatch(fault);
  });

  test.each<readonly [string, number, number, readonly Told[], RegExp | undefined]>([
    ['passes what gave back where nothing was written yet', 0, -3, [told(2, 3, 1)], undefined],
    ['passes what gave back while the first was written', 1, -3, [told(0, 5, 1)], undefined],
    [
      'catches what gave back later and is not there',
      2,
      -1,
      [told(0, 1, 1), told(4, 5, 2)],
      /charge .* not written yet/,
    ],
    ['catches a charge before all others that is not there', 0, 3, [told(2, 3, 1)], /charge .* not written yet/],
  ])('%s', (_title, startUs, cost, history, fault) => {
    const given: RecordedOperation = {
      ...toOperation(told(startUs, startUs + 1, 0), 9),
      step: { kind: 'charge', charges: [{ ...chargeOf('one'), cost }] },
    };
    const { faults } = checkHistory([given, ...history.map(toOperation)], { oneClock: false });
    if (fault === undefined) expect(faults).toEqual([]);
    else expect(faults.join('; ')).toMatch(fault);
  });

  test('catches two buckets whose orders contradict each other', () => {
    const take = (client: number, first: number, second: number): RecordedOperation => ({
      ...toOperation(told(0, 9, first), client),
      step: {
        kind: 'take',
        id: `take${client}`,
        plans: [[chargeOf('one'), chargeOf('two')]],
        answer: { kind: 'taken', plan: 0, states: [stateOf(first), stateOf(second)] },
      },
    });
    expect(checkHistory([take(0, 1, 2), take(1, 2, 1)], { oneClock: false }).faults.join()).toMatch(
      /orders of two buckets/,
    );
    expect(checkHistory([take(0, 1, 1), take(1, 2, 2)], { oneClock: false }).faults).toEqual([]);
  });
});

/** A take of one unit from a window of ten, and what was told of it. */
interface Told {
  readonly startUs: number;
  readonly endUs: number;
  readonly version: number;
  readonly level: number;
  readonly taken: boolean;
}

function told(startUs: number, endUs: number, version: number): Told {
  return { startUs, endUs, version, level: version, taken: true };
}

function toOperation({ startUs, endUs, version, level, taken }: Told, client: number): RecordedOperation {
  const state = { ...stateOf(version), level, remaining: 10 - level, fits: taken };
  return {
    client,
    startUs,
    endUs,
    steadyMs: [5, 5],
    epochMs: [5, 5],
    step: {
      kind: 'take',
      id: `take${client}`,
      plans: [[chargeOf('one')]],
      answer: taken ? { kind: 'taken', plan: 0, states: [state] } : { kind: 'exceeded', states: [[state]] },
    },
  };
}

function chargeOf(id: string): BucketCharge {
  const windows = { at: () => ({ startMs: 0, endMs: 1000 }) };
  const terms = {
    id,
    kind: 'window',
    limit: 10,
    burst: 10,
    periodMs: 1,
    windows,
    region: 'callers',
    scope: 'tenant',
  } as const;
  return { terms, cost: 1, enforced: true, refundable: true };
}

function stateOf(version: number): BucketState {
  return { limit: 10, remaining: 10 - version, held: 0, fits: true, waitMs: 0, resetMs: 995, version, level: version };
}

async function record(seed: number, make: (pause: () => Promise<void>) => BucketStore): Promise<HistoryVerdict> {
  const random = createRandom(seed);
  const { pause, now, nowUs, run } = createInterleaving(random);
  const store = make(pause);
  const scenario = createScenario('mutants', CLIENTS, 300);
  const history: RecordedOperation[] = [];
  const open: Parameters<typeof runClient>[0]['open'] = [];
  const clients = Array.from({ length: CLIENTS }, (_, client) =>
    runClient({
      store,
      scenario,
      client,
      random: createRandom(seed * CLIENTS + client),
      operations: OPERATIONS / CLIENTS,
      now,
      nowUs,
      clockSlackMs: 0,
      record: (operation) => history.push(operation),
      open,
    }),
  );
  await run(clients);
  return checkHistory(history, { oneClock: false });
}
