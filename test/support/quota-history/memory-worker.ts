import { parentPort, workerData } from 'node:worker_threads';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import type { MemoryTable } from '../../../src/quota/memory/memory-table.ts';
import { createRandom } from '../seed.ts';
import { type OpenReservation, runClient } from './client.ts';
import { type RecordedOperation, toHistoryLine } from './history.ts';
import { createScenario } from './scenario.ts';

/** One of the threads that share a table. */
export interface MemoryWorkerData {
  readonly table: MemoryTable;
  readonly worker: number;
  readonly workers: number;
  readonly seed: number;
  readonly operations: number;
  readonly perSecond: number;
  /** Set to 1 when all are to begin. */
  readonly start: Int32Array;
}

// Whoever starts this thread passes just that.
const { table, worker, workers, seed, operations, perSecond, start } = workerData as MemoryWorkerData;
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);
const history: RecordedOperation[] = [];
const open: OpenReservation[] = [];
const store = openMemoryStore({ table, workerId: worker, patienceMs: 1_000 });
parentPort?.postMessage('ready');
Atomics.wait(start, 0, 0);
await runClient({
  store,
  scenario: createScenario('memory', workers, perSecond),
  client: worker,
  random: createRandom(seed),
  operations,
  now: () => ({ epochMs: Date.now(), monotonicMs: nowUs() / 1000 }),
  nowUs,
  clockSlackMs: 0,
  record: (operation) => history.push(operation),
  open,
});
parentPort?.postMessage(history.map(toHistoryLine).join('\n'));
