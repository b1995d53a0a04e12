import { join, relative } from 'node:path';
import type { Bundle } from '../../bundle/bundle.ts';
import { expressionPlaces } from '../../policy/plan/expression-places.ts';
import { readPlan } from '../../policy/plan/plan-reader.ts';
import { type CoverageFolders, lineRuns } from './coverage.ts';

/** What the request cases evaluate of one Rego file. */
export interface CaseCoverage {
  readonly file: string;
  readonly covered: number;
  readonly total: number;
  /** Lines, ascending, with an expression that no case evaluates. */
  readonly open: readonly number[];
}

/** Counts the expressions of a bundle's policy of which `evaluated` holds the places, as `file:row:col`. */
export function coverageOfCases(
  { plan }: Pick<Bundle, 'plan'>,
  evaluated: ReadonlySet<string>,
  { source, cwd }: CoverageFolders,
): readonly CaseCoverage[] {
  const files = new Map<string, { covered: number; total: number; open: Set<number> }>();
  for (const [key, { file, row }] of expressionPlaces(readPlan(plan))) {
    const counts = files.get(file) ?? { covered: 0, total: 0, open: new Set() };
    files.set(file, counts);
    counts.total += 1;
    if (evaluated.has(key)) counts.covered += 1;
    else counts.open.add(row);
  }
  return [...files]
    .map(([file, { covered, total, open }]) => ({
      file: relative(cwd, join(source, file)),
      covered,
      total,
      open: [...open].sort((a, b) => a - b),
    }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** A line for each file, and one for all of them. */
export function caseCoverageText(files: readonly CaseCoverage[]): string {
  const sum = (of: (file: CaseCoverage) => number): number => files.reduce((total, file) => total + of(file), 0);
  const covered = sum((file) => file.covered);
  const total = sum((file) => file.total);
  const percent = total === 0 ? 100 : (100 * covered) / total;
  const lines = files.map(({ file, ...counts }) => {
    const open = counts.open.length === 0 ? '' : `, none evaluates all of line ${lineRuns(counts.open).join(', ')}`;
    return `  ${file} ${counts.covered}/${counts.total}${open}\n`;
  });
  return `the request cases evaluate ${percent.toFixed(1)} % of ${total} expressions (${covered}):\n${lines.join('')}`;
}
