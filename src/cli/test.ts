import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type BundleDefinition, loadDefinition } from '../bundle/definition.ts';
import { requireOpa } from '../bundle/opa-tool.ts';
import { parseArguments } from './arguments.ts';
import { readCaseFiles } from './case-files.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { tellError } from './exit-code.ts';
import { buildInMemory, requireDefault } from './test/built-bundle.ts';
import { type CaseCoverage, caseCoverageText, coverageOfCases } from './test/case-coverage.ts';
import { runCases } from './test/case-runs.ts';
import { type Coverage, coveredPercent, readCoverage, toLcov } from './test/coverage.ts';
import { toJunit } from './test/junit.ts';
import { type OpaTests, runOpaCoverage, runOpaTests } from './test/opa-tests.ts';
import { coverageText, toReport } from './test/report.ts';
import type { TestResult } from './test/test-result.ts';
import { trialConfig } from './test/trial-config.ts';
import { watchPaths } from './test/watch.ts';
import type { CasesPorts } from './trial.ts';

const HELP = `sallyport test [DEFINITION] [--coverage] [--coverage-threshold N] [--junit FILE] [--lcov FILE] [--watch] [--run REGEX]

Tests the policies of a bundle: the Rego tests with \`opa test\`, then the request cases in YAML (*.cases.yaml beside
the policies, or where \`cases\` of the definition says) by the bundle that \`sallyport build\` would make of them. What
fails is told with what was expected and what came of it, the reasons of the policy and the charges.

  sallyport test                                          what bundles/authz.json describes
  sallyport test --coverage-threshold 95 --junit test.xml --lcov rego.info
  sallyport test --watch --run cross-tenant               again after every change, only what has this name

  --coverage              what the request cases evaluate of the policy: expressions of each file, lines left out
  --coverage-threshold N  exit 1 when the Rego tests evaluate less than N percent of the lines of Rego that are no tests
  --junit FILE            the results of both as JUnit XML
  --lcov FILE             the coverage of the Rego tests as LCOV
  --watch                 stay, and test again after every change to the policies, cases or data
  --run REGEX             only tests (data.PACKAGE.test_NAME) and cases (their name) that match
  --config FILE           whose decisions, network and decision log the cases are decided by (default: sallyport.yaml;
                          where there is none, the default decision is the first entrypoint of the definition)

Exit codes: 0 all passed, 1 something failed or there was nothing to test, 2 usage, 3 bad config, 4 the sources, the
definition or the cases cannot be read.
`;

const OPTIONS = {
  coverage: { type: 'boolean', default: false },
  'coverage-threshold': { type: 'string' },
  junit: { type: 'string' },
  lcov: { type: 'string' },
  watch: { type: 'boolean', default: false },
  run: { type: 'string' },
  config: { type: 'string' },
} as const;

export interface TestPorts extends CasesPorts {
  /** Ends `--watch`; without it only the end of the process does. */
  readonly stop?: AbortSignal;
}

/** Makes the command `test`. */
export function createTest(ports: TestPorts): Command {
  return async (argv, io) => {
    const { values, positionals } = parseArguments(argv, OPTIONS, true);
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const [file = 'bundles/authz.json', ...more] = positionals;
    if (more.length > 0) throw new UsageError('only one definition is tested at a time');
    const asked: Asked = {
      file,
      config: values.config,
      run: values.run === undefined ? undefined : toPattern(values.run),
      coverage: values.coverage,
      threshold: toThreshold(values['coverage-threshold']),
      junit: values.junit === undefined ? undefined : resolve(io.cwd, values.junit),
      lcov: values.lcov === undefined ? undefined : resolve(io.cwd, values.lcov),
    };
    return values.watch ? await watchAndTest(asked, ports, io) : await testOnce(asked, ports, io);
  };
}

interface Asked {
  readonly file: string;
  readonly config: string | undefined;
  readonly run: RegExp | undefined;
  readonly coverage: boolean;
  readonly threshold: number | undefined;
  readonly junit: string | undefined;
  readonly lcov: string | undefined;
}

