import { describe, expect, test } from 'vitest';
import { toolOrSkip } from '../support/tools.ts';
import { loadSuite } from './conformance-case.ts';
import { ENGINE_NAMES } from './engine.ts';
import { createEngine } from './engines.ts';
import { loadOwnCases } from './own-cases.ts';
import { runSuite } from './suite-run.ts';
import { readUnsupported } from './unsupported.ts';

/** How many cases OPA 1.22.2 has, and how many of them JavaScript may leave out. */
const SUITE_CASES = 2_400;
const MOST_UNSUPPORTED = 175;

const program = toolOrSkip('conformance');
const unsupported = readUnsupported();

describe.skipIf(program === undefined)('the conformance cases of OPA, and our own for hostile keys', async () => {
  const suite = program === undefined ? [] : loadSuite(program);
  const own = program === undefined ? [] : await loadOwnCases(program);

  test('are all there, each under a name of its own', () => {
    expect(suite.length).toBe(SUITE_CASES);
    expect(own.length).toBeGreaterThanOrEqual(60);
    expect(new Set([...suite, ...own].map(({ name }) => name)).size).toBe(suite.length + own.length);
  });

  test.each(ENGINE_NAMES)('%s: no answer is wrong, and what is unsupported is listed', (name) => {
    const report = runSuite(createEngine(name), [...suite, ...own], unsupported[name]);
    expect(report.wrong.map((wrong) => `${wrong.name}: ${wrong.problem}`)).toEqual([]);
    expect(report.passed + report.unsupported).toBe(report.cases);
    console.info(
      `row 5: ${name}: ${report.cases} cases, ${report.passed} passed, 0 wrong, ${report.unsupported} unsupported`,
    );
  });
});

describe('the list of unsupported cases', () => {
  test.each(ENGINE_NAMES)('%s: gives every case a reason, and names none twice', (name) => {
    const names = unsupported[name].flatMap(({ cases }) => cases);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, reason, cases } of unsupported[name]) {
      expect(['refused', 'differs']).toContain(kind);
      expect(reason.length).toBeGreaterThan(20);
      expect(cases.length).toBeGreaterThan(0);
    }
  });

  test('is short for JavaScript', () => {
    const names = unsupported.js.flatMap(({ cases }) => cases);
    expect(names.length).toBeLessThanOrEqual(MOST_UNSUPPORTED);
  });
});
