import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LedgerFile, type LedgerFiles, systemFiles } from '../../src/quota/ledger/ledger-files.ts';
import { mergeEvents } from '../../src/quota/ledger/ledger-merge.ts';
import { verifyLedger } from '../../src/quota/ledger/ledger-verify.ts';
import { startProgram } from '../support/programs.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { createLedgerWorld, type LedgerWorld, settledEvent } from '../unit/quota/ledger-fixtures.ts';

let world: LedgerWorld;
beforeEach(async () => {
  world = await createLedgerWorld();
});
afterEach(() => world.close());

const segment = () => join(world.folder, '00000001.jsonl');

/** A ledger of so many settled events; answers its bytes. */
async function written(count: number): Promise<Buffer> {
  const ledger = await world.open();
  for (let number = 1; number <= count; number += 1) await ledger.append(settledEvent(number));
  await ledger.stop();
  return readFile(segment());
}

const numbers = async () => (await world.events()).map((event) => (event.event === 'settled' ? event.usage.input : -1));

describe('a ledger whose last line is torn', () => {
  test('at any byte keeps every line before it, loses nothing that was whole, and goes on', async () => {
    const bytes = await written(4);
    const last = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    for (let length = last; length <= bytes.length; length += 1) {
      await writeFile(segment(), bytes.subarray(0, length));
      const ledger = await world.open();
      await ledger.append(settledEvent(9));
      await ledger.stop();
      expect(await numbers()).toEqual(length >= bytes.length - 1 ? [1, 2, 3, 4, 9] : [1, 2, 3, 9]);
      expect((await verifyLedger(world.folder)).defects).toEqual([]);
    }
    expect(world.reports.every(({ kind }) => kind === 'torn')).toBe(true);
    expect(world.reports).toHaveLength(bytes.length - last - 2);
  });

  test('at any byte of its first line begins anew', async () => {
    const whole = await written(1);
    const head = whole.indexOf('\n') + 1;
    for (let length = 0; length < head; length += 1) {
      await writeFile(segment(), whole.subarray(0, length));
      const ledger = await world.open();
      await ledger.append(settledEvent(9));
      await ledger.stop();
      expect(await numbers()).toEqual([9]);
      expect((await verifyLedger(world.folder)).defects).toEqual([]);
    }
  });

  test.each([
    ['zeros', Buffer.alloc(4096)],
    ['garbage', Buffer.from('\u0000deadbeef","prev":"')],
  ])('by %s behind it is cut', async (_name, tail) => {
    await written(3);
    await appendFile(segment(), tail);
    expect(await numbers()).toEqual([1, 2, 3]);
    expect(world.reports).toEqual([{ kind: 'torn', segment: segment(), bytes: tail.length }]);
  });
});

describe('a damaged ledger', () => {
  test('with a flipped byte in any line loses at most that line, says which, and keeps a copy', async () => {
    const random = createRandom(seedOf('ledger flips'));
    const bytes = await written(6);
    const first = bytes.indexOf('\n') + 1;
    const cases = caseCount(400);
    let lost = 0;
    for (let round = 0; round < cases; round += 1) {
      const at = first + (round < 20 ? bytes.length - first - 1 - round : random.below(bytes.length - first));
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
      await writeFile(segment(), damaged);
      const struck = bytes.subarray(first, at).toString('latin1').split('\n').length;
      const kept = [1, 2, 3, 4, 5, 6].filter((number) => number !== struck);
      const { defects: seen, torn } = await verifyLedger(world.folder);
      // The end of the last line may as well be one that is being written.
      expect(seen.length > 0 || (torn && at === bytes.length - 1), `byte ${at}`).toBe(true);
      const ledger = await world.open();
      await ledger.append(settledEvent(9));
      await ledger.stop();
      const found = await numbers();
      // A damaged newline costs nothing.
      expect(found, `byte ${at}`).toEqual(bytes[at] === 0x0a ? [1, 2, 3, 4, 5, 6, 9] : [...kept, 9]);
      if (bytes[at] === 0x0a) continue;
      lost += 1;
      const start = bytes.lastIndexOf('\n', at) + 1;
      const copy = damaged.subarray(start, bytes.indexOf('\n', at) + 1);
      expect((await readFile(`${segment()}.quarantine`)).equals(copy)).toBe(true);
      const { defects } = await verifyLedger(world.folder);
      expect(defects[0]).toMatchObject({ file: segment(), line: struck + 1 });
    }
    console.info(`ledger flips: ${cases} flips, ${lost} lines lost, each of them alone`);
  });

  test('with a flipped byte in its first line still tells all its events', async () => {
    const bytes = await written(3);
    const first = bytes.indexOf('\n');
    for (let at = 0; at <= first; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await writeFile(segment(), damaged);
      expect(await numbers(), `byte ${at}`).toEqual([1, 2, 3]);
      expect((await verifyLedger(world.folder)).defects.length).toBeGreaterThan(0);
    }
  });
});

