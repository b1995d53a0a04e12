import type { ChargeTerms } from '../../decision/charge-terms.ts';
import { type Charge, MAX_CHARGES_PER_PLAN, type TakeRequest } from '../../decision/charges.ts';
import type { Adjustment } from '../limiter.ts';
import {
  type DescriptorEntry,
  type DescriptorMatch,
  type DescriptorRule,
  type DescriptorTable,
  type DescriptorUnit,
  type LimitRule,
  matchDescriptor,
} from './descriptors.ts';
import { toLimitRule, UNIT_SECONDS, windowTerms } from './descriptors-rule.ts';
import { ruleName } from './descriptors-tree.ts';

/** What is asked of the limits: never changed, and the same object for the same question. */
export interface DescriptorRequest {
  readonly domain: string;
  readonly descriptors: readonly AskedDescriptor[];
}

export interface AskedDescriptor {
  readonly entries: readonly DescriptorEntry[];
  readonly hits: number;
  /** The hits are given back. */
  readonly negative: boolean;
  readonly override?: { readonly requestsPerUnit: number; readonly unit: DescriptorUnit };
}

/** A bucket that a request touches, by whichever of its descriptors. */
export interface BucketUse {
  readonly kind: 'bucket';
  readonly rule: LimitRule;
  readonly key: readonly string[];
  /** Of all descriptors that meet here. */
  hits: number;
  givenBack: number;
}

/** What a request comes to under one table. */
export interface RequestPlan {
  /** One for each descriptor: its bucket, or the rule that needs none; `undefined` where nothing limits it. */
  readonly uses: readonly (BucketUse | Exclude<DescriptorRule, LimitRule> | undefined)[];
  /** Whether each descriptor asks whether hits fit, or how many do; what gives back asks nothing. */
  readonly asks: readonly boolean[];
  /**
   * One, but where descriptors meet one rule with several values, or more than 16 buckets: a plan has no name twice and
   * an end, so these are taken one after the other.
   */
  readonly takes: readonly PlannedTake[];
  /** Of each descriptor the place of its bucket in the one take; -1 where it has none there. */
  readonly places: readonly number[];
  readonly givenBack: readonly Adjustment[];
}

export interface PlannedTake {
  readonly request: TakeRequest;
  readonly uses: readonly BucketUse[];
}

/** Matches all descriptors of a request, once for as long as it and the table last. */
export function planRequest(table: DescriptorTable, { domain, descriptors }: DescriptorRequest): RequestPlan {
  const matches = withoutReplaced(descriptors.map((descriptor) => toMatch(table, domain, descriptor)));
  const buckets: BucketUse[] = [];
  const uses = matches.map((match, index) => {
    if (match === undefined) return undefined;
    const { rule, key } = match;
    if (rule.kind !== 'limit') return rule;
    const { hits = 0, negative = false } = descriptors[index] ?? {};
    const use = useOf(buckets, rule, key);
    if (negative) use.givenBack = capped(use.givenBack + hits);
    else use.hits = capped(use.hits + hits);
    return use;
  });
  const takes = toTakes(domain, buckets);
  return {
    uses,
    asks: descriptors.map(({ negative }) => !negative),
    takes,
    places: uses.map((use) => (use?.kind === 'bucket' ? (takes[0]?.uses.indexOf(use) ?? -1) : -1)),
    givenBack: buckets
      .filter(({ givenBack }) => givenBack > 0)
      .map((use) => ({ charge: toCharge(use), hits: -use.givenBack })),
  };
}

function useOf(buckets: BucketUse[], rule: LimitRule, key: readonly string[]): BucketUse {
  const known = buckets.find((use) => use.rule.terms.name === rule.terms.name && sameTexts(use.key, key));
  if (known !== undefined) return known;
  const use: BucketUse = { kind: 'bucket', rule, key, hits: 0, givenBack: 0 };
  buckets.push(use);
  return use;
}

function capped(hits: number): number {
  return Math.min(hits, Number.MAX_SAFE_INTEGER);
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

function toMatch(
  table: DescriptorTable,
  domain: string,
  { entries, override }: AskedDescriptor,
): DescriptorMatch | undefined {
  if (override === undefined) return matchDescriptor(table, domain, entries);
  // A limit that the caller brings stands for whatever the entries would match, in a domain that there is.
  if (!table.domains.has(domain)) return undefined;
  const { requestsPerUnit: limit, unit } = override;
  const key = entries.map(({ value }) => value);
  if (limit === 0) {
    const current = { name: '', requestsPerUnit: 0, unit };
    return { rule: { kind: 'block', current, shadow: false, replaces: [] }, key };
  }
  const name = ruleName(['override', domain, ...entries.map((entry) => entry.key)]);
  const terms = windowTerms({ name, limit, seconds: UNIT_SECONDS.get(unit) ?? 0, shadow: false });
  return { rule: toLimitRule({ terms, values: key.length, label: '', replaces: [], countsOverLimit: true }), key };
}

/** Rules that another one of the request stands in for do not count. */
function withoutReplaced(matches: readonly (DescriptorMatch | undefined)[]): readonly (DescriptorMatch | undefined)[] {
  const replaced = new Set(matches.flatMap((match) => match?.rule.replaces ?? []));
  if (replaced.size === 0) return matches;
  return matches.map((match) => {
    if (match === undefined || match.rule.kind === 'unlimited') return match;
    return match.rule.current.name !== '' && replaced.has(match.rule.current.name) ? undefined : match;
  });
}

function toTakes(domain: string, buckets: readonly BucketUse[]): readonly PlannedTake[] {
  const groups: BucketUse[][] = [];
  for (const use of buckets) {
    const name = use.rule.terms.name;
    const group = groups.find(
      (one) => one.length < MAX_CHARGES_PER_PLAN && one.every((other) => other.rule.terms.name !== name),
    );
    if (group === undefined) groups.push([use]);
    else group.push(use);
  }
  return groups.map((uses) => ({
    uses,
    request: { plans: [uses.map(toCharge)], holder: `domain ${domain}`, tenant: '', model: '' },
  }));
}

/** Of one plan, as of those that policies make. */

/** What only gives back is looked at too, and refuses nothing. */
function toCharge({ rule: { terms }, key, hits, givenBack }: BucketUse): Charge {
  if (hits === terms.cost) return { terms, key };
  const changed: ChargeTerms = { ...terms, cost: hits };
  return { terms: hits === 0 && givenBack > 0 ? { ...changed, mode: 'shadow' } : changed, key };
}
