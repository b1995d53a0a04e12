/**
 * Runs OPA's conformance cases, and our own for hostile keys, through our engines: `npm run conformance -- [--json FILE]
 * [--engine js|wasm] [--case SUBSTRING] [--verbose]`. Exits with 1 when an answer is wrong or the list of unsupported
 * cases is not right.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { requireTool } from '../support/tools.ts';
import { type ConformanceCase, loadSuite } from './conformance-case.ts';
import { ENGINE_NAMES, type EngineName } from './engine.ts';
import { createEngine } from './engines.ts';
import { loadOwnCases } from './own-cases.ts';
import { runSuite, type WrongCase } from './suite-run.ts';
import { readUnsupported } from './unsupported.ts';

const { values } = parseArgs({
  options: {
    /** Where the figures go as JSON. */
    json: { type: 'string' },
    engine: { type: 'string' },
    /** Only cases whose name holds this, or which call the builtin `builtin:NAME`. */
    case: { type: 'string' },
    /** Prints the policy of each wrong case too. */
    verbose: { type: 'boolean', default: false },
  },
});

const PROGRESS_EVERY = 600;
const SHOWN_CHARACTERS = 2_000;
const BUILTIN = 'builtin:';

// As in the service.
Object.freeze(Object.prototype);

const program = requireTool('conformance');
const all = [...loadSuite(program), ...(await loadOwnCases(program))];
const part = values.case;
const cases = part === undefined ? all : all.filter((subject) => isWanted(subject, part));
const names = new Set(cases.map(({ name }) => name));
const unsupported = readUnsupported();
const figures: Partial<Record<EngineName, object>> = {};

for (const name of ENGINE_NAMES) {
  if (values.engine !== undefined && values.engine !== name) continue;
  const startMs = performance.now();
  const groups = unsupported[name].map((group) =>
    part === undefined ? group : { ...group, cases: group.cases.filter((one) => names.has(one)) },
  );
  const report = runSuite(createEngine(name), cases, groups, (done) => {
    if (done % PROGRESS_EVERY === 0) console.info(`${name}: ${done} of ${cases.length} cases`);
  });
  for (const wrong of report.wrong) print(name, wrong);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.info(
    `${name}: ${report.cases} cases, ${report.passed} passed, ${report.wrong.length} wrong, ` +
      `${report.unsupported} unsupported, in ${seconds} s`,
  );
  figures[name] = { ...report, wrong: report.wrong.length };
  if (report.wrong.length > 0) process.exitCode = 1;
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);

function isWanted({ name, builtins }: ConformanceCase, wanted: string): boolean {
  return wanted.startsWith(BUILTIN) ? builtins.includes(wanted.slice(BUILTIN.length)) : name.includes(wanted);
}

function print(engine: EngineName, { name, problem, subject }: WrongCase): void {
  console.info(`${engine}: ${name}: ${shortened(problem)}`);
  if (!values.verbose || subject === undefined) return;
  console.info(`  file ${subject.file}\n  query ${subject.query}\n  input ${subject.input ?? '(none)'}`);
  console.info(`  data ${shortened(subject.data)}\n${subject.modules.join('\n')}`);
}

function shortened(text: string): string {
  return values.verbose || text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