describe('a disk that does not do it', () => {
  type Operation = 'write' | 'half a write' | 'fdatasync' | 'truncate' | 'open';
  const failing = new Set<Operation>();
  const full = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const files: LedgerFiles = {
    ...systemFiles,
    open: async (path) => {
      if (failing.has('open')) throw full();
      const file = await systemFiles.open(path);
      return {
        ...file,
        write: async (bytes, position) => {
          if (failing.has('write')) throw full();
          if (!failing.has('half a write')) return file.write(bytes, position);
          await file.write(bytes.subarray(0, bytes.length / 2), position);
          throw full();
        },
        fdatasync: () => (failing.has('fdatasync') ? Promise.reject(full()) : file.fdatasync()),
        truncate: (length) => (failing.has('truncate') ? Promise.reject(full()) : file.truncate(length)),
      } satisfies LedgerFile;
    },
  };
  beforeEach(() => failing.clear());

  test.each<[string, readonly Operation[]]>([
    ['takes nothing', ['write']],
    ['takes half of it', ['half a write']],
    ['does not sync', ['fdatasync']],
    ['takes half and does not cut it off', ['half a write', 'truncate']],
  ])('and %s acknowledges nothing, to nobody, and loses nothing that was', async (_name, operations) => {
    const ledger = await world.open({ files });
    await ledger.append(settledEvent(1));
    for (const operation of operations) failing.add(operation);
    const answers = await Promise.allSettled([2, 3, 4].map((number) => ledger.append(settledEvent(number))));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    failing.delete('half a write');
    if (operations.includes('truncate')) await expect(ledger.append(settledEvent(5))).rejects.toThrow('ledger');
    failing.clear();
    await ledger.append(settledEvent(6));
    await ledger.stop();
    expect(await numbers()).toEqual([1, 6]);
    expect(await verifyLedger(world.folder)).toMatchObject({ defects: [], torn: false });
    expect(world.reports.every(({ kind }) => kind === 'failed')).toBe(true);
  });

  test('when a segment is begun leaves the former one in use', async () => {
    const ledger = await world.open({ files, maxSegmentBytes: 1 });
    for (const number of [1, 2, 3]) await ledger.append(settledEvent(number));
    for (const operation of ['open', 'half a write', 'fdatasync'] as const) {
      failing.add(operation);
      for (const number of [4, 5, 6]) await expect(ledger.append(settledEvent(number))).rejects.toThrow('ledger');
      failing.clear();
    }
    for (const number of [7, 8, 9]) await ledger.append(settledEvent(number));
    await ledger.stop();
    expect(await numbers()).toEqual([1, 2, 3, 7, 8, 9]);
    expect((await verifyLedger(world.folder)).defects).toEqual([]);
  });
});

describe('a process that is killed while it appends', () => {
  test('leaves every acknowledged event, once', async () => {
    const random = createRandom(seedOf('ledger kills'));
    const acknowledged = new Set<number>();
    let next = 0;
    const rounds = caseCount(6);
    for (let round = 0; round < rounds; round += 1) {
      const program = startProgram(process.execPath, ['--input-type=module', '-e', APPENDER], {
        env: { LEDGER: world.folder, FIRST: String(next) },
      });
      await program.waitForLine((line) => line.startsWith('acknowledged'));
      await new Promise((resolve) => setTimeout(resolve, random.below(150)));
      program.signal('SIGKILL');
      await program.ended;
      for (const line of program.lines().slice(0, -1)) {
        const number = Number(/^acknowledged (\d+)$/.exec(line)?.[1] ?? Number.NaN);
        expect(number).not.toBeNaN();
        acknowledged.add(number);
        next = Math.max(next, number + 1);
      }
      // What was written and not acknowledged may be there as well.
      next += 100_000;
      const ledger = await world.open();
      await ledger.stop();
    }
    const found: number[] = [];
    for await (const event of mergeEvents({ folders: [world.folder] })) {
      if (event.event === 'settled') found.push(event.usage.input);
    }
    const once = new Set(found);
    expect(found).toHaveLength(once.size);
    expect([...acknowledged].filter((number) => !once.has(number))).toEqual([]);
    expect(await verifyLedger(world.folder)).toMatchObject({ defects: [], torn: false });
    console.info(`ledger kills: ${rounds} kills, ${acknowledged.size} acknowledged, ${found.length} found, 0 lost`);
  });
});

const APPENDER = `
  import { createLedger } from './src/quota/ledger/ledger.ts';
  import { settledEvent } from './test/unit/quota/ledger-fixtures.ts';
  const ledger = createLedger({
    folder: process.env.LEDGER,
    horizonSeconds: 900,
    clock: { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) },
    startTimer: (ms, late) => { const timer = setTimeout(late, ms); return () => clearTimeout(timer); },
    randomId: () => crypto.randomUUID(),
    report: () => undefined,
    maxSegmentBytes: 200_000,
  });
  await ledger.start();
  let number = Number(process.env.FIRST);
  const work = async () => {
    for (;;) {
      const mine = number++;
      await ledger.append(settledEvent(mine));
      process.stdout.write('acknowledged ' + mine + '\\n');
    }
  };
  await Promise.all(Array.from({ length: 32 }, work));
`;
