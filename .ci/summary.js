// Counts what ran: `node .ci/summary.js STATUS VITEST.json OUTPUT.txt` prints `N passed, N failed[, N skipped]` and exits
// non-zero unless something passed and nothing failed. Plain JavaScript: it also runs where `npm ci` did not.
import { readFileSync } from 'node:fs';

const [status = '1', reportFile = '', outputFile = ''] = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };

countRego(read(outputFile) ?? '');
countVitest(read(reportFile));
// A command that failed without a failed test (a crash, a missing tool, a bad install) is a failure all the same.
if (Number(status) !== 0 && counts.failed === 0) counts.failed = 1;

const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

/** The line that tools/rego-check.ts ends with when every rule and its test hold; otherwise it fails before vitest runs. */
function countRego(output) {
  const [, passed = '0'] = /^policies: .*\b(\d+) tests passed\b/m.exec(output) ?? [];
  counts.passed += Number(passed);
}

function countVitest(text) {
  let report;
  try {
    report = JSON.parse(text ?? '');
  } catch {
    // It never got to write one, or not to its end.
    counts.failed += 1;
    return;
  }
  counts.passed += report.numPassedTests;
  counts.failed += report.numFailedTests;
  counts.skipped += report.numPendingTests + report.numTodoTests;
  // A file that could not be loaded has failed without a test to its name.
  counts.failed += report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
