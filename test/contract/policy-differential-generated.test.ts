import { expect, test } from 'vitest';
import { toJsonText } from '../../src/policy/values/json-text.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import {
  compareAll,
  type Disagreement,
  describeDisagreement,
  disagreement,
  figures,
  inputsOf,
  newTally,
  type Subject,
  type Tally,
} from './policy-support/differential-run.ts';
import type { Verdict } from './policy-support/differential-verdict.ts';
import {
  compilable,
  entrypointsOf,
  TABLE_DATA,
  TABLE_REGO,
  UnplannedError,
} from './policy-support/generated-policy.ts';
import { type OpaServer, startOpaServer } from './policy-support/opa-server.ts';
import { readSignatures, type Signature } from './policy-support/rego-builtins.ts';
import { nearCopy, randomDocument } from './policy-support/rego-literals.ts';
import { randomUnits, render, type Unit } from './policy-support/rego-rules.ts';
import { type Candidate, smallest } from './policy-support/smallest.ts';

const UNITS = 160;
const INPUTS = 16;
const MOST_TRIES = 20;

describeWith(['opa'], 'the same answer as OPA, of both engines', () => {
  test('on generated policies', { timeout: 1_800_000 }, async () => {
    const random = createRandom(seedOf('generated policies'));
    const wanted = caseCount(14_000);
    const signatures = readSignatures();
    const tally = newTally();
    const server = await startOpaServer();
    try {
      while (tally.pairs < wanted && tally.disagreements.length === 0) {
        const { units, subject } = randomSubject(random, signatures);
        const inputs = inputsOf(
          random,
          INPUTS,
          () => randomDocument(random),
          (input) => nearCopy(random, input),
        );
        await compareAll(server, subject, inputs, tally);
        if (tally.disagreements.length > 0) await explain(server, units, subject, tally.disagreements);
      }
    } finally {
      await server.stop();
    }
    console.info(`generated policies: ${figures(tally)}`);
    expect(tally.disagreements.slice(0, 3).map(describeDisagreement)).toStrictEqual([]);
    expect(tally.defined).toBeGreaterThan(tally.pairs / 3);
    expectFew(tally, ['js', 'equal number with another text'], 0.02);
    expectFew(tally, ['js', 'plan that cannot be followed'], 0.005);
    expectFew(tally, ['js', 'conflict that opa does not come to'], 0.05);
    expectFew(tally, ['js', 'failure that opa does not come to'], 0.08);
    expectFew(tally, ['js', 'opa fails in itself'], 0.01);
    expectFew(tally, ['js', 'conflict that wasm does not come to either'], 0.003);
    expectFew(tally, ['js', 'conflict that the plan does not come to'], 0.005);
    expectFew(tally, ['js', 'failure that the plan does not come to'], 0.02);
    expectFew(tally, ['wasm', 'wasm reads data by keys'], 0.03);
    expectFew(tally, ['wasm', 'wasm goes on behind a dynamic call'], 0.04);
    expect(tally.js.get('same') ?? 0).toBeGreaterThan(tally.pairs * 0.9);
  });
});

/** What is excused is the exception, at most this share of all pairs. */
function expectFew(tally: Tally, [engine, verdict]: readonly ['js' | 'wasm', Verdict], share: number): void {
  expect(tally[engine].get(verdict) ?? 0, `${engine}: ${verdict}`).toBeLessThan(10 + tally.pairs * share);
}

function randomSubject(random: Random, signatures: readonly Signature[]): { units: readonly Unit[]; subject: Subject } {
  const units = plannable(random, signatures);
  return { units, subject: subjectOf(units, { d: randomDocument(random), tab: TABLE_DATA }) };
}

function plannable(random: Random, signatures: readonly Signature[]): readonly Unit[] {
  for (let tries = 1; ; tries++) {
    try {
      return compilable(randomUnits(random, signatures, UNITS));
    } catch (error) {
      if (!(error instanceof UnplannedError) || tries === MOST_TRIES) throw error;
    }
  }
}

function subjectOf(units: readonly Unit[], data: Value): Subject {
  const entrypoints = entrypointsOf(units);
  return { rego: new Map([...TABLE_REGO, ['gen.rego', render(units)]]), entrypoints, data, computedKeys: true };
}

/** Prints the smallest rules and input that still disagree. */
async function explain(
  server: OpaServer,
  units: readonly Unit[],
  { data }: Subject,
  [first]: readonly Disagreement[],
): Promise<void> {
  if (first === undefined) return;
  const [, rule] = /^gen\/(.*)$/.exec(first.entrypoint) ?? [];
  const again = async (candidate: Candidate): Promise<Disagreement | undefined> =>
    disagreement(server, subjectOf(candidate.units, candidate.data), { ...first, input: candidate.input });
  const found = await smallest({ units, data, input: first.input }, rule, async (candidate) => {
    return (await again(candidate)) !== undefined;
  });
  const shown = (await again(found)) ?? first;
  console.info(
    `the smallest policy: ${render(found.units)}\n${describeDisagreement(shown)}\ndata  ${toJsonText(found.data)}`,
  );
}
