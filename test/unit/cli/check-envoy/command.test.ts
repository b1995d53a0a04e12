import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../../src/main.ts';
import { runCaptured } from '../../../support/captured-io.ts';
import { ROOT } from '../../../support/tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-check-envoy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SAMPLE = 'deploy/envoy/sidecar-grpc.yaml';
const FIXTURES = 'test/unit/cli/check-envoy/fixtures';
const run = (...argv: readonly string[]) => runCaptured(exitCodeOf, ['check-envoy', ...argv]);

describe('check-envoy', () => {
  test('says OK of a clean file and exits 0', async () => {
    expect(await run(SAMPLE)).toEqual({ code: 0, stdout: `${SAMPLE}: OK, no setting undoes a decision\n`, stderr: '' });
  });

  test('names each finding on one line with its place, and exits 1', async () => {
    const file = `${FIXTURES}/failure_mode_allow/failing.yaml`;
    const { code, stdout, stderr } = await run(file);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
    const line = lines.findIndex((one) => one.includes('failure_mode_allow')) + 1;
    const column = (lines[line - 1] ?? '').indexOf('failure_mode_allow') + 1;
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toMatch(new RegExp(`^${file}:${line}:${column} failure_mode_allow: .*\\.failure_mode_allow\n$`));
  });

  test('a note lets the check pass, and fails it under --strict', async () => {
    const file = `${FIXTURES}/with_request_body/failing.yaml`;
    const lenient = await run(file);
    expect(lenient.code).toBe(0);
    expect(lenient.stdout).toContain('with_request_body: note: ');
    expect(lenient.stdout).toContain('OK, no setting undoes a decision (1 notes)');
    expect((await run('--strict', file)).code).toBe(1);
  });

  test('an accepted finding is told and lets the check pass; one accepted elsewhere does not', async () => {
    const file = `${FIXTURES}/per_route_disabled/failing.yaml`;
    const { stdout } = await run(file);
    const path = stdout.trimEnd().split(' ').at(-1) ?? '';
    for (const acceptance of ['per_route_disabled', `per_route_disabled=${path}`]) {
      const { code, stdout: told } = await run('--accept', acceptance, file);
      expect(code).toBe(0);
      expect(told).toContain('disabled: accepted: ');
    }
    expect((await run('--accept', 'per_route_disabled=static_resources', file)).code).toBe(1);
    expect((await run('--accept', 'failure_mode_allow', file)).code).toBe(1);
  });

  test('several files are checked in one run, and --json tells all of them', async () => {
    const file = `${FIXTURES}/merge_slashes/failing.yaml`;
    const { code, stdout } = await run('--json', SAMPLE, file);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { file: SAMPLE, findings: [] },
      { file, findings: [{ rule: 'merge_slashes', severity: 'finding', accepted: false, name: 'merge_slashes' }] },
    ]);
  });

  test('--trusted-hops demands an address that the client cannot write', async () => {
    const file = join(folder, 'hops.yaml');
    writeFileSync(file, readFileSync(join(ROOT, SAMPLE), 'utf8').replace('use_remote_address: true', ''));
    expect((await run('--trusted-hops', '0', file)).code).toBe(0);
    expect((await run(file)).code).toBe(1);
    const { code, stdout } = await run('--trusted-hops', '1', file);
    expect(code).toBe(1);
    expect(stdout).toContain('use_remote_address: with trusted_hops: 1 ');
  });

  test('a file that cannot be read is no clean one', async () => {
    const missing = await run('no-such.yaml');
    expect(missing.code).toBe(1);
    expect(missing.stdout).toMatch(/^no-such\.yaml: ?cannot be read: /);
    const file = join(folder, 'broken.yaml');
    writeFileSync(file, 'static_resources: {');
    expect(await run(file)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/broken\.yaml:1:\d+ cannot be read: /),
    });
  });

  test.each([
    [[]],
    [['--trusted-hops', 'many', SAMPLE]],
    [['--accept', 'no_such_rule', SAMPLE]],
    [['--nonsense', SAMPLE]],
  ])('exits 2 on %j', async (argv) => {
    const { code, stdout, stderr } = await run(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('`sallyport check-envoy --help` says more');
  });

  test('--help says what it takes', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const word of ['--trusted-hops', '--accept', '--strict', '--json', 'Exit codes'])
      expect(stdout).toContain(word);
  });
});
