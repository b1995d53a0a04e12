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
import { isOwn, loadOwnCases } from './own-cases.ts';
import { runSuite, type WrongCase } from './suite-run.ts';
import { readUnsupported, type UnsupportedGroup } from './unsupported.ts';

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
const unsupported = readUnsupported();
/** OPA's 2,400 cases, and ours: counted apart. */
const sets = { opa: chosen(loadSuite(program)), own: chosen(await loadOwnCases(program)) };
const figures: Record<keyof typeof sets, Partial<Record<EngineName, object>>> = { opa: {}, own: {} };

for (const engine of ENGINE_NAMES.filter((name) => values.engine === undefined || values.engine === name)) {
  for (const set of ['opa', 'own'] as const) figures[set][engine] = run(engine, set);
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ ...figures.opa, own: figures.own }, null, 2)}\n`);
}

function run(engine: EngineName, set: keyof typeof sets): object {
  const startMs = performance.now();
  const cases = sets[set];
  const title = set === 'own' ? `${engine}, our own` : engine;
  const report = runSuite(createEngine(engine), cases, listed(engine, set), (done) => {
    if (done % PROGRESS_EVERY === 0) console.info(`${title}: ${done} of ${cases.length} cases`);
  });
  for (const wrong of report.wrong) print(engine, wrong);
  const { passed, wrong, unsupported: excused } = report;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.info(
    `${title}: ${cases.length} cases, ${passed} passed, ${wrong.length} wrong, ${excused} unsupported, in ${seconds} s`,
  );
  if (wrong.length > 0) process.exitCode = 1;
  return { cases: cases.length, passed, wrong: wrong.length, unsupported: excused };
}

function chosen(cases: readonly ConformanceCase[]): readonly ConformanceCase[] {
  const part = values.case;
  return part === undefined ? cases : cases.filter((subject) => isWanted(subject, part));
}

/** What the list says of a set; of a part of it only what is there, since the rest was not asked for. */
function listed(engine: EngineName, set: keyof typeof sets): readonly UnsupportedGroup[] {
  const asked = new Set(sets[set].map(({ name }) => name));
  return unsupported[engine].map((group) => ({
    ...group,
    cases: group.cases.filter((name) =>
      values.case === undefined ? isOwn(name) === (set === 'own') : asked.has(name),
    ),
  }));
}

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
