/** What `npm run rego` runs: format, strict check, tests with coverage of policies/, and the legacy fixtures' format. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { requireOpa } from '../src/bundle/opa-tool.ts';

const LEAST_COVERAGE = 95;
const LEGACY = 'test/contract/fixtures/legacy';

const opa = await requireOpa({ env: process.env, report: (line) => console.info(line) });
const cwd = fileURLToPath(new URL('..', import.meta.url));

/** Runs opa in the project's root; what it has to say against the sources goes to stderr, and answers `undefined`. */
function run(...args: string[]): string | undefined {
  try {
    return execFileSync(opa, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    // execFileSync's error carries what the program printed.
    const { stdout } = error as { readonly stdout?: unknown };
    if (typeof stdout === 'string') process.stderr.write(stdout);
    console.error(`opa ${args.join(' ')}: failed`);
    process.exitCode = 1;
    return undefined;
  }
}

run('fmt', '--fail', '--list', 'policies', `${LEGACY}/v1-office-hours`);
run('fmt', '--fail', '--list', '--v0-compatible', `${LEGACY}/v0-signed-tokens`);
run('check', '--strict', '--bundle', 'policies');
run('check', '--strict', `${LEGACY}/v1-office-hours/policy.rego`);
run('check', '--strict', '--v0-compatible', `${LEGACY}/v0-signed-tokens/policy.rego`);
const tests = run('test', '--bundle', 'policies', '--format', 'json');
const coverage = run('test', '--bundle', 'policies', '--coverage', '--threshold', String(LEAST_COVERAGE));

if (tests !== undefined && coverage !== undefined && process.exitCode === undefined) {
  // Both are reports in OPA's own format, of the version that `requireOpa` demands.
  const count = (JSON.parse(tests) as readonly unknown[]).length;
  const percent = (JSON.parse(coverage) as { readonly coverage: number }).coverage;
  console.info(`policies: formatted, strict, ${count} tests passed, ${percent} % covered (at least ${LEAST_COVERAGE})`);
}
