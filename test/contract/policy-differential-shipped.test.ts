import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseJson } from '../../src/policy/values/json.ts';
import { isObject, objectOf, sortedEntries } from '../../src/policy/values/object.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { ROOT } from '../support/tools.ts';
import { fixture } from './policy-support/compile-policy.ts';
import {
  compareAll,
  describeDisagreement,
  figures,
  inputsOf,
  newTally,
  type Subject,
  type Tally,
} from './policy-support/differential-run.ts';
import { startOpaServer } from './policy-support/opa-server.ts';
import { randomValue } from './policy-support/rego-literals.ts';
import { disturbed, serviceInput } from './policy-support/service-inputs.ts';

const FIXTURES = ['behaviour', 'differential', 'projected', 'tenant'] as const;

/** Rules that run away, that nobody can answer alike (clock, randomness), or whose texts are no UTF-8. */
const LEFT_OUT = /^(endless|wide|now|random|decoded)$/;

describeWith(['opa'], 'the same answer as OPA, of both engines', () => {
  test('on the shipped policies', { timeout: 900_000 }, async () => {
    const random = createRandom(seedOf('shipped policies'));
    await compare(shipped(), caseCount(3_000), random);
  });

  test('on the fixtures', { timeout: 900_000 }, async () => {
    const random = createRandom(seedOf('fixtures'));
    for (const name of FIXTURES) {
      await compare(ofFixture(name, random), caseCount(750), random);
    }
  });
});

async function compare(subject: Subject, pairs: number, random: Random): Promise<void> {
  const tally = newTally();
  const server = await startOpaServer();
  try {
    const inputs = inputsOf(
      random,
      Math.ceil(pairs / (2 * subject.entrypoints.length)),
      () => serviceInput(random),
      (input) => disturbed(random, input, 0.15),
    );
    await compareAll(server, subject, inputs, tally);
  } finally {
    await server.stop();
  }
  console.info(`${subject.entrypoints[0]} and others: ${figures(tally)}`);
  expectAgreement(tally);
}

function expectAgreement(tally: Tally): void {
  expect(tally.disagreements.slice(0, 5).map(describeDisagreement)).toStrictEqual([]);
  expect(tally.defined).toBeGreaterThan(tally.pairs / 5);
}

/** The sources, data and entrypoints of the bundle that is checked in. */
function shipped(): Subject {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-shipped-'));
  try {
    execFileSync('tar', ['-xzf', join(ROOT, 'bundles/authz.tar.gz'), '-C', folder]);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.rego'));
    const rego = files
      .sort()
      .map((name) => [name.replaceAll('/', '_'), readFileSync(join(folder, name), 'utf8')] as const);
    return {
      rego: new Map(rego),
      entrypoints: ['authz/limits', ...rego.flatMap(([, text]) => entrypointsOf(text))],
      data: read(join(folder, 'data.json')),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Each rule, as an entrypoint of its own. */
function entrypointsOf(text: string): readonly string[] {
  const [, name = ''] = /^package ([a-z_.]+)$/m.exec(text) ?? [];
  // Of these `opa build` takes a function for none; `authz/limits` reaches them.
  if (name.startsWith('limits')) return [];
  return rulesOf(text).map((rule) => `${name.replaceAll('.', '/')}/${rule}`);
}

function rulesOf(text: string): readonly string[] {
  const rules = text.match(/^(?:default )?[a-z_]+(?= (?::=|if|contains)|\[)/gm) ?? [];
  const names = rules.map((rule) => rule.replace('default ', ''));
  return [...new Set(names)].filter((rule) => rule !== 'some' && !LEFT_OUT.test(rule));
}

function ofFixture(name: string, random: Random): Subject {
  const text = fixture(name);
  const rules = rulesOf(text);
  const data = objectOf(
    ['facts', 'limits', 'tenants'].map((key): [Value, Value] => [
      key,
      objectOf([
        ['tokens', randomValue(random, 'number', 0, true)],
        ...sortedEntriesOf(randomValue(random, 'object', 3, true)),
      ]),
    ]),
  );
  return {
    rego: new Map([['policy.rego', text]]),
    entrypoints: rules.map((rule) => `${name}/${rule}`),
    data,
    computedKeys: true,
  };
}

function read(path: string): Value {
  const value = parseJson(readFileSync(path, 'utf8'));
  if (value === undefined) throw new Error(`${path} is not JSON`);
  return value;
}

function sortedEntriesOf(value: Value): readonly (readonly [Value, Value])[] {
  return isObject(value) ? sortedEntries(value) : [];
}
