import { describe, expect, test } from 'vitest';
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

  test.each(['check-then-count', 'refund-twice', 'stale-drain'] as const)('catches %s', async (flaw) => {
    const seed = seedOf(`quota history, ${flaw}`);
    for (let run = 0; run < Math.max(2, caseCount(5)); run += 1) {
      const verdict = await record(seed + run, (pause) => createInterleavedStore(flaw, pause));
      expect(verdict.faults).not.toEqual([]);
      console.info(`${flaw}: ${verdict.faults.length} faults, such as: ${verdict.faults[0]}`);
    }
  });
});

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
