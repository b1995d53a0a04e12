import { type ChargeTerms, parseChargeTerms } from '../../decision/charge-terms.ts';
import type { DescriptorLimit, DescriptorUnit, LimitRule } from './descriptors.ts';

/** Envoy's units in seconds; months and years are those of envoyproxy/ratelimit. */
export const UNIT_SECONDS: ReadonlyMap<string, number> = new Map<DescriptorUnit, number>([
  ['second', 1],
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
  ['week', 7 * 86_400],
  ['month', 30 * 86_400],
  ['year', 365 * 86_400],
]);

/** What the place of a rule in its tree says of it. */
export interface RulePlace {
  /** That of no other rule. */
  readonly name: string;
  /** How many values are counted apart. */
  readonly values: number;
}

export interface LimitRuleOptions {
  readonly terms: ChargeTerms;
  readonly values: number;
  /** What answers call it. */
  readonly label: string;
  readonly replaces: readonly string[];
  readonly countsOverLimit: boolean;
}

/** The rule of terms that name no dimensions. */
export function toLimitRule({ terms, values, label, replaces, countsOverLimit }: LimitRuleOptions): LimitRule {
  const unit = unitOf(terms);
  const current: DescriptorLimit = { name: label, requestsPerUnit: terms.limit, ...(unit && { unit }) };
  // Clients have a say in what a gateway sends as values, so they are counted as those of outsiders are.
  const dimensions = Array.from({ length: values }, () => 'address' as const);
  return { kind: 'limit', terms: { ...terms, dimensions }, current, countsOverLimit, replaces };
}

function unitOf({ calendar, periodSeconds }: ChargeTerms): DescriptorUnit | undefined {
  return calendar ?? UNIT_NAMES.get(periodSeconds ?? 0);
}

const UNIT_NAMES: ReadonlyMap<number, DescriptorUnit> = new Map([
  [1, 'second'],
  [60, 'minute'],
  [3600, 'hour'],
  [86_400, 'day'],
  [7 * 86_400, 'week'],
  [30 * 86_400, 'month'],
  [365 * 86_400, 'year'],
]);

export interface WindowOptions {
  readonly name: string;
  readonly limit: number;
  readonly seconds: number;
  readonly shadow: boolean;
}

/** A window of so many seconds that begins with the epoch. Throws a `RequestFault` for what no charge can say. */
export function windowTerms({ name, limit, seconds, shadow }: WindowOptions): ChargeTerms {
  return parseChargeTerms({
    name,
    key: [],
    unit: 'requests',
    kind: 'window',
    limit,
    per_seconds: seconds,
    cost: 1,
    mode: shadow ? 'shadow' : 'enforce',
    scope: 'shared',
  });
}
