import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../../support/tools.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-ci-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const passing = { passed: 3, failed: 0, pending: 0, files: [] };

describe('the last line of .ci/run says what ran', () => {
  test.each([
    [
      'all passed',
      {
        install: 0,
        test: 0,
        rego: 'policies: formatted, strict, 4 tests passed, 100 % covered (at least 95)',
        vitest: passing,
      },
      '7 passed, 0 failed',
      0,
    ],
    [
      'some skipped',
      { install: 0, test: 0, rego: '', vitest: { ...passing, pending: 2 } },
      '3 passed, 0 failed, 2 skipped',
      0,
    ],
    [
      'a test failed',
      {
        install: 0,
        test: 1,
        rego: 'policies: formatted, strict, 4 tests passed, 100 % covered (at least 95)',
        vitest: { ...passing, failed: 2 },
      },
      '7 passed, 2 failed',
      1,
    ],
    [
      'a file could not be loaded',
      { install: 0, test: 1, rego: '', vitest: { ...passing, files: ['failed'] } },
      '3 passed, 1 failed',
      1,
    ],
    [
      'a rule of Rego failed, so that vitest never ran',
      { install: 0, test: 1, rego: 'opa test --bundle policies: failed' },
      '0 passed, 1 failed',
      1,
    ],
    ['the runner crashed before its report', { install: 0, test: 134, rego: '' }, '0 passed, 1 failed', 1],
    [
      'the runner failed although every test passed',
      { install: 0, test: 1, rego: '', vitest: passing },
      '3 passed, 1 failed',
      1,
    ],
    ['no test ran', { install: 0, test: 0, rego: '', vitest: { ...passing, passed: 0 } }, '0 passed, 0 failed', 1],
    ['the install failed', { install: 1, test: 0, rego: '' }, '0 passed, 1 failed', 1],
  ])('%s', (_title, script, line, code) => {
    const result = runWith(script);
    expect(result.output.trimEnd().split('\n').at(-1)).toBe(line);
    expect(result.code).toBe(code);
  });

  test('a missing tool is a failure there: `CI` is set', () => {
    const { output } = runWith({ install: 0, test: 0, rego: '', vitest: passing });
    expect(output).toContain('CI=true');
  });
});

interface Script {
  readonly install: number;
  readonly test: number;
  readonly rego: string;
  readonly vitest?: { passed: number; failed: number; pending: number; files: readonly string[] };
}

/** Runs the real script in a copy of its own, with an `npm` that acts as told. */
function runWith(script: Script): { readonly output: string; readonly code: number } {
  const { vitest } = script;
  const report =
    vitest === undefined
      ? undefined
      : JSON.stringify({
          numPassedTests: vitest.passed,
          numFailedTests: vitest.failed,
          numPendingTests: vitest.pending,
          numTodoTests: 0,
          testResults: vitest.files.map((status) => ({ status, assertionResults: [] })),
        });
  const npm = `#!/usr/bin/env bash
echo "CI=$CI"
if [ "$1" = ci ]; then exit ${script.install}; fi
printf '%s\\n' ${JSON.stringify(script.rego)} | sed 's/\\\\n/\\n/g'
for argument in "$@"; do
  case "$argument" in --outputFile.json=*) file="\${argument#*=}" ;; esac
done
${report === undefined ? '' : `printf '%s' '${report}' > "$file"`}
exit ${script.test}
`;
  write('bin/npm', npm, 0o755);
  for (const file of ['.ci/run', '.ci/summary.js']) write(file, readFileSync(join(ROOT, file), 'utf8'), 0o755);
  write('package.json', '{"type":"module"}');
  const env = {
    ...process.env,
    CI: '',
    PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env['PATH']}`,
  };
  try {
    return { output: execFileSync(join(folder, '.ci/run'), { env, encoding: 'utf8', stdio: 'pipe' }), code: 0 };
  } catch (error) {
    // execFileSync's error carries what the program wrote and its exit code.
    const { stdout, status } = error as { stdout: string; status: number };
    return { output: stdout, code: status };
  }
}

function write(path: string, text: string, mode = 0o644): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}
