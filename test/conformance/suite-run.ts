import { judge, type Verdict } from './compare.ts';
import type { ConformanceCase } from './conformance-case.ts';
import type { ConformanceEngine } from './engine.ts';
import type { UnsupportedGroup } from './unsupported.ts';

/** What a run over all cases found. `wrong` counts stale entries of the list of unsupported cases too. */
export interface SuiteReport {
  readonly cases: number;
  readonly passed: number;
  readonly unsupported: number;
  readonly wrong: readonly WrongCase[];
}

export interface WrongCase {
  readonly name: string;
  readonly problem: string;
  readonly subject: ConformanceCase | undefined;
}

/** Judges every case; a case that the list calls unsupported has to fail in the way that it says. */
export function runSuite(
  engine: ConformanceEngine,
  cases: readonly ConformanceCase[],
  unsupported: readonly UnsupportedGroup[],
  onCase: (done: number) => void = () => undefined,
): SuiteReport {
  const listed = new Map(unsupported.flatMap(({ kind, cases: names }) => names.map((name) => [name, kind] as const)));
  const wrong: WrongCase[] = [];
  let passed = 0;
  let excused = 0;
  for (const [position, subject] of cases.entries()) {
    const kind = listed.get(subject.name);
    const verdict = judge(engine, subject);
    listed.delete(subject.name);
    if (kind !== undefined && verdict.kind === kind) excused++;
    else if (kind === undefined && verdict.kind === 'passed') passed++;
    else wrong.push({ name: subject.name, problem: describe(verdict, kind), subject });
    onCase(position + 1);
  }
  for (const name of listed.keys()) {
    wrong.push({ name, problem: 'is listed as unsupported, and there is no such case', subject: undefined });
  }
  return { cases: cases.length, passed, unsupported: excused, wrong };
}

function describe(verdict: Verdict, listedAs: string | undefined): string {
  const stale = listedAs === undefined ? '' : `(listed as unsupported: ${listedAs}) `;
  switch (verdict.kind) {
    case 'passed':
      return `${stale}passes: take it off the list`;
    case 'refused':
      return `${stale}refused: ${verdict.reason}`;
    case 'differs':
      return `${stale}\n  wanted ${verdict.wanted}\n  got    ${verdict.got}`;
  }
}
