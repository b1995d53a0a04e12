import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTool } from '../../support/tools.ts';
import { type Clause, render, type Unit } from './rego-rules.ts';
import { SHAPE_REGO } from './shape.ts';
import { stubOf } from './smallest.ts';

/** What rules read by a name that they learn at run time. */
export const TABLE_REGO: ReadonlyMap<string, string> = new Map([
  ['tab_a.rego', 'package tab.a\n\nval := [key | some key, _ in input.o]\n\nfn(x) := x\n'],
  ['tab_b.rego', 'package tab.b\n\nval := x if x := input.n\n'],
  // Replaced by functions here, where nothing is taken out of it.
  [
    'tab_d.rego',
    `package tab.d

one(x) := [x]
two(x) := y if y := [count(input.xs), x]
two(x) := "none" if not input.xs

val := [object.get(input, "xs", 0), [n | n := lower(input.s) with lower as one], count(input), sorted, m, five] if {
	five := [twice(1), input.n] with twice as 5
	m := [upper("ab"), twice(input.n)] with upper as two with twice as one
}
twice(x) := x * 2
sorted := x if x := [sort([2, 1]), upper("a")] with sort as one with upper as "mock" with input.xs as [7]
`,
  ],
  // Each makes something seen that generated rules come to too seldom.
  [
    'tab_e.rego',
    `package tab.e

keys := [key | some key, _ in data.d.o]

remembered := [keys, [all | all := keys with data.d.o as {"x": 1, "a": 2}], keys, [all | all := keys with data.d as input]]

both := [input.s, data.d.s]

of_both := [both, [v | v := both with data.d.s as "other"], both, [v | v := both with input.s as "other"], both]

texts := [text | some text in ({input.s, input.t, "\\uffee", "😀", "~"} | set())]

order := [sort([input.s, "\\uffee😀", "😀"]), input.s < "\\uffee", max({input.t, "\\uffee", "😀"})]

written := json.marshal({"<&>": [input.s, input.any], "\\u2028": input.o})

sums := [input.n + 0.1, input.n * 0.7, input.n / 3, sum([input.m, 0.2]), 0.1 + 0.2]

restored := [inner, input.s, data.d.s, [input, data.d]] if {
	inner := [input.s, data.d.s] with input.s as "inner" with data.d.s as input.t
}

named := [value | some name in ["a", "b", "d", input.s, "constructor"]; value := data.tab[name].val]

passed := [name | some name in ["a", "d", "gone", "constructor"]; not data.tab[name].val]

compared := [name | some name in ["a", "b", "gone", "constructor"]; not data.tab[name].val == input.n]

every_one := [name | some name in ["a", "b", "gone", "constructor"]; every x in data.tab[name].val { x }]

replaced := [name | some name in ["a", "b", "gone", "constructor"]; not data.tab[name].val with input.n as data.d.o]
`,
  ],
  ['tab_c.rego', 'package tab["constructor"]\n\nval := data.d.o\n'],
]);

/** Documents beside those rules, in the same places. */
export const TABLE_DATA = { a: { other: 1 }, c: { val: { x: 1 } }, '12': { val: 12 } };

const TABLES = [
  ...['tab/a/val', 'tab/b/val', 'tab/d/val'],
  ...[
    'remembered',
    'of_both',
    'texts',
    'order',
    'written',
    'sums',
    'restored',
    'named',
    'passed',
    'compared',
    'every_one',
    'replaced',
  ].map((rule) => `tab/e/${rule}`),
];

/** Of these, what Wasm answers otherwise: `not` and `every` of what is found at run time. */
export const BEHIND_DYNAMIC_CALLS: ReadonlySet<string> = new Set(
  ['passed', 'compared', 'every_one', 'replaced'].map((rule) => `tab/e/${rule}`),
);

/** What can be asked of the units, and of the tables. */
export function entrypointsOf(units: readonly Unit[]): readonly string[] {
  return [...TABLES, ...units.flatMap(({ name, asked }) => (asked ? [`gen/${name}`] : []))];
}

const MOST_ROUNDS = 60;

/** OPA compiles the policy, and cannot make a plan of it; it does not say where. */
export class UnplannedError extends Error {
  override readonly name = 'UnplannedError';
}

