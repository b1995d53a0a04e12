import { expect, test } from 'vitest';
import { type JsonObject, type JsonValue, RawJson } from '../../../src/decision/json.ts';
import { createInputReader } from '../../../src/policy/input-values.ts';
import { createKnownResults } from '../../../src/policy/known-results.ts';
import type { Projection } from '../../../src/policy/projection.ts';
import { toRegoText } from '../../../src/policy/values/text.ts';
import { policyInput } from '../../contract/policy-support/engine.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';

const part = (...members: readonly (readonly [string, Projection])[]): Projection => ({ members: new Map(members) });
const LEAF: Projection = { members: new Map() };

type Members = { readonly [name: string]: JsonValue | undefined };

/** What texts, numbers and members may be taken for. */
const ATOMS: readonly (JsonValue | undefined)[] = [
  ...[undefined, null, false, true, 0, -0, 0n, 1, 1n, 1.5, 2 ** 53, 2n ** 53n, '', '0', '1', 'null', 'a', 'a\0', 'A'],
  ...['\ud800', '\ufffd', '\udc00', '{}', '[object Object]', 'undefined'],
];
const NAMES = ['a', 'b', 'constructor', '__proto__', 'toString'] as const;

const DEEP = part(
  ['identity', part(['tenant', LEAF])],
  ['route', part(['name', LEAF], ['model', LEAF])],
  ['request', part(...NAMES.map((name) => [name, part(['a', LEAF], ['constructor', LEAF])] as const))],
  ['network', part(...NAMES.map((name) => [name, LEAF] as const))],
  ['source_principal', LEAF],
);

function drawValue(random: Random, depth: number): JsonValue | undefined {
  const chance = random.next();
  if (depth > 0 && chance < 0.5) {
    const members = NAMES.filter(() => random.chance(0.4)).map((name) => [name, drawValue(random, depth - 1)] as const);
    return Object.fromEntries(members);
  }
  if (chance < 0.54) return [1];
  if (chance < 0.57) return new RawJson(random.pick(['{}', '1', '{"a":1}']));
  return random.pick(ATOMS);
}

function drawMembers(random: Random, callers: readonly JsonObject[], routes: readonly JsonValue[]): Members {
  return {
    identity: random.pick(callers),
    route: random.pick(routes),
    request: drawValue(random, 2),
    network: drawValue(random, 1),
    source_principal: random.pick(ATOMS),
  };
}

/** The same but for one thing, at times one deep within. */
function near(random: Random, members: Members, others: Members): Members {
  const name = random.pick(Object.keys(members));
  const value = members[name];
  const whole = name === 'identity' || name === 'route' || random.chance(0.2);
  return { ...members, [name]: whole || value === undefined ? others[name] : nudged(random, value) };
}

function nudged(random: Random, value: JsonValue): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof RawJson) {
    return random.pick(ATOMS);
  }
  const name = random.pick(NAMES);
  const members = Object.entries(value).filter(([key]) => key !== name);
  const before = Object.hasOwn(value, name) ? (value as JsonObject)[name] : undefined;
  if (random.chance(0.7)) members.push([name, before === undefined ? random.pick(ATOMS) : nudged(random, before)]);
  return Object.fromEntries(members);
}

test('inputs that all but equal a known one are never answered with its result', { timeout: 60_000 }, () => {
  const random = createRandom(seedOf('known results'));
  const callers = Array.from({ length: 3 }, (_, at) => Object.freeze({ tenant: at < 2 ? 'a' : 'A' }));
  const routes = [
    null,
    {},
    Object.freeze({ name: 'a' }),
    Object.freeze({ name: 'a' }),
    Object.freeze({}),
    { name: 'a' },
  ];
  const known = createKnownResults(DEEP);
  const read = createInputReader(DEEP);
  const numbers = new Map<object, number>(callers.map((one, at) => [one, at]));
  // All that an evaluation is given, and by whose object.
  const textOf = (members: Members): string =>
    `${numbers.get(members['identity'] as object)} ${toRegoText(read(policyInput(members)))}`;
  const count = caseCount(200_000);
  let [hits, missed] = [0, 0];
  let base = drawMembers(random, callers, routes);
  for (let at = 0; at < count; at += 1) {
    if (at % 12 === 0) {
      base = drawMembers(random, callers, routes);
      for (let nth = 0; nth < 4; nth += 1) {
        if (known.find(policyInput(base)) === undefined) known.keep(textOf(base), known.asked());
      }
    }
    const members = random.chance(0.1) ? base : near(random, base, drawMembers(random, callers, routes));
    const input = policyInput(members);
    const found = known.find(input);
    if (found === undefined) {
      missed += 1;
      known.keep(textOf(members), known.asked());
    } else {
      hits += 1;
      if (found.value !== textOf(members)) expect(found.value).toBe(textOf(members));
    }
  }
  console.info(`known results: ${count} inputs, ${hits} of them known, none of them another’s`);
  expect(hits).toBeGreaterThan(count / 20);
  expect(missed).toBeGreaterThan(count / 2);
});
