import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseBundle } from '../../../../src/bundle/bundle.ts';
import { caseCoverageText, coverageOfCases } from '../../../../src/cli/test/case-coverage.ts';
import { expressionPlaces } from '../../../../src/policy/plan/expression-places.ts';
import { readPlan } from '../../../../src/policy/plan/plan-reader.ts';
import { ROOT } from '../../../support/tools.ts';

const bundle = parseBundle('authz', readFileSync(join(ROOT, 'bundles/authz.tar.gz')));
const folders = { source: '/repo/policies', cwd: '/repo' };
const all = [...expressionPlaces(readPlan(bundle.plan)).keys()];

test('counts expressions and heads of rules, and names the lines of those that were left out', () => {
  expect(all).toContain('tenancy/tenancy.rego:26:22');
  const without = new Set(all.filter((place) => !/tenancy\.rego:(?:10|11|12|26):/.test(place)));
  const tenancy = coverageOfCases(bundle, without, folders).find(({ file }) => file.endsWith('tenancy.rego'));
  expect(tenancy).toMatchObject({ file: 'policies/tenancy/tenancy.rego', open: [10, 11, 12, 26] });
  expect((tenancy?.total ?? 0) - (tenancy?.covered ?? 0)).toBe(all.length - without.size);
  expect(caseCoverageText(tenancy === undefined ? [] : [tenancy])).toMatch(
    /^the request cases evaluate \d+\.\d % of \d+ expressions \(\d+\):\n {2}policies\/tenancy\/tenancy\.rego \d+\/\d+, none evaluates all of line 10-12, 26\n$/,
  );
});

test('all is all, and of nothing too', () => {
  const whole = coverageOfCases(bundle, new Set(all), folders);
  expect(whole.every(({ covered, total, open }) => covered === total && open.length === 0)).toBe(true);
  expect(caseCoverageText(whole)).toMatch(/^the request cases evaluate 100\.0 %/);
  expect(caseCoverageText([])).toBe('the request cases evaluate 100.0 % of 0 expressions (0):\n');
});
