import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exportUsage } from '../../../src/quota/ledger/ledger-export.ts';
import { systemFiles } from '../../../src/quota/ledger/ledger-files.ts';
import { mergeEvents } from '../../../src/quota/ledger/ledger-merge.ts';
import { verifyLedger } from '../../../src/quota/ledger/ledger-verify.ts';
import { createLedgerWorld, DAY_MS, idOf, type LedgerWorld, START_MS, settledEvent } from './ledger-fixtures.ts';

let world: LedgerWorld;
beforeEach(async () => {
  world = await createLedgerWorld();
});
afterEach(() => world.close());

const segment = (number: number) => join(world.folder, `0000000${number}.jsonl`);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('a ledger', () => {
  test('holds what was appended, in order, over a restart, one JSON object a line', async () => {
    const events = [
      settledEvent(1),
      { event: 'expired' as const, id: idOf(2), atMs: START_MS, tenant: 'tenant\u2028"b', model: 'm', charges: [] },
      { event: 'rejected' as const, id: idOf(3), atMs: START_MS, reason: 'unknown' as const },
    ];
    const ledger = await world.open();
    expect(await Promise.all(events.map((event) => ledger.append(event)))).toEqual([1, 2, 3]);
    await ledger.stop();
    expect(await world.events()).toEqual(events);
    const again = await world.open();
    expect(await again.append(settledEvent(4))).toBe(4);
    const lines = (await readFile(segment(1), 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines.map((line) => JSON.parse(line).event)).toEqual([
      'segment',
      'settled',
      'expired',
      'rejected',
      'settled',
    ]);
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ v: 1, seq: 1, at: '2026-11-02T12:00:00.001Z' });
    expect(world.reports).toEqual([]);
  });

  test('is readable for its owner only', async () => {
    const ledger = await world.open();
    await ledger.append(settledEvent(1));
    expect((await stat(world.folder)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(world.folder)) {
      expect((await stat(join(world.folder, name))).mode & 0o777).toBe(0o600);
    }
  });

  test('makes many appends durable with one write and one fdatasync', async () => {
    let writes = 0;
    let syncs = 0;
    const ledger = await world.open({
      files: {
        ...systemFiles,
        open: async (path) => {
          const file = await systemFiles.open(path);
          return {
            ...file,
            write: (bytes, position) => {
              writes += 1;
              return file.write(bytes, position);
            },
            fdatasync: () => {
              syncs += 1;
              return file.fdatasync();
            },
          };
        },
      },
    });
    await ledger.append(settledEvent(0));
    [writes, syncs] = [0, 0];
    await Promise.all(Array.from({ length: 500 }, (_, number) => ledger.append(settledEvent(number + 1))));
    expect([writes, syncs]).toEqual([1, 1]);
    await ledger.stop();
    expect(await world.events()).toHaveLength(501);
  });

  test('begins another segment beyond its size, each naming the one before', async () => {
    for (let start = 0; start < 3; start += 1) {
      const ledger = await world.open({ maxSegmentBytes: 1000 });
      for (let number = 1; number <= 10; number += 1) await ledger.append(settledEvent(start * 10 + number));
      await ledger.stop();
    }
    expect((await world.events()).map(({ atMs }) => atMs - START_MS)).toEqual(
      Array.from({ length: 30 }, (_, at) => at + 1),
    );
    const verdict = await verifyLedger(world.folder);
    expect(verdict).toMatchObject({ defects: [], torn: false });
    expect(verdict.segments).toBeGreaterThan(5);
  });

  test('is of one process only', async () => {
    const ledger = await world.open();
    await expect(world.open()).rejects.toThrow(`is in use by process ${process.pid}`);
    await ledger.append(settledEvent(1));
    await ledger.stop();
    await expect(ledger.append(settledEvent(2))).rejects.toThrow('the ledger is not open');
    await world.open();
  });

  test('is taken over from a process that is gone, or that had its number', async () => {
    await (await world.open()).stop();
    await world.open().then(async (ledger) => {
      const lock = JSON.parse(await readFile(join(world.folder, 'lock'), 'utf8'));
      await ledger.stop();
      for (const stale of [
        { ...lock, pid: 2 ** 22 + 1 },
        { ...lock, started: '1' },
      ]) {
        await writeFile(join(world.folder, 'lock'), JSON.stringify(stale));
        await (await world.open()).stop();
      }
    });
  });

  test('is taken over from another machine after 15 s of silence, and the former owner then writes nothing', async () => {
    await mkdir(world.folder, { recursive: true });
    const lock = join(world.folder, 'lock');
    await writeFile(lock, JSON.stringify({ pid: 1, started: '1', where: 'elsewhere', token: 'x' }));
    const heardAt = (ageMs: number) => utimes(lock, (START_MS - ageMs) / 1000, (START_MS - ageMs) / 1000);
    await heardAt(10_000);
    await expect(world.open()).rejects.toThrow('is in use by process 1');
    await heardAt(16_000);
    const ledger = await world.open();
    await ledger.append(settledEvent(1));
    await writeFile(lock, '{"pid":1,"started":"1","where":"elsewhere","token":"y"}');
    world.clock.advance(2_000);
    await expect
      .poll(() => ledger.append(settledEvent(2)).catch((fault) => String(fault.cause)))
      .toContain('was taken over by another process');
    await ledger.stop();
    expect(await readFile(lock, 'utf8')).toContain('"y"');
  });

  test('remembers how far the store knows it', async () => {
    const ledger = await world.open();
    expect(await ledger.applied()).toBe(0);
    await ledger.noteApplied(17);
    expect(await ledger.applied()).toBe(17);
    await writeFile(join(world.folder, 'applied'), 'garbage');
    expect(await ledger.applied()).toBe(0);
  });
});

