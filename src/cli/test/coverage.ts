import { join, relative } from 'node:path';
import { isObject } from '../../decision/json.ts';

/** Lines of one Rego file that hold something to evaluate, and whether a test evaluated it. */
export interface FileCoverage {
  readonly file: string;
  /** By line, counted from 1, ascending. */
  readonly lines: ReadonlyMap<number, boolean>;
}

export interface Coverage {
  readonly files: readonly FileCoverage[];
  readonly covered: number;
  readonly total: number;
}

export interface CoverageFolders {
  readonly source: string;
  readonly cwd: string;
}

/**
 * Reads the report of `opa test --coverage`. The tests themselves are not counted: OPA's own figure counts them, and a
 * long test then hides a rule that nothing tests. `undefined` when it is no such report.
 */
export function readCoverage(report: unknown, { source, cwd }: CoverageFolders): Coverage | undefined {
  if (!isObject(report) || !isObject(report['files'])) return undefined;
  const files = Object.entries(report['files'])
    .filter(([name]) => !name.endsWith('_test.rego'))
    .map(([name, file]) => ({ file: relative(cwd, join(source, name)), lines: linesOf(file) }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const all = files.flatMap(({ lines }) => [...lines.values()]);
  return { files, covered: all.filter((covered) => covered).length, total: all.length };
}

/** In percent; all of nothing is covered. */
export function coveredPercent({ covered, total }: Coverage): number {
  return total === 0 ? 100 : (100 * covered) / total;
}

/** The lines that no test evaluates, as `file:line` or `file:first-last`. */
export function uncoveredPlaces({ files }: Coverage): readonly string[] {
  return files.flatMap(({ file, lines }) => {
    const open = [...lines].flatMap(([line, covered]) => (covered ? [] : [line]));
    return lineRuns(open).map((run) => `${file}:${run}`);
  });
}

/** Ascending lines as `line` or `first-last`. */
export function lineRuns(lines: readonly number[]): readonly string[] {
  const runs: [number, number][] = [];
  for (const line of lines) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === line - 1) last[1] = line;
    else runs.push([line, line]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
}

/** The LCOV format of geninfo(1): one record for each file, `DA:line,hits`. */
export function toLcov({ files }: Coverage): string {
  return files
    .map(({ file, lines }) => {
      const data = [...lines].map(([line, covered]) => `DA:${line},${covered ? 1 : 0}\n`).join('');
      const hits = [...lines.values()].filter((covered) => covered).length;
      return `TN:\nSF:${file}\n${data}LF:${lines.size}\nLH:${hits}\nend_of_record\n`;
    })
    .join('');
}

function linesOf(file: unknown): ReadonlyMap<number, boolean> {
  if (!isObject(file)) return new Map();
  const lines = new Map<number, boolean>();
  for (const line of rows(file['covered'])) lines.set(line, true);
  // Of a line that was evaluated in part, the part that was not is what matters.
  for (const line of rows(file['not_covered'])) lines.set(line, false);
  return new Map([...lines].sort(([a], [b]) => a - b));
}

/** Ranges of several lines overlap the ranges of what is in them; where they begin is the line that they speak of. */
function rows(ranges: unknown): readonly number[] {
  if (!Array.isArray(ranges)) return [];
  return ranges.flatMap((range: unknown) => {
    const start = isObject(range) ? range['start'] : undefined;
    const row = isObject(start) ? start['row'] : undefined;
    return typeof row === 'number' ? [row] : [];
  });
}
