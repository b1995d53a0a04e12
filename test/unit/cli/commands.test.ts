import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { ROOT } from '../../support/tools.ts';

const COMMANDS = ['serve', 'check-config', 'build', 'init', 'lint', 'test', 'check-data', 'eval', 'explain', 'keys'];
const run = (...argv: readonly string[]) => runCaptured(exitCodeOf, argv);

describe('sallyport says what it can do', () => {
  test.each(['--help', '-h', 'help'])('`%s` names every command and what the exit codes mean', async (flag) => {
    const { code, stdout, stderr } = await run(flag);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  sallyport ${command}\\b.* {2}\\S`, 'm'));
    for (const meaning of ['0 ok', '1 failed', '2 usage', '3 bad config', '4 bad bundle']) {
      expect(stdout).toContain(meaning);
    }
    expect(stdout).toContain('with examples');
  });

  test.each(['--version', '-V'])('`%s` is the version of package.json', async (flag) => {
    // package.json is what npm reads, and it has a version.
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };
    const { code, stdout } = await run(flag);
    expect(code).toBe(0);
    expect(stdout).toBe(`sallyport ${version} (node ${process.versions.node})\n`);
  });

  test('without a command it prints its help where faults go', async () => {
    const { code, stdout, stderr } = await run();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('sallyport COMMAND --help');
  });
});

describe.each(COMMANDS)('sallyport %s', (command) => {
  test.each(['--help', '-h'])('%s begins with what it takes, teaches and has an example', async (flag) => {
    const { code, stdout, stderr } = await run(command, flag);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(new RegExp(`^sallyport ${command}\\b`));
    // A sentence on what it is good for, and a line to paste.
    expect(stdout).toMatch(/\n\n[A-Z][^\n]{40,}/);
    expect(stdout).toMatch(new RegExp(`\\n  sallyport ${command}\\b[^\\n]*`));
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(120);
  });

  test('a flag that it does not know is a usage fault that names the flag and the help', async () => {
    const { code, stdout, stderr } = await run(command, '--frobnicate');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('--frobnicate');
    expect(stderr).toContain(`\`sallyport ${command} --help\` says more`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('a command line that does not fit exits 2 and says how it would', () => {
  test.each([
    ['frobnicate', '`frobnicate` is no command'],
    ['serv', '`serv` is no command'],
    ['--config sallyport.yaml', '`--config` is no command'],
    ['constructor', '`constructor` is no command'],
    ['serve sallyport.yaml', 'sallyport.yaml'],
    ['serve --config', '--config'],
    ['check-config a.yaml b.yaml', 'one config'],
    ['build --from policies', '--out'],
    ['build policies', 'no definition'],
    ['build --entrypoint a/b', '--from'],
    ['build a.json b.json', 'one definition'],
    ['check-data a.tar.gz b.tar.gz', 'one bundle'],
    ['check-data --strict=yes', '--strict'],
    ['init', 'the one folder'],
    ['init a b', 'the one folder'],
    ['lint a b', 'one folder'],
    ['test a.json b.json', 'one definition'],
    ['test --run (', 'no regular expression'],
    ['test --coverage-threshold most', 'a percentage'],
    ['test --coverage-threshold 101', 'a percentage'],
    ['eval --case x', '`--file FILE`'],
    ['eval --case x --file y.cases.yaml /a', 'leave out the path'],
    ['eval', 'one path'],
    ['eval /a /b', 'one path'],
    ['eval --expect maybe /a', '`allow` or `deny`'],
    ['eval --as tenant-a /a', 'subject, tenant, tier, role, issuer'],
    ['eval --as password=x /a', 'password=x'],
    ['eval --as __proto__=x /a', '__proto__=x'],
    ['eval -H no-colon /a', "'NAME: VALUE'"],
    ['eval -d @no-such-file /a', 'no-such-file'],
  ])('%s', async (line, wanted) => {
    const { code, stdout, stderr } = await run(...line.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(wanted);
  });
});
