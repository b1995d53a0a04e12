import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/main.ts';
import { type Ran, runCaptured } from '../../support/captured-io.ts';
import { lineOf } from './recorded-lines.ts';

const BUNDLE = ['--bundle', 'bundles/authz.tar.gz'];

let folder: string;
let log: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-command-'));
  // Refused before any policy, on a path that has no route now either: replayable whatever the policy reads.
  const refused = { decision: 'deny', code: 'unknown_route', status: 404, input: undefined };
  const request = { method: 'POST', path: '/none' };
  log = write('equal.log', [lineOf({ ...refused, input: { request } })]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('sallyport replay', () => {
  test.each<readonly [string, readonly string[], string]>([
    ['without a log', [...BUNDLE], 'name the log with `--log FILE`'],
    ['without a bundle', ['--log', 'x'], 'name the bundle'],
    [
      'with an unknown filter',
      ['--log', 'x', ...BUNDLE, '--only', 'colour=red'],
      '`--only` does not know `colour=red`',
    ],
    ['with a number that is none', ['--log', 'x', ...BUNDLE, '--max-changes', '1.5'], 'is no number of changes'],
    [
      'with both bounds',
      ['--log', 'x', ...BUNDLE, '--max-changes', '1', '--expect-unchanged'],
      'contradict each other',
    ],
  ])('%s says how it is used', async (_, flags, message) => {
    const { code, stderr } = await replay(flags);
    expect({ code, told: stderr.includes(message) }, stderr).toEqual({ code: 2, told: true });
  });

  test('answers 4 for a bundle that is not there, that is none, or that lacks an entrypoint', async () => {
    const none = write('none.tar.gz', ['no archive']);
    for (const file of ['missing.tar.gz', none]) {
      expect((await replay(['--log', log, '--bundle', file])).code, file).toBe(4);
    }
    const config = write('other.yaml', [
      'doors: { ext_authz_http: { listen: "127.0.0.1:0" } }',
      `bundles: { authz: { file: x.tar.gz, trust: { sha256: "${'0'.repeat(64)}" } } }`,
      'policy: { decisions: { default: { decision: other/decision, result: sallyport } } }',
    ]);
    expect((await replay(['--log', log, ...BUNDLE, '--config', config])).code).toBe(4);
  });

  test('answers 0 where nothing changes, and tells of what', async () => {
    const { code, stdout } = await replay(['--log', log, ...BUNDLE]);
    expect(code).toBe(0);
    expect(stdout).toContain('1 decisions, 1 of them replayable (100 %)');
    expect(stdout).toContain('authz=r1  1 decisions, 0 changed, 0 not replayable');
  });

  test('answers 1 beyond the changes that are allowed', async () => {
    const gone = lineOf({ decision: 'deny', code: 'unknown_route', status: 404 });
    const changed = write('changed.log', [gone]);
    expect((await replay(['--log', changed, ...BUNDLE])).code).toBe(1);
    expect((await replay(['--log', changed, ...BUNDLE, '--max-changes', '1'])).code).toBe(0);
    expect((await replay(['--log', changed, ...BUNDLE, '--expect-unchanged'])).code).toBe(1);
  });

  test('a log that tells nothing does not pass for one in which nothing changes', async () => {
    const empty = write('empty.log', ['{"level":"info"}']);
    const { code, stderr } = await replay(['--log', empty, ...BUNDLE]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'sallyport replay: there is no decision in the log\n' });
    const masked = write('masked.log', [lineOf({ erased: ['/input'], input: {} })]);
    expect((await replay(['--log', masked, ...BUNDLE])).stderr).toContain('nothing could be replayed');
    expect((await replay(['--log', join(folder, 'not-there.log'), ...BUNDLE])).code).toBe(1);
  });

  test('with --expect-unchanged what cannot be replayed, or read, is a change', async () => {
    const damaged = write('damaged.log', ['{"decision_id"']);
    const masked = write('masked-too.log', [lineOf({ sequence: 7, erased: ['/input'], input: {} })]);
    for (const other of [damaged, masked]) {
      expect((await replay(['--log', `${log},${other}`, ...BUNDLE])).code, other).toBe(0);
      expect((await replay(['--log', `${log},${other}`, ...BUNDLE, '--expect-unchanged'])).code, other).toBe(1);
    }
  });

  test('names what more would have to be logged, and lets no control character out of a log', async () => {
    const file = write('unlogged.log', [
      lineOf({ decision_id: 'a\u001b[2J' }),
      lineOf({ sequence: 2, decision: 'deny', code: 'unknown_route', status: 404, decision_id: 'b\u001b[2J' }),
    ]);
    const shipped = readFileSync('sallyport.yaml', 'utf8');
    const config = write('short.yaml', [
      shipped
        .replace('bundles/authz.tar.gz', join(process.cwd(), 'bundles/authz.tar.gz'))
        .replace(/^decision_log:\n(?: .*\n)+/m, 'decision_log: {input: [request.method, identity.kind]}\n'),
    ]);
    const { stdout } = await replay(['--log', file, ...BUNDLE, '--config', config]);
    expect(stdout).toContain('not replayable, by what the events do not tell');
    expect(stdout).toMatch(/add to `decision_log.input`: request.size/);
    expect(stdout).toContain('another route: refused for its route before');
    expect(stdout).not.toContain('\u001b');
  });
});

function replay(flags: readonly string[]): Promise<Ran> {
  return runCaptured(exitCodeOf, ['replay', ...flags]);
}

function write(name: string, lines: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
}
