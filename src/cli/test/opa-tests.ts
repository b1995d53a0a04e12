import { execFile } from 'node:child_process';
import { join, relative } from 'node:path';
import { BundleError } from '../../bundle/errors.ts';
import { isObject } from '../../decision/json.ts';
import type { TestResult } from './test-result.ts';

export interface OpaTests {
  /** Path of an opa. */
  readonly opa: string;
  /** The folder with Rego, data and tests; absolute. */
  readonly source: string;
  /** What the bundle leaves out beside its tests. */
  readonly ignore: readonly string[];
  /** OPA's regular expression over `data.PACKAGE.test_NAME`. */
  readonly run?: string | undefined;
  /** What names of files are relative to. */
  readonly cwd: string;
}

/** Runs `opa test` as on a bundle; throws a `BundleError` with OPA's words where it cannot load the sources. */
export async function runOpaTests(parts: OpaTests): Promise<readonly TestResult[]> {
  const { stdout, stderr } = await opaTest(parts, []);
  const reports = parseJson(stdout);
  if (!Array.isArray(reports)) {
    throw new BundleError('bundle_build_failed', `\`opa test\` cannot load the sources:\n${(stderr + stdout).trim()}`);
  }
  return reports.map((report: unknown) => toResult(report, parts));
}

/** OPA's coverage report, unparsed; `undefined` while tests fail, for then it gives none. */
export async function runOpaCoverage(parts: OpaTests): Promise<unknown> {
  const { stdout } = await opaTest(parts, ['--coverage']);
  return parseJson(stdout);
}

/** With the folder as `.`, because names that it prints are then relative to it. */
function opaTest({ opa, source, ignore, run }: OpaTests, more: readonly string[]): Promise<Printed> {
  const args = ['test', '--bundle', '.', '--format', 'json', ...more];
  for (const pattern of ignore) if (!pattern.endsWith('_test.rego')) args.push('--ignore', pattern);
  if (run !== undefined) args.push('--run', run);
  return new Promise((resolve, reject) => {
    execFile(opa, args, { cwd: source, timeout: 300_000, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      // A number is an exit code: opa ran, and says in its output what is wrong.
      if (error === null || typeof error.code === 'number') resolve({ stdout, stderr });
      else reject(error);
    });
  });
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is OPA's complaint in words.
    return undefined;
  }
}

function toResult(report: unknown, { source, cwd }: OpaTests): TestResult {
  const { location, package: group, name, fail, skip, error, duration, output } = isObject(report) ? report : {};
  const { file, row } = isObject(location) ? location : {};
  const failed = fail === true || error !== undefined;
  const words = isObject(error) && typeof error['message'] === 'string' ? error['message'] : 'its body is not true';
  const printed = typeof output === 'string' ? Buffer.from(output, 'base64').toString('utf8').trimEnd() : '';
  return {
    suite: 'opa test',
    group: typeof group === 'string' ? group : '',
    name: typeof name === 'string' ? name : '',
    file: relative(cwd, join(source, typeof file === 'string' ? file : '')),
    ...(typeof row === 'number' ? { line: row } : {}),
    durationMs: typeof duration === 'number' ? duration / 1e6 : 0,
    state: failed ? 'failed' : skip === true ? 'skipped' : 'passed',
    failures: failed ? [words] : [],
    ...(printed === '' ? {} : { output: printed }),
  };
}
