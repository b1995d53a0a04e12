import type { Random } from '../../support/seed.ts';

/** Rules of every shape that an index has to get right, in two packages. */
export interface RulePolicy {
  readonly files: Readonly<Record<string, string>>;
  /** Entrypoints: `first/set0`. */
  readonly rules: readonly string[];
}

/** The bundle's data, as text. */
export const RULE_DATA = '{"settings":{"mode":"a","level":1.0,"__proto__":"b","list":["a",1]}}';

const CONSTANTS = [
  '"a"',
  '"b"',
  '"k"',
  '""',
  '"1"',
  '"true"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"length"',
  '"\\ud83d\\ude00"',
  '1',
  '1.0',
  '2',
  '0',
  '-1',
  '1e3',
  '0.5',
  '9007199254740993',
  'true',
  'false',
  'null',
];

const INPUT_PATHS = ['input.a', 'input.a', 'input.b', 'input.c.d', 'input["__proto__"]', 'input.list[0]', 'input["1"]'];
const DATA_PATHS = ['data.settings.mode', 'data.settings.level', 'data.settings["__proto__"]', 'data.settings.list[1]'];

export function createRulePolicy(random: Random): RulePolicy {
  const files: Record<string, string> = {};
  const rules: string[] = [];
  for (const name of ['first', 'second']) {
    const parts = [`package ${name}`];
    const add = (rule: string, text: string): void => {
      rules.push(`${name}/${rule}`);
      parts.push(text);
    };
    for (let n = 0; n < 2; n++) {
      add(
        `same${n}`,
        many(random, (when) => `same${n} := "yes" if ${when}`),
      );
      add(
        `other${n}`,
        `default other${n} := "none"\n${many(random, (when) => `other${n} := ${value(random)} if ${when}`)}`,
      );
      add(
        `set${n}`,
        many(random, (when) => `set${n} contains ${value(random)} if ${when}`),
      );
      add(
        `object${n}`,
        many(random, (when) => `object${n}[${value(random)}] := ${value(random)} if ${when}`),
      );
      add(
        `chain${n}`,
        many(random, (when) => chain(random, `chain${n}`, when), 3),
      );
      add(`long${n}`, chain(random, `long${n}`, condition(random), 20));
      parts.push(many(random, (when) => `of${n}(x, y) := ${value(random)} if ${when}`, 24, argument));
      add(`call${n}`, `call${n} := of${n}(input.a, input.b)`);
    }
    files[`${name}.rego`] = `${parts.join('\n')}\n`;
  }
  return { files, rules };
}

/** An input that often has what the rules look for, or something of another kind. */
export function randomRuleInput(random: Random): string {
  const members: string[] = [];
  for (const key of ['"a"', '"b"', '"__proto__"', '"1"'])
    if (random.chance(0.85)) members.push(`${key}:${json(random)}`);
  if (random.chance(0.8)) members.push(`"c":${random.chance(0.8) ? `{"d":${json(random)}}` : json(random)}`);
  if (random.chance(0.8))
    members.push(`"list":${random.chance(0.9) ? `[${json(random)},${json(random)}]` : json(random)}`);
  return `{${members.join(',')}}`;
}

function json(random: Random): string {
  return random.chance(0.9) ? random.pick(CONSTANTS) : random.pick(['[]', '{}', '["a"]', '{"a":1}', '"other"', '1.00']);
}

type Test = (random: Random) => string;

/** Rules most of which look at the same place first, as people write them. */
function many(random: Random, rule: (when: string) => string, most = 24, begin?: Test): string {
  const first = begin ?? focused(random);
  return Array.from({ length: 2 + random.below(most) }, () => rule(condition(random, first))).join('\n');
}

function focused(random: Random): Test {
  const from = path(random);
  return () => (random.chance(0.85) ? guard(random, from) : oneTest(random));
}

function guard(random: Random, from: string): string {
  const constant = random.pick(CONSTANTS);
  const guards = [
    `${from} == ${constant}`,
    `${constant} == ${from}`,
    `${from} in {${constant}, ${random.pick(CONSTANTS)}}`,
  ];
  return random.chance(0.7) ? `${from} == ${constant}` : random.pick(guards);
}

function chain(random: Random, name: string, when: string, most = 5): string {
  const next = focused(random);
  const first = `${name} := ${value(random)} if ${when}`;
  const others = Array.from(
    { length: 1 + random.below(most) },
    () => `else := ${value(random)} if ${condition(random, next)}`,
  );
  if (random.chance(0.3)) others.push(`else := ${value(random)}`);
  return [first, ...others].join('\n');
}

function value(random: Random): string {
  return random.pick(random.chance(0.7) ? CONSTANTS.slice(0, 3) : CONSTANTS);
}

function path(random: Random): string {
  return random.chance(0.85) ? random.pick(INPUT_PATHS) : random.pick(DATA_PATHS);
}

function argument(random: Random): string {
  return random.chance(0.8) ? `${random.pick(['x', 'y'])} == ${random.pick(CONSTANTS)}` : 'x != y';
}

function condition(random: Random, first: Test = oneTest): string {
  const others = Array.from({ length: random.below(3) }, () => oneTest(random));
  return `{ ${[first(random), ...others].join('; ')} }`;
}

function oneTest(random: Random): string {
  const from = path(random);
  const constant = random.pick(CONSTANTS);
  switch (random.below(14)) {
    case 0:
      return `${constant} == ${from}`;
    case 1:
      return `${from} in {${constant}, ${random.pick(CONSTANTS)}}`;
    case 2:
      return `${from} in [${constant}, ${random.pick(CONSTANTS)}]`;
    case 3:
      return `${from} != ${constant}`;
    case 4:
      return `not ${from} == ${constant}`;
    case 5:
      return from;
    case 6:
      return `startswith(${from}, "a")`;
    case 7:
      return `input.list[_] == ${constant}`;
    default:
      return `${from} == ${constant}`;
  }
}
