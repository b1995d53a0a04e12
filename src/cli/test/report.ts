import { type Coverage, coveredPercent, uncoveredPlaces } from './coverage.ts';
import type { TestResult } from './test-result.ts';

/** What a person reads: the failures in full, then a line for each sort of test. */
export function toReport(results: readonly TestResult[]): string {
  const failed = results.filter(({ state }) => state === 'failed').map(failureText);
  const totals = [...new Set(results.map(({ suite }) => suite))].map((suite) => {
    const own = results.filter((result) => result.suite === suite);
    const of = (state: TestResult['state']): number => own.filter((result) => result.state === state).length;
    const skipped = of('skipped');
    const more = skipped === 0 ? '' : `, ${skipped} skipped`;
    return `${suite}: ${of('passed')} passed, ${of('failed')} failed${more}\n`;
  });
  return [...failed, ...totals].join('');
}

export function coverageText(coverage: Coverage, threshold: number | undefined): string {
  const { covered, total } = coverage;
  const told = `coverage: ${coveredPercent(coverage).toFixed(1)} % of ${total} lines of Rego (${covered})`;
  const places = uncoveredPlaces(coverage);
  const open = places.length === 0 ? '' : `no test evaluates ${places.join(', ')}\n`;
  return `${told}${threshold === undefined ? '' : `, at least ${threshold} % wanted`}\n${open}`;
}

function failureText({ suite, group, name, file, line, failures, output }: TestResult): string {
  const title = suite === 'opa test' ? `${group}.${name}` : name;
  const details = output === undefined ? '' : `${indented(output, '      ')}\n`;
  return `FAILED ${file}${line === undefined ? '' : `:${line}`} ${title}\n${indented(failures.join('\n'), '    ')}\n${details}\n`;
}

function indented(text: string, by: string): string {
  return text
    .split('\n')
    .map((line) => by + line)
    .join('\n');
}
