import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startProgram } from '../support/programs.ts';
import { MONTH, openCrashStore } from '../support/quota-history/crash-store.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { systemClock } from '../support/system-ports.ts';

/** SECURITY row 20, quotas: a process is killed at 500 takes a second, again and again, in one data folder. */
const WORKER = fileURLToPath(new URL('../support/quota-history/crash-worker.ts', import.meta.url));

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

test('month budget and ledger are after kill -9 what was answered before it, but for calls in flight', async () => {
  const random = createRandom(seedOf('quota crash'));
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-crash-'));
  close.push(() => rm(folder, { recursive: true, force: true }));
  const heard = createHearing();
  const kills = Math.max(2, caseCount(6));
  let inFlight = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const program = startProgram(process.execPath, [WORKER, folder]);
    close.push(() => program.stop());
    await program.waitForLine((line) => line === 'ready');
    await sleep(500 + random.below(1_500));
    program.signal('SIGKILL');
    await program.ended;
    heard.listen(program.lines());

    const { store, ledger } = openCrashStore(folder);
    await store.start();
    await ledger.start();
    const [state] = await store.peek([MONTH], systemClock.now());
    const level = state?.level ?? -1;
    const settled = new Map<string, number>();
    for await (const event of ledger.replay(0)) {
      if (event.event !== 'settled') continue;
      settled.set(event.id, (settled.get(event.id) ?? 0) + 1);
    }
    await ledger.stop();
    await store.stop();

    const { least, most, flying } = heard.range();
    inFlight = Math.max(inFlight, flying);
    expect(level).toBeGreaterThanOrEqual(least);
    expect(level).toBeLessThanOrEqual(most);
    expect(state?.held).toBe(0);
    expect(heard.acknowledged().filter((id) => settled.get(id) !== 1)).toEqual([]);
    expect([...settled.keys()].filter((id) => !heard.knows(id))).toEqual([]);
  }
  const { takes, settles } = heard.counts();
  console.info(
    `${kills} kills, ${takes} takes and ${settles} settles answered, none lost; at most ${inFlight} in flight`,
  );
  expect(takes).toBeGreaterThan(kills * 100);
});

interface Hearing {
  listen(lines: readonly string[]): void;
  /** Between what the level must be; `flying`: calls that nobody knows the outcome of. */
  range(): { readonly least: number; readonly most: number; readonly flying: number };
  acknowledged(): readonly string[];
  knows(id: string): boolean;
  counts(): { readonly takes: number; readonly settles: number };
}

/** Adds up what the killed processes said. */
function createHearing(): Hearing {
  const begun = new Map<string, { readonly units: number; readonly holds: boolean }>();
  const taken = new Set<string>();
  const using = new Map<string, number>();
  const settled = new Set<string>();
  return {
    listen: (lines) => {
      for (const line of lines) {
        const [what, id = '', units] = line.split(' ');
        if (what === 'take' || what === 'hold') begun.set(id, { units: Number(units), holds: what === 'hold' });
        else if (what === 'taken') taken.add(id);
        else if (what === 'settle') using.set(id, Number(units));
        else if (what === 'settled') settled.add(id);
        else if (what === 'failed') throw new Error(`a settle failed: ${line}`);
      }
    },
    range: () => {
      let least = 0;
      let most = 0;
      let flying = 0;
      for (const [id, { units }] of begun) {
        const used = using.get(id);
        if (settled.has(id)) {
          least += used ?? units;
          most += used ?? units;
        } else {
          // What is held when the process dies is charged; a settle that was under way may count already.
          least += taken.has(id) ? (used ?? units) : 0;
          most += units;
          if (!taken.has(id) || used !== undefined) flying += 1;
        }
      }
      return { least, most, flying };
    },
    acknowledged: () => [...settled],
    knows: (id) => using.has(id),
    counts: () => ({ takes: taken.size, settles: settled.size }),
  };
}
