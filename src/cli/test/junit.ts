import type { TestResult } from './test-result.ts';

/** The XML that CI systems read as JUnit's. */
export function toJunit(results: readonly TestResult[]): string {
  const suites = [...new Set(results.map(({ suite }) => suite))].map((suite) =>
    toSuite(
      suite,
      results.filter((result) => result.suite === suite),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sallyport test"${counts(results)}>\n${suites.join('')}</testsuites>\n`;
}

function toSuite(suite: string, results: readonly TestResult[]): string {
  return `  <testsuite name="${escaped(suite)}"${counts(results)}>\n${results.map(toCase).join('')}  </testsuite>\n`;
}

function counts(results: readonly TestResult[]): string {
  const of = (state: TestResult['state']): number => results.filter((result) => result.state === state).length;
  const totalMs = results.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return ` tests="${results.length}" failures="${of('failed')}" errors="0" skipped="${of('skipped')}" time="${seconds(totalMs)}"`;
}

function toCase({ group, name, file, line, durationMs, state, failures, output }: TestResult): string {
  const place = `file="${escaped(file)}"${line === undefined ? '' : ` line="${line}"`}`;
  const head = `    <testcase classname="${escaped(group)}" name="${escaped(name)}" ${place} time="${seconds(durationMs)}"`;
  if (state === 'passed') return `${head}/>\n`;
  if (state === 'skipped') return `${head}><skipped/></testcase>\n`;
  const text = [...failures, ...(output === undefined ? [] : [output])].join('\n');
  return `${head}>\n      <failure message="${escaped(failures[0] ?? '')}">${escaped(text)}</failure>\n    </testcase>\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(6);
}

/** What XML 1.0 cannot hold at all is left out (§2.2). */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(FORBIDDEN, '')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES.get(character) ?? '');
}

const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
]);
