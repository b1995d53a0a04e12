import { describe, expect, test } from 'vitest';
import { coveredPercent, readCoverage, toLcov, uncoveredPlaces } from '../../../../src/cli/test/coverage.ts';
import { toJunit } from '../../../../src/cli/test/junit.ts';
import { coverageText, toReport } from '../../../../src/cli/test/report.ts';
import type { TestResult } from '../../../../src/cli/test/test-result.ts';

const range = (row: number, end = row) => ({ start: { row, col: 1 }, end: { row: end, col: 2 } });
const REPORT = {
  coverage: 90,
  files: {
    'a/a.rego': { covered: [range(3), range(3), range(5, 9)], not_covered: [range(5), range(6), range(8)] },
    'a/a_test.rego': { covered: Array.from({ length: 50 }, (_, row) => range(row + 1)) },
  },
};

describe('coverage', () => {
  const coverage = readCoverage(REPORT, { source: '/repo/policies', cwd: '/repo' });
  if (coverage === undefined) throw new Error('it was not read');

  test('leaves out the tests themselves, and counts a line that is evaluated in part as open', () => {
    expect(coverage).toMatchObject({ covered: 1, total: 4 });
    expect(coveredPercent(coverage)).toBe(25);
    expect(uncoveredPlaces(coverage)).toEqual(['policies/a/a.rego:5-6', 'policies/a/a.rego:8']);
    expect(coverageText(coverage, 80)).toBe(
      'coverage: 25.0 % of 4 lines of Rego (1), at least 80 % wanted\nno test evaluates policies/a/a.rego:5-6, policies/a/a.rego:8\n',
    );
  });

  test('is written as LCOV', () => {
    expect(toLcov(coverage)).toBe(
      'TN:\nSF:policies/a/a.rego\nDA:3,1\nDA:5,0\nDA:6,0\nDA:8,0\nLF:4\nLH:1\nend_of_record\n',
    );
  });

  test.each([undefined, null, [], {}, { files: 1 }])('is not read from %j', (report) => {
    expect(readCoverage(report, { source: '/a', cwd: '/' })).toBeUndefined();
  });
});

const RESULTS: readonly TestResult[] = [
  {
    suite: 'opa test',
    group: 'data.a',
    name: 'test_x',
    file: 'a.rego',
    line: 3,
    durationMs: 1.5,
    state: 'passed',
    failures: [],
  },
  { suite: 'opa test', group: 'data.a', name: 'todo_y', file: 'a.rego', durationMs: 0, state: 'skipped', failures: [] },
  {
    suite: 'request cases',
    group: 'x.cases.yaml',
    name: 'a "<b>" & c\u0000\ud800',
    file: 'x.cases.yaml',
    durationMs: 2,
    state: 'failed',
    failures: ['`status`: expected 403, got 404'],
    output: 'decision   deny 404',
  },
];

describe('results', () => {
  test('are written as JUnit XML, without what XML cannot hold', () => {
    expect(toJunit(RESULTS)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="sallyport test" tests="3" failures="1" errors="0" skipped="1" time="0.003500">
  <testsuite name="opa test" tests="2" failures="0" errors="0" skipped="1" time="0.001500">
    <testcase classname="data.a" name="test_x" file="a.rego" line="3" time="0.001500"/>
    <testcase classname="data.a" name="todo_y" file="a.rego" time="0.000000"><skipped/></testcase>
  </testsuite>
  <testsuite name="request cases" tests="1" failures="1" errors="0" skipped="0" time="0.002000">
    <testcase classname="x.cases.yaml" name="a &quot;&lt;b&gt;&quot; &amp; c\ufffd" file="x.cases.yaml" time="0.002000">
      <failure message="\`status\`: expected 403, got 404">\`status\`: expected 403, got 404
decision   deny 404</failure>
    </testcase>
  </testsuite>
</testsuites>
`);
  });

  test('are told with every failure in full, then a line for each sort', () => {
    const report = toReport(RESULTS);
    expect(report).toContain('FAILED x.cases.yaml a "<b>"');
    expect(report).toContain('\n    `status`: expected 403, got 404\n      decision   deny 404\n');
    expect(report).toMatch(/opa test: 1 passed, 0 failed, 1 skipped\nrequest cases: 0 passed, 1 failed\n$/);
  });
});
