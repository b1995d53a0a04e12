import type { ChargeTerms, Dimension } from './charge-terms.ts';
import type { ChargePlan } from './charges.ts';
import type { JsonObject } from './json.ts';

/** A limit that the caller may be told of. */
export interface ToldTerms {
  readonly terms: ChargeTerms;
  readonly texts: TermsTexts;
}

/** What is said of every take under the same terms. */
export interface TermsTexts {
  /** An item of `RateLimit-Policy`. */
  readonly policy: string;
  /** What an item of `RateLimit` begins with; ASCII. */
  readonly head: string;
  /** Of a rate of requests that Envoy has a unit for. */
  readonly override: JsonObject | undefined;
}

/** What is said of every take of plans with the same terms. */
export interface PlanTexts {
  /** In the order of the plan. */
  readonly told: readonly ToldTerms[];
  /** `RateLimit-Policy`; ASCII. */
  readonly policy: string;
  /** For the gateway; the same object each time, and frozen where it says anything. */
  readonly metadata: JsonObject;
  /** Whether they were asked for more than once: what is made of them is worth keeping. */
  reused: boolean;
}

/** Written once for all plans with the same terms. */
export function textsOfPlan(plan: ChargePlan): PlanTexts {
  const known = PLANS.get(plan);
  if (known !== undefined) return known;
  const told: ToldTerms[] = [];
  for (const { terms } of plan) pushTold(told, terms);
  const texts = sharedTexts(told);
  // A plan that requests share.
  if (texts.reused && Object.isFrozen(plan)) PLANS.set(plan, texts);
  return texts;
}

/** Adds a limit, if it may be told. */
export function pushTold(told: ToldTerms[], terms: ChargeTerms): void {
  const texts = textsOf(terms);
  if (texts !== undefined) told.push({ terms, texts });
}

export function toPlanTexts(told: readonly ToldTerms[]): PlanTexts {
  let policy = '';
  let metadata: JsonObject | undefined;
  for (const { texts } of told) {
    policy += (policy === '' ? '' : ', ') + texts.policy;
    metadata ??= texts.override;
  }
  return { told, policy, metadata: metadata ?? NO_METADATA, reused: false };
}

const PLANS = new WeakMap<ChargePlan, PlanTexts>();
/** By the first of their terms, so that they are gone with them. */
const SHARED = new WeakMap<ChargeTerms, PlanTexts[]>();
const MAX_SHARED = 4;

function sharedTexts(told: readonly ToldTerms[]): PlanTexts {
  const first = told[0]?.terms;
  if (first === undefined) return NOTHING_TOLD;
  const shared = SHARED.get(first) ?? [];
  for (const texts of shared) {
    if (!isSame(texts.told, told)) continue;
    texts.reused = true;
    return texts;
  }
  const texts = toPlanTexts(told);
  SHARED.set(first, [texts, ...shared.slice(0, MAX_SHARED - 1)]);
  return texts;
}

function isSame(one: readonly ToldTerms[], other: readonly ToldTerms[]): boolean {
  return one.length === other.length && one.every(({ terms }, at) => terms === other[at]?.terms);
}

const NO_METADATA: JsonObject = {};
const NOTHING_TOLD: PlanTexts = { told: [], policy: '', metadata: NO_METADATA, reused: true };

/** Written once for the terms of a charge, which many requests share; `undefined` of a limit that is not told. */
function textsOf(terms: ChargeTerms): TermsTexts | undefined {
  const known = TEXTS.get(terms);
  if (known !== undefined) return known === UNTOLD ? undefined : known;
  const texts = isTellable(terms)
    ? { policy: policyItem(terms), head: `"${terms.name}";r=`, override: envoyOverride(terms) }
    : UNTOLD;
  TEXTS.set(terms, texts);
  return texts === UNTOLD ? undefined : texts;
}

const UNTOLD: TermsTexts = { policy: '', head: '', override: undefined };
const TEXTS = new WeakMap<ChargeTerms, TermsTexts>();

function isTellable({ mode, scope, dimensions, name }: ChargeTerms): boolean {
  return (
    mode === 'enforce' &&
    scope === 'tenant' &&
    dimensions.some((dimension) => OWN.has(dimension)) &&
    PLAIN_NAME.test(name)
  );
}

/** What the caller is known by: a bucket without one of them says something of others. */
const OWN: ReadonlySet<Dimension> = new Set<Dimension>(['principal', 'tenant', 'key_id', 'peer', 'address']);
/** What stands in a String of RFC 9651 §3.3.3 as it is. */
const PLAIN_NAME = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/;

function policyItem(terms: ChargeTerms): string {
  const { name, burst, limit, unit, kind } = terms;
  const perSeconds = perSecondsOf(terms);
  const window = perSeconds === undefined ? '' : `;w=${perSeconds}`;
  const quotaUnit = kind === 'concurrency' ? 'concurrent-requests' : QUOTA_UNITS[unit];
  return `"${name}";q=${clamped(kind === 'rate' ? limit : burst)}${window};qu="${quotaUnit}"`;
}

const QUOTA_UNITS = { requests: 'requests', tokens: 'tokens', bytes: 'content-bytes', nano_usd: 'nano-usd' } as const;

/** A month has as many seconds as its longest; `undefined` of a limit without a period. */
function perSecondsOf({ periodSeconds, calendar }: ChargeTerms): number | undefined {
  return calendar === undefined ? periodSeconds : CALENDAR_SECONDS[calendar];
}

const CALENDAR_SECONDS = { minute: 60, hour: 3600, day: 86_400, week: 604_800, month: 2_678_400 } as const;

/** An Integer of RFC 9651 §3.3.1 has at most 15 digits. */
export function clamped(value: number): number {
  return Math.min(value, 999_999_999_999_999);
}

/** The form in which Envoy's rate limit filter reads an override from dynamic metadata. */
function envoyOverride(terms: ChargeTerms): JsonObject | undefined {
  const unit = ENVOY_UNITS.get(perSecondsOf(terms) ?? 0);
  return unit === undefined || terms.unit !== 'requests'
    ? undefined
    : Object.freeze({ rate_limit: Object.freeze({ requests_per_unit: terms.limit, unit }) });
}

const ENVOY_UNITS: ReadonlyMap<number, string> = new Map([
  [1, 'SECOND'],
  [60, 'MINUTE'],
  [3600, 'HOUR'],
  [86_400, 'DAY'],
]);
