import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseJson } from '../../src/policy/values/json.ts';
import { isArray, isObject, memberOf, objectOf, sortedEntries } from '../../src/policy/values/object.ts';
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
import { randomText, randomValue } from './policy-support/rego-literals.ts';

const FIXTURES = ['behaviour', 'differential', 'projected', 'tenant'] as const;

describeWith(['opa'], 'the same answer as OPA, of both engines', () => {
  test('on the shipped policies', { timeout: 900_000 }, async () => {
    const random = createRandom(seedOf('shipped policies'));
    const cases = recordedInputs();
    await compare(shipped(), caseCount(3_000), random, () => random.pick(cases));
  });

  test('on the fixtures', { timeout: 900_000 }, async () => {
    const random = createRandom(seedOf('fixtures'));
    const cases = recordedInputs();
    for (const name of FIXTURES) {
      await compare(ofFixture(name, random), caseCount(750), random, () => random.pick(cases));
    }
  });
});

async function compare(subject: Subject, pairs: number, random: Random, make: () => Value): Promise<void> {
  const tally = newTally();
  const server = await startOpaServer();
  try {
    const inputs = inputsOf(
      random,
      Math.ceil(pairs / (2 * subject.entrypoints.length)),
      () => disturbed(random, make(), 0.05),
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
    const plans = memberAt(read(join(folder, 'plan.json')), ['plans', 'plans']);
    const entrypoints = isArray(plans) ? plans.map((plan) => String(memberAt(plan, ['name']))) : [];
    return { rego: new Map(rego), entrypoints, data: read(join(folder, 'data.json')) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ofFixture(name: string, random: Random): Subject {
  const text = fixture(name);
  const rules = new Set((text.match(/^[a-z_]+(?= (?::=|if|contains)|\[)/gm) ?? []).filter((rule) => rule !== 'some'));
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
    entrypoints: [...rules].map((rule) => `${name}/${rule}`),
    data,
    computedKeys: true,
  };
}

/** The inputs of the cases that are shipped with the policies. */
function recordedInputs(): readonly Value[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-shipped-'));
  try {
    execFileSync('tar', ['-xzf', join(ROOT, 'bundles/authz.tar.gz'), '-C', folder, 'cases.json']);
    const found: Value[] = [];
    collect(read(join(folder, 'cases.json')), found);
    if (found.length === 0) throw new Error('the bundle holds no cases');
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function collect(value: Value | undefined, found: Value[]): void {
  if (isArray(value)) for (const item of value) collect(item, found);
  if (!isObject(value)) return;
  const input = memberOf(value, 'input');
  if (isObject(input)) found.push(input);
  else for (const [, member] of sortedEntries(value)) collect(member, found);
}

/** The same value with parts gone, of another kind, or under hostile keys. */
function disturbed(random: Random, value: Value, chance: number): Value {
  if (random.chance(chance / 4)) return randomValue(random, 'any', 2, true);
  if (typeof value === 'string') return random.chance(chance) ? randomText(random) : value;
  if (typeof value === 'number') return random.chance(chance) ? randomValue(random, 'number', 0, true) : value;
  if (isArray(value)) return value.map((item) => disturbed(random, item, chance));
  if (!isObject(value)) return value;
  const members = sortedEntries(value)
    .filter(() => !random.chance(chance / 3))
    .map(([key, member]): [Value, Value] => [key, disturbed(random, member, chance)]);
  if (random.chance(chance / 2)) members.push([randomText(random), randomValue(random, 'any', 2, true)]);
  return objectOf(members);
}

function read(path: string): Value {
  const value = parseJson(readFileSync(path, 'utf8'));
  if (value === undefined) throw new Error(`${path} is not JSON`);
  return value;
}

function memberAt(value: Value, path: readonly string[]): Value {
  let at: Value | undefined = value;
  for (const key of path) at = isObject(at) ? memberOf(at, key) : undefined;
  if (at === undefined) throw new Error(`there is no \`${path.join('.')}\``);
  return at;
}

function sortedEntriesOf(value: Value): readonly (readonly [Value, Value])[] {
  return isObject(value) ? sortedEntries(value) : [];
}
