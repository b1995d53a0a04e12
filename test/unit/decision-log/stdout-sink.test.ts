import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** A process that writes lines through the sink to its own stdout and reports on stderr. */
const WRITER = `
  import { createStdoutSink } from '${new URL('../../../src/decision-log/stdout-sink.ts', import.meta.url).pathname}';
  const sink = createStdoutSink(process.stdout);
  await sink.open();
  let turns = 0;
  const counting = setInterval(() => { turns += 1; }, 1);
  let taken = 0;
  const results = [];
  const line = JSON.stringify({ text: 'x'.repeat(1000) }) + '\\n';
  const writing = (async () => {
    for (let i = 0; i < 300; i += 1) {
      try { await sink.write([line]); taken += 1; } catch (error) { results.push(error.code); break; }
    }
  })();
  const late = new Promise((resolve) => setTimeout(resolve, 400));
  await Promise.race([writing, late]);
  clearInterval(counting);
  process.stderr.write(JSON.stringify({ taken, turns, results }));
  process.exit(0);
`;

interface Report {
  readonly taken: number;
  readonly turns: number;
  readonly results: readonly string[];
}

async function run(
  stdout: 'pipe' | number,
  read: 'all' | 'nothing' | 'closed',
): Promise<{ report: Report; out: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER], { stdio: ['ignore', stdout, 'pipe'] });
  let out = '';
  if (read === 'all') child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  if (read === 'closed') child.stdout?.destroy();
  let report = '';
  child.stderr?.on('data', (data: Buffer) => (report += data.toString()));
  const code = await new Promise((resolve) => child.on('exit', resolve));
  expect(code, report).toBe(0);
  return { report: JSON.parse(report), out };
}

test('writes whole lines to a pipe', async () => {
  const { report, out } = await run('pipe', 'all');
  expect(report.taken).toBe(300);
  expect(
    out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).text.length),
  ).toEqual(Array(300).fill(1000));
});

test('a reader that stalls holds the sink up, but not the event loop and not the end of the process', async () => {
  const { report } = await run('pipe', 'nothing');
  expect(report.taken).toBeLessThan(300);
  expect(report.turns).toBeGreaterThan(20);
});

test('a reader that goes away is an error of the write and ends nothing', async () => {
  const { report } = await run('pipe', 'closed');
  expect(report.results).toEqual(['EPIPE']);
});

test('writes to a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-stdout-'));
  try {
    const file = await open(join(folder, 'out'), 'a');
    const { report } = await run(file.fd, 'nothing');
    await file.close();
    expect(report.taken).toBe(300);
    expect(readFileSync(join(folder, 'out'), 'utf8').split('\n').filter(Boolean)).toHaveLength(300);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