describe('merged by id', () => {
  const expired = (number: number) => ({ ...settledEvent(number), event: 'expired' as const, usage: undefined });

  test.each<[string, readonly unknown[], readonly unknown[]]>([
    ['a settle that was written twice', [settledEvent(1), settledEvent(1)], [settledEvent(1)]],
    ['the first of two that differ', [settledEvent(1), settledEvent(1, { model: 'other' })], [settledEvent(1)]],
    ['a settle after the expiry', [expired(1), settledEvent(1)], [settledEvent(1)]],
    ['an expiry after the settle', [settledEvent(1), expired(1)], [settledEvent(1)]],
    ['an expiry', [expired(1), expired(1)], [expired(1)]],
    [
      'nothing of a settle that another replica had made',
      [settledEvent(1), { event: 'rejected', id: idOf(1), atMs: START_MS, reason: 'settled_elsewhere' }],
      [],
    ],
    [
      'a settle beside rejected ones',
      [settledEvent(1), { event: 'rejected', id: idOf(1), atMs: START_MS, reason: 'conflict' }],
      [settledEvent(1)],
    ],
  ])('there is %s', async (_name, events, expected) => {
    const ledger = await world.open();
    // Well-formed events, but for their literal types.
    for (const event of events) await ledger.append(event as Parameters<typeof ledger.append>[0]);
    const merged = await collect(mergeEvents({ folders: [world.folder] }));
    expect(merged).toEqual(expected.map((event) => expect.objectContaining(JSON.parse(JSON.stringify(event)))));
  });

  test('what may still change is held back and nothing else, in any length of ledger', async () => {
    const ledger = await world.open({ maxSegmentBytes: 20_000 });
    const appends: Promise<number>[] = [];
    for (let number = 0; number < 400; number += 1) {
      const epochMs = START_MS + number * 600_000;
      const event = settledEvent(number, { id: idOf(number, epochMs), atMs: epochMs + 1000 });
      appends.push(ledger.append(event), ledger.append(event));
    }
    await Promise.all(appends);
    const ids = (await collect(mergeEvents({ folders: [world.folder] }))).map(({ id }) => id);
    expect(ids).toHaveLength(400);
    expect(new Set(ids).size).toBe(400);
  });
});

