import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  type ArithmeticResult,
  absolute,
  add,
  ceil,
  divide,
  floor,
  isFault,
  multiply,
  product,
  remainder,
  round,
  subtract,
  sum,
} from '../../src/policy/values/arithmetic.ts';
import { numberOf, numberText } from '../../src/policy/values/number.ts';
import type { NumberValue } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';

type Operation = (values: readonly NumberValue[]) => ArithmeticResult;

const ZERO = 0;
const binary =
  (operation: (left: NumberValue, right: NumberValue) => ArithmeticResult): Operation =>
  ([left = ZERO, right = ZERO]) =>
    operation(left, right);
const unary =
  (operation: (value: NumberValue) => ArithmeticResult): Operation =>
  ([value = ZERO]) =>
    operation(value);

const OPERATIONS = new Map<string, Operation>([
  ['plus', binary(add)],
  ['minus', binary(subtract)],
  ['mul', binary(multiply)],
  ['div', binary(divide)],
  ['rem', binary(remainder)],
  ['abs', unary(absolute)],
  ['round', unary(round)],
  ['ceil', unary(ceil)],
  ['floor', unary(floor)],
  ['sum', sum],
  ['product', product],
]);

const REGO = `package arithmetic
result(c) := c.v[0] + c.v[1] if c.o == "plus"
result(c) := c.v[0] - c.v[1] if c.o == "minus"
result(c) := c.v[0] * c.v[1] if c.o == "mul"
result(c) := c.v[0] / c.v[1] if c.o == "div"
result(c) := c.v[0] % c.v[1] if c.o == "rem"
result(c) := abs(c.v[0]) if c.o == "abs"
result(c) := round(c.v[0]) if c.o == "round"
result(c) := ceil(c.v[0]) if c.o == "ceil"
result(c) := floor(c.v[0]) if c.o == "floor"
result(c) := sum(c.v) if c.o == "sum"
result(c) := product(c.v) if c.o == "product"
texts := [text | some c in data.cases; text := object.get({"x": sprintf("%v", [[x]]) | x := result(c)}, "x", "undefined")]
`;

interface Case {
  readonly operation: string;
  readonly operands: readonly string[];
}

describeWith(['opa'], 'arithmetic prints the very digits that OPA prints', () => {
  test('in random operations', { timeout: 300_000 }, () => {
    const random = createRandom(seedOf('arithmetic'));
    const cases = Array.from({ length: caseCount(6_000) }, () => randomCase(random));
    const expected = evaluateWithOpa(cases);
    const differences = cases.flatMap((one, index) => {
      const ours = textOf(one);
      const theirs = expected[index];
      return ours === theirs ? [] : [`${one.operation}(${one.operands.join(', ')}): ${ours}, but OPA ${theirs}`];
    });
    console.info(`arithmetic: ${cases.length} operations, ${differences.length} differences`);
    expect(expected).toHaveLength(cases.length);
    expect(differences.slice(0, 40)).toEqual([]);
    expect(expected.filter((text) => text !== 'undefined').length).toBeGreaterThan(cases.length / 2);
  });
});

function textOf({ operation, operands }: Case): string {
  const result = OPERATIONS.get(operation)?.(operands.map(numberOf)) ?? 'number too big';
  return isFault(result) ? 'undefined' : `[${numberText(result)}]`;
}

function evaluateWithOpa(cases: readonly Case[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-arithmetic-'));
  try {
    // With the index no case equals another: OPA takes one's answer for the other's, and -0 for 0.
    const rows = cases.map(
      ({ operation, operands }, index) => `{"i": ${index}, "o": "${operation}", "v": [${operands.join(', ')}]}`,
    );
    writeFileSync(join(folder, 'arithmetic.rego'), REGO);
    writeFileSync(join(folder, 'data.json'), `{"cases": [${rows.join(',\n')}]}`);
    const out = execFileSync(requireTool('opa'), ['eval', '-f', 'json', '-d', folder, 'data.arithmetic.texts'], {
      encoding: 'utf8',
      maxBuffer: 256 * 1_048_576,
    });
    return JSON.parse(out).result[0].expressions[0].value;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function randomCase(random: Random): Case {
  const operation = random.pick([...OPERATIONS.keys()]);
  const length = MANY.has(operation) ? random.below(5) : BINARY.has(operation) ? 2 : 1;
  const operands = Array.from({ length }, () => randomNumber(random));
  // Equal operands cancel out.
  if (length === 2 && random.chance(0.1)) operands[1] = operands[0] ?? '0';
  return { operation, operands };
}

const MANY = new Set(['sum', 'product']);
const BINARY = new Set(['plus', 'minus', 'mul', 'div', 'rem']);
const EDGES = [31n, 32n, 53n, 63n, 64n].flatMap((bits) => [-1n, 0n, 1n].map((by) => String(2n ** bits + by)));
const ODD = ['0', '-0', '0.0', '-0.0', '0e5', '1.0', '1e3', '1E+2', '12.50', '0.5', '0.5e1', '1e-7', '1e22', '1e23'];

function randomNumber(random: Random): string {
  if (random.chance(0.1)) return random.pick(ODD);
  return (random.chance(0.4) ? '-' : '') + random.pick(KINDS)(random);
}

const KINDS: readonly ((random: Random) => string)[] = [
  (random) => random.pick(EDGES),
  (random) => String(random.below(20)),
  (random) => String(random.below(2 ** 40)),
  (random) => digits(random, 1 + random.below(40)),
  (random) => `${digits(random, 1 + random.below(20))}.${fraction(random, 20)}`,
  (random) => `${digits(random, 1 + random.below(3))}.${fraction(random, 4)}`,
  (random) => `${digits(random, 1 + random.below(8))}.5`,
  (random) => String(random.next()),
  (random) => `${digits(random, 1)}.${fraction(random, 18)}e${random.below(80) - 40}`,
  (random) => `${digits(random, 1 + random.below(25))}e${random.below(800) - 400}`,
  (random) => String(2n ** BigInt(random.below(120)) + BigInt(random.below(2))),
];

function digits(random: Random, length: number): string {
  let text = String(1 + random.below(9));
  while (text.length < length) text += random.chance(0.2) ? '0' : String(random.below(10));
  return text;
}

function fraction(random: Random, most: number): string {
  return Array.from({ length: 1 + random.below(most) }, () => random.below(10)).join('');
}
