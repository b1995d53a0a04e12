import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { createLedgerWorld, DAY_MS, idOf, type LedgerWorld, START_MS, settledEvent } from '../quota/ledger-fixtures.ts';

let world: LedgerWorld;
const run = (...argv: readonly string[]) => runCaptured(exitCodeOf, ['usage', ...argv], { cwd: world.dataFolder });

beforeEach(async () => {
  world = await createLedgerWorld();
  const ledger = await world.open();
  for (const number of [1, 2]) await ledger.append(settledEvent(number));
  const later = START_MS + DAY_MS;
  await ledger.append(settledEvent(3, { id: idOf(3, later), atMs: later, tenant: 'tenant-b' }));
  await ledger.stop();
});
afterEach(() => world.close());

const HEAD = 'settled,expired,input_tokens,cached_tokens,output_tokens,tokens_minute (tokens)';

describe('sallyport usage export', () => {
  test('sums up by tenant, model and day', async () => {
    const { code, stdout, stderr } = await run('export', '--dir', '.');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\r\n')).toEqual([
      `tenant,model,day,${HEAD}`,
      'tenant-a,llama-3-8b,2026-11-02,2,0,3,0,2,5',
      'tenant-b,llama-3-8b,2026-11-03,1,0,3,0,1,4',
      '',
    ]);
  });

  test('takes days, a format and what to sum by', async () => {
    const { stdout } = await run('export', '--dir', '.', '--from', '2026-11-03', '--by', 'day,tenant');
    expect(stdout).toBe(`day,tenant,${HEAD}\r\n2026-11-03,tenant-b,1,0,3,0,1,4\r\n`);
    const json = await run('export', '--dir', '.', '--to', '2026-11-02', '--format', 'json', '--by', 'model');
    expect(JSON.parse(json.stdout)).toMatchObject([{ model: 'llama-3-8b', settled: 2 }]);
  });

  test('counts what is in the ledgers of two replicas once', async () => {
    const { stdout } = await run('export', '--dir', '.', '--dir', world.dataFolder, '--by', 'model');
    expect(stdout).toContain('llama-3-8b,3,0,6,0,3,9');
  });

  test('tells file and line of what it left out, and fails', async () => {
    const file = join(world.folder, '00000001.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"cost":2', '"cost":1'));
    const { code, stdout, stderr } = await run('export', '--dir', '.', '--by', 'tenant');
    expect(code).toBe(1);
    expect(stdout).toContain('tenant-a,1,0,2,0,1,3');
    expect(stderr).toBe(`${file}:2: the line was damaged and is left out\n`);
  });
});

describe('sallyport usage verify', () => {
  test('says that a whole ledger is whole', async () => {
    expect(await run('verify', '--dir', '.')).toEqual({
      code: 0,
      stdout: `${world.folder}: 4 lines in 1 files, 0 faults\n`,
      stderr: '',
    });
  });

  test('names file and line of every fault, and fails', async () => {
    const file = join(world.folder, '00000001.jsonl');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, lines.toSpliced(1, 1).join('\n').replace('"model":"llama-3-8b"', '"model":"llama-3-8c"'));
    const { code, stdout, stderr } = await run('verify', '--dir', '.');
    expect(code).toBe(1);
    expect(stderr).toBe(`${file}:2: the checksum is wrong: the line was damaged or changed\n`);
    expect(stdout).toContain('1 faults');
  });

  test('lets an unfinished last line be', async () => {
    const file = join(world.folder, '00000001.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).slice(0, -30));
    expect(await run('verify', '--dir', '.')).toMatchObject({ code: 0, stdout: expect.stringContaining('unfinished') });
  });
});

describe('sallyport usage', () => {
  test.each(['--help', '-h'])('%s teaches, with lines to paste', async (flag) => {
    const { code, stdout, stderr } = await run(flag);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^sallyport usage\b/);
    expect(stdout).toMatch(/\n {2}sallyport usage export /);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(120);
    expect((await runCaptured(exitCodeOf, ['--help'])).stdout).toMatch(/^ {2}sallyport usage\b.* {2}\S/m);
  });

  test.each<[readonly string[], string]>([
    [[], 'say what to do: export or verify'],
    [['sum'], '`sum` is no action here'],
    [['export'], 'name the folder of `quota.data_dir` with --dir'],
    [['export', 'x', '--dir', '.'], 'nothing goes behind `export` but flags'],
    [['export', '--dir', '.', '--from', 'monday'], '`--from monday` is no day: write 2027-01-31'],
    [['export', '--dir', '.', '--to', '2026-02-30'], '`--to 2026-02-30` is no day: write 2027-01-31'],
    [['export', '--dir', '.', '--from', '2027-01-02', '--to', '2027-01-01'], '--from is after --to'],
    [['export', '--dir', '.', '--format', 'xml'], '--format xml is neither csv nor json'],
    [['export', '--dir', '.', '--by', 'tenant,key'], '`--by tenant,key` is no list of tenant, model and day'],
    [['export', '--dir', '.', '--by', 'day,day'], '`--by day,day` names one twice'],
    [['verify', '--dir', '.', '--by', 'day'], '--by is not for verify'],
    [['verify', '--frobnicate'], '--frobnicate'],
  ])('%j is a usage fault that says how it would be right', async (argv, message) => {
    const { code, stdout, stderr } = await run(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('`sallyport usage --help` says more');
  });

  test('a folder without a ledger is an error that names it', async () => {
    const { code, stderr } = await run('verify', '--dir', 'ledger');
    expect(code).toBe(1);
    expect(stderr).toBe(`sallyport usage: there is no ledger in \`${world.folder}\`: no folder \`ledger\`\n`);
  });
});