test('two ledgers are merged as one: what both got counts once, a settle before an expiry', async () => {
  const other = await createLedgerWorld();
  try {
    const [mine, its] = [await world.open(), await other.open()];
    const expired = (number: number) => {
      const { usage: _usage, ...rest } = settledEvent(number);
      return { ...rest, event: 'expired' as const, atMs: START_MS + 900_000 };
    };
    for (const event of [settledEvent(1), settledEvent(2), expired(3)]) await mine.append(event);
    for (const event of [settledEvent(1), settledEvent(3), settledEvent(4)]) await its.append(event);
    const merged = await collect(mergeEvents({ folders: [world.folder, other.folder] }));
    const numbers = merged.map((event) => (event.event === 'settled' ? event.usage.input : -1));
    expect(numbers.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  } finally {
    await other.close();
  }
});

describe('exported', () => {
  const write = async () => {
    const ledger = await world.open();
    const late = START_MS + DAY_MS;
    await ledger.append(settledEvent(5));
    await ledger.append(settledEvent(5));
    await ledger.append(settledEvent(7, { id: idOf(7, late), atMs: late }));
    await ledger.append({
      ...settledEvent(8),
      event: 'expired',
      tenant: 'a,"b"',
      charges: [
        { name: 'tokens_minute', unit: 'tokens', held: 4096, cost: 4096 },
        { name: 'budget', unit: 'nano_usd', held: 9007199254740991, cost: 9007199254740991 },
      ],
    });
    await ledger.append({
      ...settledEvent(9),
      tenant: 'a,"b"',
      charges: [{ name: 'budget', unit: 'nano_usd', held: 1, cost: 9007199254740991 }],
    });
    await ledger.stop();
  };
  const text = async (parts: Partial<Parameters<typeof exportUsage>[0]>): Promise<string> => {
    await write();
    const by = ['tenant', 'model', 'day'] as const;
    return (await collect(exportUsage({ folders: [world.folder], format: 'csv', by, ...parts }))).join('');
  };

  test('as CSV, exact beyond 2^53, each limit a column of its own', async () => {
    expect(await text({})).toBe(
      [
        'tenant,model,day,settled,expired,input_tokens,cached_tokens,output_tokens,budget (nano_usd),tokens_minute (tokens)',
        '"a,""b""",llama-3-8b,2026-11-02,1,1,9,0,1,18014398509481982,4096',
        'tenant-a,llama-3-8b,2026-11-02,1,0,5,0,1,0,6',
        'tenant-a,llama-3-8b,2026-11-03,1,0,7,0,1,0,8',
        '',
      ].join('\r\n'),
    );
  });

  test.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-2+3', "'-2+3"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', `"'\r=1"`],
    ['=HYPERLINK("x","y")', `"'=HYPERLINK(""x"",""y"")"`],
    ['a=1', 'a=1'],
  ])('as CSV in which no spreadsheet finds a formula: %j', async (name, cell) => {
    const ledger = await world.open();
    const charges = [{ name, unit: 'tokens' as const, held: 1, cost: 2 }];
    await ledger.append(settledEvent(5, { tenant: name, charges }));
    await ledger.stop();
    const csv = await collect(exportUsage({ folders: [world.folder], format: 'csv', by: ['tenant'] }));
    const head = cell.endsWith('"') ? `${cell.slice(0, -1)} (tokens)"` : `${cell} (tokens)`;
    expect(csv).toEqual([
      `tenant,settled,expired,input_tokens,cached_tokens,output_tokens,${head}\r\n`,
      `${cell},1,0,5,0,1,2\r\n`,
    ]);
  });

  test('as JSON, of some days, by what was asked', async () => {
    const json = await text({ format: 'json', by: ['tenant'], from: '2026-11-02', to: '2026-11-02' });
    expect(json).toContain('"budget (nano_usd)":18014398509481982');
    expect(JSON.parse(json)).toEqual([
      {
        tenant: 'a,"b"',
        settled: 1,
        expired: 1,
        input_tokens: 9,
        cached_tokens: 0,
        output_tokens: 1,
        charges: { 'budget (nano_usd)': 18014398509481982, 'tokens_minute (tokens)': 4096 },
      },
      {
        tenant: 'tenant-a',
        settled: 1,
        expired: 0,
        input_tokens: 5,
        cached_tokens: 0,
        output_tokens: 1,
        charges: { 'tokens_minute (tokens)': 6 },
      },
    ]);
  });

  test('of nothing as a heading, or an empty list', async () => {
    const none = { folders: [join(world.dataFolder, 'none')], by: ['day'] as const };
    expect((await collect(exportUsage({ ...none, format: 'csv' }))).join('')).toMatch(/^day,settled[^\n]*\r\n$/);
    expect(JSON.parse((await collect(exportUsage({ ...none, format: 'json' }))).join(''))).toEqual([]);
  });
});

describe('verified', () => {
  const lines = async (number: number) => (await readFile(segment(number), 'utf8')).trimEnd().split('\n');
  const rewrite = (number: number, rows: readonly string[]) => writeFile(segment(number), `${rows.join('\n')}\n`);
  beforeEach(async () => {
    const ledger = await world.open({ maxSegmentBytes: 2000 });
    for (let number = 1; number <= 20; number += 1) await ledger.append(settledEvent(number));
    await ledger.stop();
  });

  test.each<[string, () => Promise<void>, string, number]>([
    ['a line that is gone', async () => rewrite(2, (await lines(2)).toSpliced(2, 1)), 'does not follow the line', 3],
    [
      'two lines that changed places',
      async () => {
        const [head = '', one = '', two = '', ...rest] = await lines(2);
        await rewrite(2, [head, two, one, ...rest]);
      },
      'does not follow the line',
      2,
    ],
    [
      'an amount that was lowered',
      async () =>
        rewrite(
          2,
          (await lines(2)).map((line) => line.replace('"cost":', '"cost":0')),
        ),
      'the checksum is wrong',
      2,
    ],
    ['a segment that is gone', async () => rewrite(3, await lines(1)), 'does not say which segment', 1],
    [
      'a last line that was cut from a segment that is not the last',
      async () => rewrite(1, (await lines(1)).slice(0, -1)),
      'segment 1 is not as it was',
      1,
    ],
  ])('%s is found, with file and line', async (_name, spoil, message, line) => {
    expect((await verifyLedger(world.folder)).defects).toEqual([]);
    await spoil();
    const { defects } = await verifyLedger(world.folder);
    expect(defects[0]).toEqual({
      file: expect.stringContaining('.jsonl'),
      line,
      message: expect.stringContaining(message),
    });
  });
});
