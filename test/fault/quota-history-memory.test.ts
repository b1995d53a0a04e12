import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { createMemoryTable } from '../../src/quota/memory/memory-table.ts';
import { checkHistory } from '../support/history-checker.ts';
import { parseHistory } from '../support/quota-history/history.ts';
import { MEMORY_STORE } from '../support/quota-history/memory-config.ts';
import type { MemoryWorkerData } from '../support/quota-history/memory-worker.ts';
import { createScenario, termsOf } from '../support/quota-history/scenario.ts';
import { caseCount, seedOf } from '../support/seed.ts';

/** SECURITY row 15, the memory store: eight threads, one table, 100,000 operations. */
const WORKERS = 8;
const PER_SECOND = 20_000;

const running: Worker[] = [];
afterAll(async () => {
  await Promise.all(running.map((worker) => worker.terminate()));
});

test('eight threads on one memory table leave a history that is linearisable, over by 0', async () => {
  const seed = seedOf('quota history, memory');
  const operations = Math.ceil(caseCount(100_000) / WORKERS);
  const table = createMemoryTable({ store: MEMORY_STORE, settleHorizonSeconds: 60, key: randomBytes(16) });
  const start = new Int32Array(new SharedArrayBuffer(4));
  const texts: Promise<string>[] = [];
  const ready: Promise<void>[] = [];
  for (let worker = 0; worker < WORKERS; worker += 1) {
    const workerData: MemoryWorkerData = {
      table,
      worker,
      workers: WORKERS,
      seed: seed + worker,
      operations,
      perSecond: PER_SECOND,
      start,
    };
    const thread = new Worker(new URL('../support/quota-history/memory-worker.ts', import.meta.url), { workerData });
    running.push(thread);
    const { promise, resolve } = Promise.withResolvers<void>();
    ready.push(promise);
    texts.push(
      new Promise((done, fail) => {
        thread.on('message', (message) => (message === 'ready' ? resolve() : done(String(message))));
        thread.on('error', fail);
        thread.on('exit', () => fail(new Error('a thread ended without a history')));
      }),
    );
  }
  await Promise.race([Promise.all(ready), Promise.all(texts)]);
  const startedMs = performance.now();
  Atomics.store(start, 0, 1);
  Atomics.notify(start, 0);
  const terms = termsOf(createScenario('memory', WORKERS, PER_SECOND));
  const lines = await Promise.all(texts);
  const ranMs = performance.now() - startedMs;
  const verdict = checkHistory(
    lines.flatMap((text) => parseHistory(text, terms)),
    { oneClock: false },
  );
  const { operations: count, taken, refused, over, faults } = verdict;
  const checkedMs = performance.now() - startedMs - ranMs;
  console.info(
    `memory: ${count} operations in ${Math.round(ranMs)} ms, ${taken} taken, ${refused} refused; over by ${over}, ${faults.length} faults; checked in ${Math.round(checkedMs)} ms`,
  );
  expect(faults.slice(0, 20)).toEqual([]);
  expect(over).toBe(0);
  expect(Math.min(taken, refused)).toBeGreaterThan(count / 20);
});
