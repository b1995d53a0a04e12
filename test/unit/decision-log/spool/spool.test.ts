import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SpoolConfig } from '../../../../src/decision-log/config.ts';
import {
  createSpool,
  type Spool,
  type SpoolReader,
  type SpoolReport,
} from '../../../../src/decision-log/spool/spool.ts';
import { type SpoolFiles, systemFiles } from '../../../../src/decision-log/spool/spool-files.ts';
import { toSpoolLine } from '../../../../src/decision-log/spool/spool-line.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { createRandom, seedOf } from '../../../support/seed.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-spool-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const MANY = { events: 1_000_000, bytes: 1_000_000 };
const line = (sequence: number, size = 0): string => `${JSON.stringify({ sequence, filler: 'x'.repeat(size) })}\n`;
const noteOf = (kept: { readonly segment: number; readonly offset: number }): string =>
  toSpoolLine(`${JSON.stringify({ kept, denied: { segment: 0, offset: 0 } })}\n`);
const numbersOf = (lines: readonly string[]): number[] => lines.map((one) => JSON.parse(one).sequence);

interface Opened {
  readonly spool: Spool;
  readonly reader: SpoolReader;
  readonly reports: SpoolReport[];
  readonly dropped: [number, string][];
  readonly clock: ReturnType<typeof createManualClock>;
}

async function open(
  parts: Partial<SpoolConfig> & { readonly files?: Partial<SpoolFiles>; readonly maxLines?: number } = {},
): Promise<Opened> {
  const { files = {}, maxLines = 10_000, ...config } = parts;
  const reports: SpoolReport[] = [];
  const dropped: [number, string][] = [];
  const clock = createManualClock();
  const spool = createSpool({
    config: { dir, max_mb: 8, segment_mb: 1, fsync_ms: 100, ...config },
    maxLines,
    files: { ...systemFiles, ...files },
    startTimer: clock.startTimer,
    report: (report) => reports.push(report),
    onDropped: (lines, cause) => dropped.push([lines, cause]),
    onProgress: () => undefined,
  });
  await spool.open();
  return { spool, reader: await spool.reader('remote'), reports, dropped, clock };
}

async function readAll({ reader }: Opened, max = MANY): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const batch = await reader.next(max);
    if (batch === undefined) return lines;
    lines.push(...batch.lines);
    batch.commit();
  }
}

const segments = (lane: string): string[] => readdirSync(join(dir, lane)).filter((name) => name.endsWith('.spool'));
const segment = (lane: string, at = 0): string => join(dir, lane, segments(lane)[at] ?? '');

