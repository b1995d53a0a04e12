import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { checkHistory } from '../support/history-checker.ts';
import { startProgram } from '../support/programs.ts';
import { parseHistory, type RecordedOperation } from '../support/quota-history/history.ts';
import { createScenario, termsOf } from '../support/quota-history/scenario.ts';
import { caseCount, seedOf } from '../support/seed.ts';
import { startValkey } from '../support/valkey.ts';

/** SECURITY row 15, the Redis store: eight processes with two clients each on one server, 100,000 operations. */
const PROCESSES = 8;
const EACH = 2;
const CLIENTS = PROCESSES * EACH;
const PER_SECOND = 3_000;
const WORKER = fileURLToPath(new URL('../support/quota-history/valkey-worker.ts', import.meta.url));

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

describeWith(['valkey'], 'a history of a Valkey store', () => {
  test('of eight processes is linearisable, over by 0', async () => {
    const seed = seedOf('quota history, Valkey');
    const operations = Math.ceil(caseCount(100_000) / CLIENTS);
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-history-'));
    close.push(() => rm(folder, { recursive: true, force: true }));
    const valkey = await startValkey();
    close.push(() => valkey.remove());
    const programs = Array.from({ length: PROCESSES }, (_, worker) => {
      const numbers = [worker, EACH, CLIENTS, seed, operations, PER_SECOND].map(String);
      const program = startProgram(process.execPath, [WORKER, valkey.url, folder, ...numbers]);
      close.push(() => program.stop());
      return program;
    });
    await Promise.all(programs.map((program) => program.waitForLine((line) => line === 'ready')));
    const startedMs = performance.now();
    await writeFile(join(folder, 'go'), '');
    await Promise.all(programs.map((program) => program.waitForLine((line) => line === 'done', 600_000)));
    const ranMs = performance.now() - startedMs;
    const terms = termsOf(createScenario('valkey', CLIENTS, PER_SECOND));
    const history: RecordedOperation[] = [];
    for (let worker = 0; worker < PROCESSES; worker += 1) {
      for (const operation of parseHistory(await readFile(join(folder, `${worker}.jsonl`), 'utf8'), terms)) {
        history.push(operation);
      }
    }
    const { operations: count, taken, refused, over, faults } = checkHistory(history, { oneClock: true });
    const checkedMs = performance.now() - startedMs - ranMs;
    const unanswered = history.filter(({ endUs }) => endUs === null).length;
    console.info(
      `valkey: ${count} operations in ${Math.round(ranMs)} ms, ${taken} taken, ${refused} refused, ${unanswered} unanswered; over by ${over}, ${faults.length} faults; checked in ${Math.round(checkedMs)} ms`,
    );
    expect(faults.slice(0, 20)).toEqual([]);
    expect(over).toBe(0);
    expect(Math.min(taken, refused)).toBeGreaterThan(count / 20);
  });
});
