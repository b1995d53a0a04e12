import { constantKey, type GuardPath, type Guards } from './rule-index-guards.ts';
import type { RuleTree, Scalar } from './translation.ts';

/** Which of many may do anything, by the values at some paths. */
export interface RuleIndex {
  /** What the tree's `at` stand for; at most {@link MOST_PATHS}. */
  readonly paths: readonly GuardPath[];
  readonly tree: RuleTree;
  /** How many remain for a usual value. */
  readonly expected: number;
}

export const MOST_PATHS = 4;

/** What is left is tried one after the other. */
const FEW = 4;
const DEEPEST = 4;

interface Growth {
  readonly guards: readonly Guards[];
  readonly paths: GuardPath[];
  /** How many entries the tree may still have. */
  room: number;
}

/** The candidates in the order of the list, by the constants that they demand: the path with the most comes first. */
export function indexOf(guards: readonly Guards[]): RuleIndex {
  const growth: Growth = { guards, paths: [], room: guards.length * 16 + 1000 };
  const { tree, expected } = grow(growth, [...guards.keys()], 0);
  return { paths: growth.paths, tree, expected };
}

interface Grown {
  readonly tree: RuleTree;
  readonly expected: number;
}

function grow(growth: Growth, items: readonly number[], depth: number): Grown {
  const split = items.length <= FEW || depth >= DEEPEST ? undefined : bestSplit(growth, items);
  const [only] = items;
  if (only !== undefined && items.length === 1) return { tree: only, expected: 1 };
  if (split === undefined) return { tree: items, expected: items.length };
  growth.room -= split.entries;
  const at = placeOf(growth, split.path);
  const unguarded = items.filter((item) => !growth.guards[item]?.has(split.path.key));
  const cases = new Map<string, Case>();
  for (const item of items) {
    for (const constant of growth.guards[item]?.get(split.path.key)?.constants ?? []) {
      const key = constantKey(constant);
      const known = cases.get(key);
      if (known === undefined) cases.set(key, { constant, items: [item] });
      // It may name a constant twice.
      else if (known.items.at(-1) !== item) known.items.push(item);
    }
  }
  const all = [...cases.values()];
  const grown = all.map((one) => grow(growth, one.items, depth + 1));
  const rest = grow(growth, unguarded, depth + 1);
  const mean = grown.reduce((sum, one) => sum + one.expected, 0) / grown.length;
  return {
    tree: {
      at,
      cases: all.map(({ constant }) => constant),
      trees: grown.map(({ tree }) => tree),
      rest: rest.tree,
    },
    expected: mean + rest.expected,
  };
}

interface Case {
  readonly constant: Scalar;
  readonly items: number[];
}

interface Split {
  readonly path: GuardPath;
  readonly entries: number;
  readonly gain: number;
}

/** The path that spares the most; none where it would spare little. */
function bestSplit({ guards, paths, room }: Growth, items: readonly number[]): Split | undefined {
  const counts = new Map<
    string,
    { readonly path: GuardPath; guarded: number; entries: number; distinct: Set<string> }
  >();
  for (const item of items) {
    for (const [key, { path, constants }] of guards[item] ?? []) {
      let count = counts.get(key);
      if (count === undefined) {
        count = { path, guarded: 0, entries: 0, distinct: new Set() };
        counts.set(key, count);
      }
      count.guarded++;
      count.entries += constants.length;
      for (const constant of constants) count.distinct.add(constantKey(constant));
    }
  }
  let best: Split | undefined;
  for (const [key, { path, guarded, entries, distinct }] of counts) {
    if (entries > room || (paths.length >= MOST_PATHS && !paths.some((known) => known.key === key))) continue;
    const gain = guarded - entries / distinct.size;
    if (gain > (best?.gain ?? 1)) best = { path, entries, gain };
  }
  return best;
}

function placeOf({ paths }: Growth, path: GuardPath): number {
  const known = paths.findIndex(({ key }) => key === path.key);
  return known >= 0 ? known : paths.push(path) - 1;
}
