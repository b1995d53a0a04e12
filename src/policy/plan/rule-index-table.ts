import { numberKey, RegoNumber } from '../values/number.ts';
import type { Value } from '../values/value.ts';
import type { RuleTable, RuleTree, Scalar } from './translation.ts';

/** One of many rules: the template that it shares with others, and what stands in that one's slots. */
export interface Row {
  readonly order: number;
  readonly template: number;
  readonly values: readonly Value[];
}

/** Rows by the values that they demand. */
export type Node = readonly Row[] | Branch;

interface Branch {
  /** Which of the values decides. */
  readonly at: number;
  readonly cases: ReadonlyMap<Value, Node>;
  /** By the key of numbers that are no `number`: apart from texts. */
  readonly numbers: ReadonlyMap<string, Node>;
  /** Rows that do not look at the value. */
  readonly rest: Node;
}

export function createTable(
  { templates, slots, constants, tree }: RuleTable,
  numberValue: (constant: Scalar) => Value,
): Node {
  const toValue = (constant: Scalar): Value => (typeof constant === 'string' ? constant : numberValue(constant));
  let at = 0;
  const rows = templates.map((template, order): Row => {
    const start = at;
    at += slots[template] ?? 0;
    return { order, template, values: constants.slice(start, at).map(toValue) };
  });
  return nodeOf(tree, rows, toValue);
}

function nodeOf(tree: RuleTree, rows: readonly Row[], toValue: (constant: Scalar) => Value): Node {
  if (typeof tree === 'number') return rows.slice(tree, tree + 1);
  if (!('cases' in tree)) return tree.flatMap((item) => rows[item] ?? []);
  const cases = new Map<Value, Node>();
  const numbers = new Map<string, Node>();
  for (const [index, constant] of tree.cases.entries()) {
    const value = toValue(constant);
    const node = nodeOf(tree.trees[index] ?? [], rows, toValue);
    const key = value instanceof RegoNumber ? numberKey(value) : value;
    if (value instanceof RegoNumber && typeof key === 'string') numbers.set(key, node);
    else cases.set(key, node);
  }
  return { at: tree.at, cases, numbers, rest: nodeOf(tree.rest, rows, toValue) };
}

/** The rows that may do anything given these values, `undefined` where there is none, in their order. */
export function choose(
  node: Node,
  a: Value | undefined,
  b: Value | undefined,
  c: Value | undefined,
  d: Value | undefined,
): readonly Row[] {
  if (isLeaf(node)) return node;
  const { at, rest } = node;
  const value = at === 0 ? a : at === 1 ? b : at === 2 ? c : d;
  const found = value === undefined ? undefined : caseOf(node, value);
  const others = isLeaf(rest) ? rest : choose(rest, a, b, c, d);
  if (found === undefined) return others;
  const chosen = isLeaf(found) ? found : choose(found, a, b, c, d);
  if (others.length === 0) return chosen;
  return chosen.length === 0 ? others : merged(chosen, others);
}

/** What stands in a row's slot. */
export function slotOf({ values }: Row, at: number): Value | undefined {
  return values[at];
}

export function templateOf({ template }: Row): number {
  return template;
}

function isLeaf(node: Node): node is readonly Row[] {
  return Array.isArray(node);
}

function caseOf({ cases, numbers }: Branch, value: Value): Node | undefined {
  if (!(value instanceof RegoNumber)) return cases.get(value);
  const key = numberKey(value);
  return typeof key === 'number' ? cases.get(key) : numbers.get(key);
}

function merged(left: readonly Row[], right: readonly Row[]): readonly Row[] {
  const rows: Row[] = [];
  let at = 0;
  for (const row of left) {
    for (let other = right[at]; other !== undefined && other.order < row.order; other = right[++at]) rows.push(other);
    rows.push(row);
  }
  for (; at < right.length; at++) rows.push(...right.slice(at, at + 1));
  return rows;
}
