import { isObject, memberOf, objectOf, sortedEntries } from '../../../src/policy/values/object.ts';
import { RegoSet } from '../../../src/policy/values/set.ts';
import { parseRegoText, toRegoText } from '../../../src/policy/values/text.ts';
import type { ObjectValue, Value } from '../../../src/policy/values/value.ts';
import type { Random } from '../../support/seed.ts';

/** What generated rules and inputs are made of. */
export type Kind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'set' | 'any';

export const KINDS: readonly Kind[] = ['null', 'boolean', 'number', 'string', 'array', 'object', 'set'];

/** Keys and texts that trip up engines made of JavaScript: one of five that is drawn. */
const HOSTILE: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'length',
  'toString',
  '0',
  '-0',
  '01',
  '1e0',
  '1.0',
  '',
  '😀',
  '\uffee',
  '\u{10ffff}é',
  '<a href="&">',
  '\u2028',
  '\u0000',
  'size',
];

/** Few, so that what is compared is often equal. */
const ORDINARY: readonly string[] = ['a', 'b', 'c', 'A', 'ab', 'a/b', 'a.b', '12'];

/** Numbers as OPA may be given them; each keeps its text. */
const NUMBERS: readonly string[] = [
  ...['1.0', '1e3', '0.1', '0.2', '0.3', '1.5', '-2.5', '2.50', '100e-2', '1E2', '0.0', '-1', '3.14159'],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993', '4503599627370497.5'],
  ...['12345678901234567890', '100000000000000000000', '1e20', '18446744073709551616', '9223372036854775807'],
  ...['0.30000000000000004', '1e-7', '123456789.123456789', '1e21', '0.1e1', '2147483648'],
];

export function randomText(random: Random): string {
  if (random.chance(0.2)) return random.pick(HOSTILE);
  return random.chance(0.1) ? random.pick(ORDINARY) + random.pick(HOSTILE) : random.pick(ORDINARY);
}

export function randomNumberText(random: Random): string {
  return random.chance(0.3) ? random.pick(NUMBERS) : String(random.below(7) - 1);
}

/** A value of a kind, in which JSON has its say only with `json`: no sets then, and all keys texts. */
export function randomValue(random: Random, kind: Kind, depth: number, json: boolean): Value {
  switch (kind) {
    case 'null':
      return null;
    case 'boolean':
      return random.chance(0.5);
    case 'number':
      return parseRegoText(randomNumberText(random));
    case 'string':
      return randomText(random);
    case 'array':
      return list(random, depth, json);
    case 'set':
      return json ? list(random, depth, json) : RegoSet.of(list(random, depth, json));
    case 'object':
      return objectOf(
        list(random, depth, json).map((member): [Value, Value] => [
          json || random.chance(0.7) ? randomText(random) : randomValue(random, 'any', depth - 1, json),
          member,
        ]),
      );
    case 'any':
      return randomValue(random, random.pick(depth > 0 ? KINDS : SCALARS), depth, json);
  }
}

const SCALARS: readonly Kind[] = ['null', 'boolean', 'number', 'string', 'number', 'string'];

function list(random: Random, depth: number, json: boolean): Value[] {
  const kind = random.chance(0.5) ? random.pick(['number', 'string'] as const) : 'any';
  return Array.from({ length: depth > 0 ? random.below(5) : 0 }, () => randomValue(random, kind, depth - 1, json));
}

/** A literal of the policy; `set()` where the set is empty. */
export function literal(random: Random, kind: Kind, depth = 1): string {
  return toRegoText(randomValue(random, kind, depth, false));
}

/** The members of `input` and of `data.d`, by name, and what each ought to be. */
export const FIELDS: ReadonlyMap<string, Kind> = new Map([
  ['n', 'number'],
  ['m', 'number'],
  ['s', 'string'],
  ['t', 'string'],
  ['b', 'boolean'],
  ['xs', 'array'],
  ['o', 'object'],
  ['any', 'any'],
  ['constructor', 'object'],
  ['length', 'number'],
]);

/** A document with these members, of which some are absent or of another kind. */
export function randomDocument(random: Random): ObjectValue {
  const members: [Value, Value][] = [];
  for (const [name, kind] of FIELDS) {
    if (random.chance(0.08)) continue;
    members.push([name, randomValue(random, random.chance(0.1) ? 'any' : kind, 3, true)]);
  }
  return objectOf(members);
}

/** The same with one member more, less, or another: near enough to be taken for it. */
export function nearCopy(random: Random, document: Value): Value {
  if (!isObject(document)) return randomDocument(random);
  const name = random.pick([...FIELDS.keys()]);
  const others = sortedEntries(document).filter(([key]) => key !== name);
  if (random.chance(0.2)) return objectOf(others);
  const member = memberOf(document, name);
  const value =
    isObject(member) && random.chance(0.5)
      ? objectOf([...sortedEntries(member), [randomText(random), randomValue(random, 'any', 1, true)]])
      : randomValue(random, random.chance(0.2) ? 'any' : (FIELDS.get(name) ?? 'any'), 3, true);
  return objectOf([...others, [name, value]]);
}