async function testOnce(asked: Asked, ports: TestPorts, io: Io): Promise<number> {
  const { run, threshold, junit, lcov } = asked;
  const definition = await loadDefinition(resolve(io.cwd, asked.file));
  const opa = await requireOpa({ env: io.env, report: (line) => io.stderr(`${line}\n`) });
  const source = resolve(io.cwd, definition.source);
  const rego: OpaTests = { opa, source, ignore: definition.ignore, run: run?.source, cwd: io.cwd };
  const [unitTests, cases] = await Promise.all([runOpaTests(rego), testCases(asked, definition, { opa, ports, io })]);
  const results = [...unitTests, ...cases.results];
  io.stdout(toReport(results));
  if (cases.coverage !== undefined) io.stdout(caseCoverageText(cases.coverage));
  if (junit !== undefined) await writeOut(junit, toJunit(results));
  if (results.length === 0) {
    io.stdout(run === undefined ? 'there is nothing to test\n' : 'no test and no case has such a name\n');
    return EXIT.failed;
  }
  const failed = results.some(({ state }) => state === 'failed');
  if (threshold === undefined && lcov === undefined) return failed ? EXIT.failed : EXIT.ok;
  const coverage = readCoverage(await runOpaCoverage(rego), { source, cwd: io.cwd });
  if (coverage === undefined) {
    io.stdout('coverage: not measured while tests fail\n');
    return EXIT.failed;
  }
  io.stdout(coverageText(coverage, threshold));
  if (lcov !== undefined) await writeOut(lcov, toLcov(coverage));
  return failed || isBelow(coverage, threshold) ? EXIT.failed : EXIT.ok;
}

interface CaseTools {
  readonly opa: string;
  readonly ports: TestPorts;
  readonly io: Io;
}

interface TestedCases {
  readonly results: readonly TestResult[];
  /** Where it was asked for. */
  readonly coverage: readonly CaseCoverage[] | undefined;
}

/** The cases, by a bundle that is built in memory as it would be on disk. */
async function testCases(asked: Asked, definition: BundleDefinition, tools: CaseTools): Promise<TestedCases> {
  const { opa, ports, io } = tools;
  const files = await readCaseFiles(definition, io.cwd);
  if (files.every(({ cases }) => cases.length === 0)) return { results: [], coverage: undefined };
  const config = trialConfig(asked.config, definition.entrypoints, io);
  const bundle = await buildInMemory(asked.file, definition, { opa, cwd: io.cwd });
  requireDefault(bundle, config);
  const runs = { files, bundle, trial: ports.openTrial(config), run: asked.run };
  if (!asked.coverage) return { results: await runCases(runs), coverage: undefined };
  const evaluated = new Set<string>();
  const onEvaluated = (places: ReadonlySet<string>): void => {
    for (const place of places) evaluated.add(place);
  };
  const results = await runCases({ ...runs, onEvaluated });
  const source = resolve(io.cwd, definition.source);
  return { results, coverage: coverageOfCases(bundle, evaluated, { source, cwd: io.cwd }) };
}

async function watchAndTest(asked: Asked, ports: TestPorts, io: Io): Promise<number> {
  const definition = await loadDefinition(resolve(io.cwd, asked.file));
  const paths = [asked.file, definition.source, ...(definition.cases ?? [])].map((path) => resolve(io.cwd, path));
  const watch = watchPaths({
    paths: [...new Set(paths)].filter(existsSync),
    except: new Set([asked.junit, asked.lcov].filter((path) => path !== undefined)),
  });
  try {
    for (;;) {
      // Who is in the middle of a change has sources that do not compile, and goes on.
      const code = await testOnce(asked, ports, io).catch((error: unknown) => tellError(error, 'test', io));
      io.stdout(`${code === EXIT.ok ? 'all passed' : 'failed'}; waiting for changes\n`);
      if (!(await watch.next(ports.stop))) return code;
    }
  } finally {
    watch.close();
  }
}

async function writeOut(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

function isBelow(coverage: Coverage, threshold: number | undefined): boolean {
  return threshold !== undefined && coveredPercent(coverage) < threshold;
}

function toThreshold(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const percent = Number(text);
  if (text.trim() !== '' && percent >= 0 && percent <= 100) return percent;
  throw new UsageError('`--coverage-threshold` takes a percentage from 0 to 100');
}

function toPattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError(`\`--run ${text}\` is no regular expression`, { cause: error });
  }
}