/** The units without what OPA does not compile. */
export function compilable(units: readonly Unit[]): readonly Unit[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-generated-'));
  try {
    for (const [name, text] of TABLE_REGO) writeFileSync(join(folder, name), text);
    let left = units;
    for (let rounds = 0; ; rounds++) {
      if (rounds > MOST_ROUNDS) throw new Error('the generated policy does not get right');
      const text = render(left);
      writeFileSync(join(folder, 'gen.rego'), text);
      const entrypoints = entrypointsOf(left).flatMap((name) => ['-e', name]);
      const lines = wrongLines(folder, text, entrypoints);
      if (lines === undefined) return left;
      left = withoutWrong(left, lines);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of `gen.rego` that have errors; `undefined` when there are none. */
function wrongLines(folder: string, text: string, entrypoints: readonly string[]): readonly number[] | undefined {
  const said = complaint(folder, ['check', '--format', 'json', '--max-errors', '0', '.']);
  if (said !== undefined) return linesIn(said, /"file": "gen\.rego",\s*"row": (\d+)/g);
  if (entrypoints.length === 0) return undefined;
  // `opa build` compiles what it has compiled once more, and then takes some functions with `else` for no functions.
  const again = complaint(folder, ['build', '-t', 'plan', '-o', join(folder, 'plan.tar.gz'), ...entrypoints, '.']);
  if (again === undefined) return undefined;
  const [, name] = /function data\.gen\.(f\d+) used as reference/.exec(again) ?? [];
  if (name === undefined) return linesIn(again, /gen\.rego:(\d+):/g);
  return text.split('\n').flatMap((line, at) => (line.startsWith(`${name}(`) ? [at + 1] : []));
}

function linesIn(said: string, pattern: RegExp): readonly number[] {
  const lines = [...said.matchAll(pattern)].map(([, line]) => Number(line));
  if (lines.length === 0 || lines.every((line) => line < 3)) throw new UnplannedError(`opa: ${said}`);
  return lines;
}

function complaint(folder: string, args: readonly string[]): string | undefined {
  try {
    execFileSync(requireTool('opa'), args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1_048_576,
    });
    return undefined;
  } catch (error) {
    return error instanceof Error && 'stderr' in error && 'stdout' in error
      ? `${String(error.stderr)}${String(error.stdout)}`
      : String(error);
  }
}

/** Statements that have errors go; a unit whose head has one becomes another, so that others may still name it. */
function withoutWrong(units: readonly Unit[], lines: readonly number[]): readonly Unit[] {
  const wrong = new Set(lines);
  let line = 3;
  let changed = false;
  const at = (): boolean => wrong.has(line++);
  const left = units.map((unit) => {
    let headWrong = false;
    const mend = (clause: Clause, isElse: boolean): Clause => {
      if (!isElse && at()) headWrong = true;
      const body = clause.body.filter(() => !at());
      if (body.length < clause.body.length) changed = true;
      const next = (clause.next ?? []).map((one) => {
        // The line of a closing brace, which the `else` shares.
        if (at()) headWrong = true;
        return mend(one, true);
      });
      // `else` without a body ends the chain on its own line.
      return { ...clause, body: body.length > 0 || clause.body.length === 0 ? body : ['true'], next };
    };
    const clauses = unit.clauses.map((clause) => {
      const mended = mend(clause, false);
      const last = lastOf(clause);
      if (last.body.length > 0) line++;
      return mended;
    });
    line++;
    if (!headWrong) return { ...unit, clauses };
    changed = true;
    return stubOf(unit);
  });
  if (!changed) throw new Error(`nothing is at the lines ${lines.join(', ')}`);
  return left;
}

function lastOf(clause: Clause): Clause {
  const last = clause.next?.at(-1);
  return last === undefined ? clause : lastOf(last);
}

/** A module for OPA alone that says all of each answer, under its entrypoint with `_` for `/`. */
export function askModule(entrypoints: readonly string[]): string {
  const rules = entrypoints.map((name) => {
    const [first, ...rest] = name.split('/');
    const reference = `data.${first}${rest.map((part) => `[${JSON.stringify(part)}]`).join('')}`;
    return `${name.replaceAll('/', '_')} := shape(${reference})`;
  });
  return `package ask\n${SHAPE_REGO}\n${rules.join('\n')}\n`;
}
