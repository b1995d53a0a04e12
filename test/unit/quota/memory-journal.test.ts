import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { createMemoryStore, type MemoryStoreEvent } from '../../../src/quota/memory/memory-single.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { stormCharges } from './fixtures/memory-storm.ts';

const DAY_MS = 86_400_000;
const day = (epochMs: number) => {
  const startMs = Math.floor(epochMs / DAY_MS) * DAY_MS;
  return { startMs, endMs: startMs + DAY_MS };
};

function terms(id: string, more: Partial<BucketTerms> = {}): BucketTerms {
  return {
    id,
    kind: 'window',
    limit: 100,
    burst: 100,
    periodMs: 1,
    windows: { at: day },
    region: 'callers',
    scope: 'tenant',
    ...more,
  };
}

const charge = (of: BucketTerms, cost: number, hold?: BucketCharge['hold']): BucketCharge => ({
  terms: of,
  cost,
  enforced: true,
  refundable: true,
  ...(hold === undefined ? {} : { hold }),
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-memory-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function open(folder: string, clock: ManualClock, write?: (file: number, text: string) => number) {
  const events: MemoryStoreEvent[] = [];
  const store = createMemoryStore({
    config: {
      store: {
        kind: 'memory',
        max_buckets: 1024,
        max_outsider_buckets: 1024,
        max_reservations: 64,
        key_prefix: '',
        cold_start_seconds: 0,
      },
      data_dir: folder,
      settle_horizon_seconds: 900,
    },
    clock,
    startTimer: clock.startTimer,
    report: (event) => events.push(event),
    ...(write === undefined ? {} : { write }),
  });
  await store.start();
  const newId = () => createReservationId(clock.now().epochMs, randomBytes, 'tenant');
  return {
    store,
    events,
    stop: () => store.stop(),
    take: (...charges: readonly BucketCharge[]) => {
      const id = newId();
      return { id, answer: store.take({ id, plans: [charges], note: '' }, clock.now()) };
    },
    left: async (of: BucketTerms) => (await store.peek([of], clock.now()))[0]?.remaining,
  };
}

test('windows are after a restart what they were, and holds that were open are charged where they would be', async () => {
  const folder = newFolder();
  const clock = createManualClock();
  const first = await open(folder, clock);
  const [used, held, dropped, settled] = ['used', 'held', 'dropped', 'settled'].map((id) => terms(id));
  const outsider = terms('outsider', { region: 'outsiders' });
  if (used === undefined || held === undefined || dropped === undefined || settled === undefined) throw new Error();
  first.take(charge(used, 7), charge(outsider, 3));
  first.take(charge(held, 20, { ttlMs: 60_000, onExpiry: 'charge' }));
  first.take(charge(dropped, 20, { ttlMs: 60_000, onExpiry: 'release' }));
  const { id } = first.take(charge(settled, 20, { ttlMs: 60_000, onExpiry: 'charge' }));
  await first.store.settle(id, [4], clock.now());
  await first.stop();

  const second = await open(folder, clock);
  expect(second.events).toEqual([{ kind: 'restored', restored: { windows: 4, corrupt: 0 } }]);
  expect(await Promise.all([used, held, dropped, settled, outsider].map(second.left))).toEqual([93, 80, 100, 96, 97]);
  second.take(charge(used, 1));
  await second.stop();

  clock.advance(DAY_MS);
  const third = await open(folder, clock);
  expect(third.events).toEqual([{ kind: 'restored', restored: { windows: 0, corrupt: 0 } }]);
  expect(await third.left(used)).toBe(100);
  await third.stop();
});

test('a torn tail is cut off, a damaged line put aside and told of, and the rest restored', async () => {
  const folder = newFolder();
  const clock = createManualClock();
  const first = await open(folder, clock);
  first.take(charge(terms('first'), 10));
  first.take(charge(terms('second'), 10));
  await first.stop();
  const file = join(folder, 'memory', 'windows');
  const [line = '', ...rest] = readFileSync(file, 'latin1').split('\n');
  writeFileSync(file, [line.replace(/10$/, '90'), ...rest].join('\n'));
  appendFileSync(file, '0123abcd torn');
  const second = await open(folder, clock);
  expect(second.events).toEqual([{ kind: 'restored', restored: { windows: 1, corrupt: 1 } }]);
  expect(readFileSync(join(folder, 'memory', 'windows.corrupt'), 'latin1')).toContain(' 90\n');
  await second.stop();
});

test('everything is its owner’s alone, and no second process is let into the folder', async () => {
  const folder = newFolder();
  const clock = createManualClock();
  const first = await open(folder, clock);
  for (const name of ['key', 'windows', 'lock']) {
    expect(statSync(join(folder, 'memory', name)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(join(folder, 'memory')).mode & 0o777).toBe(0o700);
  await expect(open(folder, clock)).rejects.toThrow(/is in use by process/);
  await first.stop();
  expect(existsSync(join(folder, 'memory', 'lock'))).toBe(false);
});

test.each(['damaged', 'missing'])(
  'a key that is %s is not replaced by another, under which nothing would be found',
  async (how) => {
    const folder = newFolder();
    const clock = createManualClock();
    await (await open(folder, clock)).stop();
    const key = join(folder, 'memory', 'key');
    if (how === 'damaged') writeFileSync(key, 'abc');
    else rmSync(key);
    await expect(open(folder, clock)).rejects.toThrow(new RegExp(`is ${how}`));
  },
);

test('while nothing can be written, windows are refused and all else goes on; nothing taken before is forgotten', async () => {
  const folder = newFolder();
  const clock = createManualClock();
  let full = false;
  const { writeSync } = await import('node:fs');
  const opened = await open(folder, clock, (file, text) => {
    if (full) return writeSync(file, text.slice(0, 10));
    return writeSync(file, text);
  });
  const [month, fast] = [terms('month'), terms('fast', { kind: 'rate', periodMs: 1000 })];
  opened.take(charge(month, 1));
  await new Promise((resolve) => setImmediate(resolve));
  full = true;
  opened.take(charge(month, 10));
  await new Promise((resolve) => setImmediate(resolve));
  expect(opened.events.at(-1)).toMatchObject({ kind: 'not_kept' });
  clock.advance(1000);
  expect(() => opened.take(charge(month, 1))).toThrow(/cannot be written/);
  expect(opened.take(charge(fast, 1)).answer).toMatchObject({ kind: 'taken' });
  full = false;
  expect(() => opened.take(charge(month, 1))).toThrow(/cannot be written/);
  clock.advance(1000);
  expect(opened.take(charge(month, 1)).answer).toMatchObject({ kind: 'taken' });
  expect(opened.events.at(-1)).toEqual({ kind: 'kept' });
  await opened.stop();

  const again = await open(folder, clock);
  expect(await again.left(month)).toBe(88);
  await again.stop();
});

test('a store that is not started, or stopped, takes nothing', async () => {
  const clock = createManualClock();
  const opened = await open(newFolder(), clock);
  await opened.stop();
  expect(() => opened.take(charge(terms('a'), 1))).toThrow(/not started/);
});

test('after kill -9 at 500 takes a second a budget is what it was, but for the calls in flight', async () => {
  const folder = newFolder();
  const script = new URL('./fixtures/memory-journal-child.ts', import.meta.url);
  const child = spawn(process.execPath, [script.pathname, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let taken = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    taken = Number(line);
    if (taken >= 250 && child.kill('SIGKILL')) break;
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  const clock = createManualClock({ epochMs: Date.now() });
  const after = await open(folder, clock);
  const [requests] = stormCharges(0, 1_000_000);
  const used = 1_000_000 - ((await after.left(requests.terms)) ?? 0);
  // One turn of the event loop is in flight: what was said may not be written yet, what was written not yet read here.
  expect(used).toBeGreaterThanOrEqual(taken - 5);
  expect(used).toBeLessThanOrEqual(taken + 500);
  await after.stop();
}, 60_000);