describe('a spool', () => {
  test('gives back what was written, by lane in order, and again until it is committed', async () => {
    const opened = await open();
    for (let at = 1; at <= 100; at += 1) opened.spool.push(line(at), at % 3 === 0 ? 'denied' : 'kept');
    await opened.spool.idle();
    const first = await opened.reader.next({ events: 10, bytes: 1_000_000 });
    const again = await opened.reader.next({ events: 10, bytes: 1_000_000 });
    expect(first?.lines).toHaveLength(10);
    expect(again?.lines).toHaveLength(10);
    const all = numbersOf(await readAll(opened));
    expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
    expect(await opened.reader.next(MANY)).toBeUndefined();
    await opened.spool.close();
  });

  test('what was written and not committed is there after a restart, and what was committed is not', async () => {
    const before = await open();
    for (let at = 1; at <= 10; at += 1) before.spool.push(line(at), 'kept');
    await before.spool.idle();
    const batch = await before.reader.next({ events: 4, bytes: 1_000_000 });
    batch?.commit();
    await before.spool.close();
    const after = await open();
    expect(numbersOf(await readAll(after))).toEqual([5, 6, 7, 8, 9, 10]);
    after.spool.push(line(11), 'kept');
    await after.spool.idle();
    expect(numbersOf(await readAll(after))).toEqual([11]);
    await after.spool.close();
  });

  test('files are for their owner only, and a second process is refused', async () => {
    const opened = await open();
    opened.spool.push(line(1), 'kept');
    await opened.spool.idle();
    expect(statSync(join(dir, 'kept')).mode & 0o777).toBe(0o700);
    expect(statSync(segment('kept')).mode & 0o777).toBe(0o600);
    await expect(open()).rejects.toThrow('another process has the spool');
    await opened.spool.close();
    const again = await open();
    await again.spool.close();
  });

  test('a reader that waits hears of the next line', async () => {
    const opened = await open();
    expect(await opened.reader.next(MANY)).toBeUndefined();
    const more = opened.reader.more();
    opened.spool.push(line(1), 'denied');
    await more;
    expect(numbersOf(await readAll(opened))).toEqual([1]);
    await opened.spool.close();
  });

  test('an unfinished last line is cut off, one that lacks only its newline is kept', async () => {
    const first = await open();
    for (const at of [1, 2]) first.spool.push(line(at), 'kept');
    for (const at of [3, 4]) first.spool.push(line(at), 'denied');
    await first.spool.idle();
    await first.spool.close();
    const kept = readFileSync(segment('kept'));
    writeFileSync(segment('kept'), kept.subarray(0, kept.length - 5));
    const denied = readFileSync(segment('denied'));
    writeFileSync(segment('denied'), denied.subarray(0, denied.length - 1));
    const second = await open();
    expect(second.reports).toMatchObject([{ kind: 'torn', lane: 'kept' }]);
    expect(numbersOf(await readAll(second))).toEqual([1, 3, 4]);
    await second.spool.close();
  });

  test.each(['a byte within a line', 'a newline', 'noise between two lines', 'zeros over two lines'])(
    'corrupted in the middle by %s: all other lines are given, the damage is quarantined and reported once',
    async (damage) => {
      const first = await open();
      for (let at = 1; at <= 9; at += 1) first.spool.push(line(at, 40), 'kept');
      await first.spool.idle();
      await first.spool.close();
      const bytes = readFileSync(segment('kept'));
      const starts = [0, ...[...bytes.keys()].filter((at) => bytes[at] === 0x0a).map((at) => at + 1)];
      const fifth = starts[4] ?? 0;
      const expected = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      let written: Buffer = bytes;
      if (damage === 'a byte within a line') {
        bytes[fifth + 20] = 0x21;
        expected.delete(5);
      } else if (damage === 'a newline') bytes[fifth - 1] = 0x2e;
      else if (damage === 'zeros over two lines') {
        bytes.fill(0, fifth + 4, (starts[5] ?? 0) + 12);
        expected.delete(5);
        expected.delete(6);
      } else written = Buffer.concat([bytes.subarray(0, fifth), Buffer.from('noise\n'), bytes.subarray(fifth)]);
      writeFileSync(segment('kept'), written);
      const second = await open();
      expect(numbersOf(await readAll(second))).toEqual([...expected]);
      const reported = second.reports.filter(({ kind }) => kind === 'corrupt');
      expect(reported).toHaveLength(damage === 'a newline' ? 0 : 1);
      const quarantined = readdirSync(join(dir, 'kept')).filter((name) => name.endsWith('.quarantine'));
      expect(quarantined).toHaveLength(damage === 'a newline' ? 0 : 1);
      await second.spool.close();
    },
  );

  test('bytes thrown at random places lose at most the lines they hit', async () => {
    const random = createRandom(seedOf('spool damage'));
    for (let round = 0; round < 40; round += 1) {
      const first = await open();
      for (let at = 1; at <= 50; at += 1) first.spool.push(line(at, random.below(200)), 'kept');
      await first.spool.idle();
      await first.spool.close();
      const bytes = readFileSync(segment('kept'));
      const hits = 1 + random.below(3);
      for (let hit = 0; hit < hits; hit += 1) bytes[random.below(bytes.length)] = random.below(256);
      writeFileSync(segment('kept'), bytes);
      const second = await open();
      const read = numbersOf(await readAll(second));
      // A newline in place of another byte parts one line, one lost newline none: each hit costs one line at the most.
      expect(read.length).toBeGreaterThanOrEqual(50 - hits);
      expect(new Set(read).size).toBe(read.length);
      await second.spool.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('a segment that somebody deleted or cut is passed over and reported', async () => {
    const first = await open();
    for (let at = 1; at <= 300; at += 1) first.spool.push(line(at, 10_000), 'kept');
    await first.spool.idle();
    expect(segments('kept').length).toBeGreaterThan(2);
    rmSync(segment('kept', 1));
    const read = numbersOf(await readAll(first));
    expect(read[0]).toBe(1);
    expect(read.at(-1)).toBe(300);
    expect(read.length).toBeLessThan(300);
    expect(first.reports.some(({ kind }) => kind === 'corrupt')).toBe(true);
    await first.spool.close();
  });

  test('a cursor that cannot be read starts over: twice is better than never', async () => {
    const first = await open();
    first.spool.push(line(1), 'kept');
    await first.spool.idle();
    await readAll(first);
    await first.spool.close();
    writeFileSync(join(dir, 'cursor-remote.json'), '{"kept":{"segment":-1');
    const second = await open();
    expect(numbersOf(await readAll(second))).toEqual([1]);
    await second.spool.close();
  });

  test.each([
    ['changed by hand', '{"kept":{"segment":1,"offset":999999999},"denied":{"segment":0,"offset":0}}\n', [1, 2]],
    ['with the checksum of another', noteOf({ segment: 1, offset: 5 }).replace('5}', '6}'), [1, 2]],
    ['beyond the end of its segment', noteOf({ segment: 1, offset: 999_999 }), [1, 2]],
    ['in a segment that never was', noteOf({ segment: 9, offset: 0 }), [1, 2]],
    ['within the segment after the last', noteOf({ segment: 2, offset: 7 }), [1, 2]],
    ['at the segment after the last', noteOf({ segment: 2, offset: 0 }), []],
  ])('a cursor %s passes over nothing in silence', async (_, note, expected) => {
    const first = await open();
    for (const at of [1, 2]) first.spool.push(line(at), 'kept');
    await first.spool.idle();
    await first.spool.close();
    writeFileSync(join(dir, 'cursor-remote.json'), note);
    const second = await open();
    expect(numbersOf(await readAll(second))).toEqual(expected);
    expect(second.reports).toEqual(expected.length === 0 ? [] : [{ kind: 'cursor', sink: 'remote' }]);
    await second.spool.close();
  });

  test('restarts after all was delivered report no damage, and what comes then is delivered', async () => {
    for (let round = 1; round <= 4; round += 1) {
      const opened = await open();
      opened.spool.push(line(round), round === 3 ? 'denied' : 'kept');
      await opened.spool.idle();
      expect(numbersOf(await readAll(opened))).toEqual([round]);
      expect(opened.reports).toEqual([]);
      await opened.spool.close();
    }
  });

  test('a cursor of segments that are gone does not pass over what is written under their numbers', async () => {
    writeFileSync(join(dir, 'cursor-remote.json'), noteOf({ segment: 4, offset: 0 }));
    const first = await open();
    for (let at = 1; at <= 400; at += 1) first.spool.push(line(at, 10_000), 'kept');
    await first.spool.idle();
    expect(segments('kept').length).toBeGreaterThanOrEqual(4);
    await first.spool.close();
    const second = await open();
    expect(numbersOf(await readAll(second))).toHaveLength(400);
    await second.spool.close();
  });

  test('segments go once every sink is done with them, and not before', async () => {
    const opened = await open();
    const slow = await opened.spool.reader('slow');
    for (let at = 1; at <= 300; at += 1) opened.spool.push(line(at, 10_000), 'kept');
    await opened.spool.idle();
    const before = segments('kept').length;
    await readAll(opened);
    opened.clock.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(segments('kept')).toHaveLength(before);
    expect(numbersOf(await readAll({ ...opened, reader: slow }))).toHaveLength(300);
    await opened.spool.close();
    expect(segments('kept').length).toBeLessThan(before);
  });

  test('full: the share of denials is used up, that of allows is not; room comes back by itself', async () => {
    const opened = await open({ maxLines: 10 });
    for (let at = 1; at <= 700; at += 1) {
      opened.spool.push(line(at, 10_000), 'denied');
      await opened.spool.idle();
    }
    expect(opened.dropped.length).toBeGreaterThan(200);
    expect(new Set(opened.dropped.map(([, cause]) => cause))).toEqual(new Set(['spool_full']));
    expect(opened.spool.bytes).toBeLessThan(5 * 1_048_576);
    opened.spool.push(line(1_000), 'kept');
    await opened.spool.idle();
    const read = numbersOf(await readAll(opened));
    expect(read).toContain(1_000);
    // What waited in memory is written once the sink is done with a segment.
    opened.clock.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await opened.spool.idle();
    const rest = numbersOf(await readAll(opened));
    expect(read.length + rest.length + opened.dropped.length).toBe(701);
    await opened.spool.close();
  });

  test('a disk that refuses: lines wait in memory, what finds no room there is counted, and all is written later', async () => {
    let broken = true;
    const files: Partial<SpoolFiles> = {
      open: async (path) => {
        const file = await systemFiles.open(path);
        return {
          ...file,
          write: async (bytes, position) => {
            if (!broken) return file.write(bytes, position);
            // As a full disk does: some of it is there.
            await file.write(bytes.subarray(0, 7), position);
            throw new Error('ENOSPC: no space left on device, write');
          },
        };
      },
    };
    const opened = await open({ files, maxLines: 20 });
    for (let at = 1; at <= 30; at += 1) opened.spool.push(line(at), 'kept');
    await opened.spool.idle();
    opened.spool.push(line(31), 'kept');
    expect(opened.dropped.length).toBe(11);
    expect(opened.reports.some(({ kind }) => kind === 'failed')).toBe(true);
    expect(opened.spool.hasRoom('kept')).toBe(false);
    broken = false;
    opened.clock.advance(10_000);
    await opened.spool.idle();
    expect(numbersOf(await readAll(opened))).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(opened.spool.hasRoom('kept')).toBe(true);
    await opened.spool.close();
  });

  const quarantined = (): string[] => readdirSync(join(dir, 'kept')).filter((name) => name.endsWith('.quarantine'));
  const garbage = (segment: number, bytes: number): void =>
    writeFileSync(join(dir, 'kept', `${String(segment).padStart(10, '0')}.spool`), Buffer.alloc(bytes, 0x41));

  test('what is quarantined counts as the spool does; the oldest makes room for events, and is told', async () => {
    const MIB = 1_048_576;
    await (await open()).spool.close();
    garbage(1, MIB);
    garbage(2, MIB);
    const first = await open({ max_mb: 16 });
    first.spool.push(line(1), 'kept');
    await first.spool.idle();
    await readAll(first);
    expect(quarantined()).toHaveLength(2);
    await first.spool.close();
    const opened = await open({ maxLines: 1_000 });
    expect(opened.spool.bytes).toBeGreaterThan(2 * MIB);
    for (let at = 1; at <= 300; at += 1) opened.spool.push(line(at, 10_000), 'kept');
    await opened.spool.idle();
    expect(opened.spool.bytes).toBeLessThanOrEqual(4 * MIB);
    expect(quarantined()).toEqual(['0000000002.spool.quarantine']);
    expect(opened.reports).toMatchObject([{ kind: 'quarantine_lost', lane: 'kept' }]);
    expect(opened.spool.hasRoom('kept')).toBe(true);
    expect(opened.dropped).toEqual([]);
    expect(numbersOf(await readAll(opened))).toHaveLength(300);
    await opened.spool.close();
  });

  test('what is quarantined has no more room than events leave, and what finds none is told', async () => {
    await (await open()).spool.close();
    for (let segment = 1; segment <= 6; segment += 1) garbage(segment, 1_000_000);
    const opened = await open();
    expect(await readAll(opened)).toEqual([]);
    const lost = opened.reports.flatMap((report) => (report.kind === 'quarantine_lost' ? [report.bytes] : []));
    expect(lost.length).toBeGreaterThan(0);
    expect(opened.reports.filter(({ kind }) => kind === 'corrupt').length).toBeGreaterThanOrEqual(6);
    opened.clock.advance(1_000);
    await opened.spool.close();
    expect(opened.spool.bytes).toBeLessThanOrEqual(4 * 1_048_576);
  });

  test('a damaged piece is quarantined once, however many there are and whoever reads it', async () => {
    const first = await open();
    first.spool.push(line(1), 'kept');
    await first.spool.idle();
    await first.spool.close();
    appendFileSync(segment('kept'), 'noise\n'.repeat(12_000));
    const opened = await open();
    const other = await opened.spool.reader('other');
    for (const reader of [opened.reader, other, opened.reader, other]) {
      const batch = await reader.next({ events: 10, bytes: reader === other ? 1_000_000 : 1 });
      if (reader === other) batch?.commit();
      await reader.next(MANY);
    }
    const [name = ''] = quarantined();
    expect(statSync(join(dir, 'kept', name)).size).toBe(12_000 * 'noise\n'.length);
    expect(opened.reports.filter(({ kind }) => kind === 'corrupt')).toHaveLength(12_000);
    await opened.spool.close();
  });

  test('no link in the folder is followed', async () => {
    await (await open()).spool.close();
    const outside = join(dir, 'outside');
    writeFileSync(outside, 'kept as it is');
    garbage(1, 2_000);
    symlinkSync(outside, join(dir, 'kept', '0000000001.spool.quarantine'));
    symlinkSync(outside, join(dir, 'cursor-remote.json.new'));
    const opened = await open();
    expect(await readAll(opened)).toEqual([]);
    await opened.spool.close();
    expect(readFileSync(outside, 'utf8')).toBe('kept as it is');
  });

  test('a whole segment of garbage ends no reader', async () => {
    const first = await open();
    first.spool.push(line(1), 'kept');
    await first.spool.idle();
    await first.spool.close();
    appendFileSync(segment('kept'), Buffer.alloc(3 * 1_048_576, 0x41));
    writeFileSync(join(dir, 'kept', '0000000007.spool'), '');
    const second = await open();
    second.spool.push(line(2), 'kept');
    await second.spool.idle();
    expect(numbersOf(await readAll(second))).toEqual([1, 2]);
    await second.spool.close();
  });
});
