import { expect, it } from 'vitest';
import { readPlan } from '../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../src/policy/plan/translate.ts';
import { describeWith } from '../support/describe-with.ts';
import { faultsOf } from '../support/generated-source-check.ts';
import { compilePolicy, fixture } from './policy-support/compile-policy.ts';

describeWith(['opa'], 'the source generated of a policy that OPA compiled', () => {
  it.each([
    ['behaviour', 'behaviour'],
    ['differential', 'differential'],
    ['projected', 'projected/members'],
    ['tenant', 'tenant/decision'],
  ])('is only what the translator writes: %s', (name, entrypoint) => {
    const { plan } = compilePolicy({ rego: { 'policy.rego': fixture(name) }, entrypoints: [entrypoint] });
    for (const trace of [false, true]) expect(faultsOf(translatePlan(readPlan(plan), { trace }).source)).toEqual([]);
  });
});
