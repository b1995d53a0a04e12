import type { ChargeTerms } from '../../decision/charge-terms.ts';

/** Units of time that an answer of Envoy's rate limit service can name. */
export type DescriptorUnit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';

/** What a matched descriptor is limited by. */
export type DescriptorRule = LimitRule | BlockRule | UnlimitedRule;

export interface LimitRule {
  readonly kind: 'limit';
  /** Of one hit; the name is that of no other rule. */
  readonly terms: ChargeTerms;
  readonly current: DescriptorLimit;
  /** Whether hits of a refused request count all the same, as a debt. */
  readonly countsOverLimit: boolean;
  /** The names of the rules that do not count beside this one. */
  readonly replaces: readonly string[];
}

/** A limit of 0: no hit passes, and none is counted. */
export interface BlockRule {
  readonly kind: 'block';
  readonly current: DescriptorLimit;
  readonly shadow: boolean;
  readonly replaces: readonly string[];
}

export interface UnlimitedRule {
  readonly kind: 'unlimited';
  readonly current: Pick<DescriptorLimit, 'name'>;
  readonly replaces: readonly string[];
}

/** A limit as answers tell it. */
export interface DescriptorLimit {
  /** Empty where it has none. */
  readonly name: string;
  readonly requestsPerUnit: number;
  /** Absent where the period is none of Envoy's. */
  readonly unit?: DescriptorUnit;
}

export interface DescriptorMatch {
  readonly rule: DescriptorRule;
  /** The values that are counted apart under the rule. */
  readonly key: readonly string[];
}

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** One step of a tree of descriptors. */
export interface DescriptorNode {
  readonly rule?: DescriptorRule;
  /** Whether each value that leads here is counted apart; what a rule names literally needs no telling apart. */
  readonly apart: boolean;
  readonly byKey: ReadonlyMap<string, DescriptorChildren>;
}

/** What follows on one key. */
export interface DescriptorChildren {
  readonly byValue: ReadonlyMap<string, DescriptorNode>;
  /** In the order in which they were written: the first that fits is taken. */
  readonly byPrefix: readonly { readonly prefix: string; readonly node: DescriptorNode }[];
  /** For every other value. */
  readonly byDefault?: DescriptorNode;
}

/** The rules of all domains. */
export interface DescriptorTable {
  readonly domains: ReadonlyMap<string, DescriptorNode>;
}

/**
 * The rule of the node that the entries lead to, all of them, one level each: a literal value goes before a prefix,
 * and a prefix before the key alone (envoyproxy/ratelimit). `undefined` where the way ends before, or without a rule.
 * Key and value are never run together, as they are there: a caller's value cannot reach the rule of another key.
 */
export function matchDescriptor(
  { domains }: DescriptorTable,
  domain: string,
  entries: readonly DescriptorEntry[],
): DescriptorMatch | undefined {
  let node = domains.get(domain);
  const key: string[] = [];
  for (const entry of entries) {
    const children = node?.byKey.get(entry.key);
    node = children === undefined ? undefined : followValue(children, entry.value);
    if (node === undefined) return undefined;
    if (node.apart) key.push(entry.value);
  }
  return node?.rule === undefined ? undefined : { rule: node.rule, key };
}

function followValue({ byValue, byPrefix, byDefault }: DescriptorChildren, value: string): DescriptorNode | undefined {
  const literal = byValue.get(value);
  if (literal !== undefined) return literal;
  for (const { prefix, node } of byPrefix) if (value.startsWith(prefix)) return node;
  return byDefault;
}

/** Rules of one table go before those of another: a domain is looked for in the first that has it. */
export function mergeDescriptors(first: DescriptorTable, second: DescriptorTable): DescriptorTable {
  return { domains: new Map([...second.domains, ...first.domains]) };
}
