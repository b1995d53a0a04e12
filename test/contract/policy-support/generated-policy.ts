import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTool } from '../../support/tools.ts';
import { render, renderUnit, type Unit } from './rego-rules.ts';
import { SHAPE_REGO } from './shape.ts';

/** What rules read by a name that they learn at run time. */
export const TABLE_REGO: ReadonlyMap<string, string> = new Map([
  ['tab_a.rego', 'package tab.a\n\nval := [key | some key, _ in input.o]\n\nfn(x) := x\n'],
  ['tab_b.rego', 'package tab.b\n\nval := x if x := input.n\n'],
  ['tab_c.rego', 'package tab["constructor"]\n\nval := data.d.o\n'],
]);

/** Documents beside those rules, in the same places. */
export const TABLE_DATA = { a: { other: 1 }, c: { val: { x: 1 } }, '12': { val: 12 } };

/** Takes out the units that OPA does not compile, and those that name them. */
export function compilable(units: readonly Unit[]): readonly Unit[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-generated-'));
  try {
    for (const [name, text] of TABLE_REGO) writeFileSync(join(folder, name), text);
    let left = units;
    for (;;) {
      writeFileSync(join(folder, 'gen.rego'), render(left));
      const lines = wrongLines(folder);
      if (lines === undefined) return left;
      left = withoutWrong(left, lines);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of `gen.rego` that have errors; `undefined` when there are none. */
function wrongLines(folder: string): readonly number[] | undefined {
  try {
    execFileSync(requireTool('opa'), ['check', '--format', 'json', '--max-errors', '0', '.'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1_048_576,
    });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    const rows = [...said.matchAll(/"row": (\d+)/g)].map(([, row]) => Number(row));
    if (rows.length === 0) throw new Error(`opa check: ${said}`, { cause: error });
    return rows;
  }
}

function withoutWrong(units: readonly Unit[], lines: readonly number[]): readonly Unit[] {
  const wrong = new Set<string>();
  let line = 3;
  for (const unit of units) {
    const end = line + renderUnit(unit).split('\n').length;
    if (lines.some((at) => at >= line && at < end)) wrong.add(unit.name);
    line = end + 1;
  }
  if (wrong.size === 0) throw new Error(`no unit is at the lines ${lines.join(', ')}`);
  return units.filter((unit) => {
    // A later unit that names one that is gone goes too.
    const gone = wrong.has(unit.name) || namesIn(unit).some((name) => wrong.has(name));
    if (gone) wrong.add(unit.name);
    return !gone;
  });
}

/** The rules and functions that a unit names. */
export function namesIn(unit: Unit): readonly string[] {
  return (renderUnit(unit).match(/\b[rf]\d+\b/g) ?? []).filter((name) => name !== unit.name);
}

/** A module for OPA alone that says all of each answer. */
export function askModule(units: readonly Unit[]): string {
  const rules = units.filter(({ asked }) => asked).map(({ name }) => `${name} := shape(data.gen.${name})`);
  return `package ask\n${SHAPE_REGO}\n${rules.join('\n')}\n`;
}
