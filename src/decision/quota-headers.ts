import type { ChargeTerms, Dimension } from './charge-terms.ts';
import type { Charge, ChargePlan, LimitState, QuotaState } from './charges.ts';
import type { HeaderPairs } from './header-changes.ts';
import type { JsonObject } from './json.ts';

/** What a client, and his gateway, are told of the quota. */
export interface QuotaNotice {
  readonly headers: HeaderPairs;
  /** For the gateway: `rate_limit: {requests_per_unit, unit}` of the caller's own rate of requests, where he has one. */
  readonly metadata: JsonObject;
  /** Of a refusal: the limits that did not fit, of those that may be told. */
  readonly violated: readonly string[];
}

/** A refusal by the quota; `retryMs` is `undefined` where no waiting helps. */
export interface QuotaRefusal {
  readonly retryMs: number | undefined;
}

/**
 * The one source of quota headers, for an Allow and for a Deny: `RateLimit` and `RateLimit-Policy` of
 * draft-ietf-httpapi-ratelimit-headers-11, OpenAI's `x-ratelimit-*`, and of a refusal `Retry-After` (RFC 9110
 * §10.2.3), `retry-after-ms` and `x-should-retry`. Only limits that are keyed by the caller himself are told.
 */
export function toQuotaNotice(
  plans: readonly ChargePlan[],
  state: QuotaState,
  refusal: QuotaRefusal | undefined,
): QuotaNotice {
  const told = toldLimits(plans, state);
  const headers: [string, string][] = [];
  if (told.length > 0) {
    let policies = '';
    let limits = '';
    for (const { texts, limit } of told) {
      const separator = policies === '' ? '' : ', ';
      policies += separator + texts.policy;
      limits += `${separator}${texts.head}${clamped(limit.remaining)};t=${seconds(untilMs(limit))}`;
    }
    headers.push(['ratelimit-policy', policies], ['ratelimit', limits]);
    pushOpenAi(headers, told, 'requests');
    pushOpenAi(headers, told, 'tokens');
  }
  if (refusal !== undefined) pushRetry(headers, refusal.retryMs);
  return {
    headers,
    metadata: overrideOf(told),
    violated: refusal === undefined ? NONE : told.filter(({ limit }) => limit.exceeded).map(({ terms }) => terms.name),
  };
}

function overrideOf(told: readonly Told[]): JsonObject {
  for (const { texts } of told) if (texts.override !== undefined) return texts.override;
  return NO_METADATA;
}

const NO_METADATA: JsonObject = {};
const NONE: readonly string[] = [];

interface Told {
  readonly terms: ChargeTerms;
  readonly texts: Texts;
  readonly limit: LimitState;
}

/** What is said of every take under the same terms. */
interface Texts {
  /** An item of `RateLimit-Policy`. */
  readonly policy: string;
  /** What an item of `RateLimit` begins with. */
  readonly head: string;
  /** Of a rate of requests that Envoy has a unit for. */
  readonly override: JsonObject | undefined;
}

function toldLimits(plans: readonly ChargePlan[], state: QuotaState): readonly Told[] {
  const told: Told[] = [];
  if (state.plan !== undefined) {
    for (const charge of plans[state.plan] ?? []) push(told, charge, state);
    return told;
  }
  for (const plan of plans) {
    for (const charge of plan) {
      if (!told.some(({ terms }) => terms.name === charge.terms.name)) push(told, charge, state);
    }
  }
  return told;
}

function push(told: Told[], { terms }: Charge, { limits }: QuotaState): void {
  const texts = textsOf(terms);
  if (texts === undefined) return;
  const limit = Object.hasOwn(limits, terms.name) ? limits[terms.name] : undefined;
  if (limit !== undefined) told.push({ terms, texts, limit });
}

/** Written once for the terms of a charge, which many requests share; `undefined` of a limit that is not told. */
function textsOf(terms: ChargeTerms): Texts | undefined {
  const known = TEXTS.get(terms);
  if (known !== undefined) return known === UNTOLD ? undefined : known;
  const texts = isTellable(terms)
    ? { policy: policyItem(terms), head: `"${terms.name}";r=`, override: envoyOverride(terms) }
    : UNTOLD;
  TEXTS.set(terms, texts);
  return texts === UNTOLD ? undefined : texts;
}

const UNTOLD: Texts = { policy: '', head: '', override: undefined };
const TEXTS = new WeakMap<ChargeTerms, Texts>();

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
function clamped(value: number): number {
  return Math.min(value, 999_999_999_999_999);
}

function untilMs({ exceeded, wait_ms, reset_ms }: LimitState): number {
  return exceeded ? wait_ms : reset_ms;
}

function seconds(ms: number): number {
  return clamped(Math.ceil(ms / 1000));
}

/** Of several limits of a unit the one that is nearest to its end. */
function pushOpenAi(headers: [string, string][], told: readonly Told[], unit: 'requests' | 'tokens'): void {
  let nearest: Told | undefined;
  for (const candidate of told) {
    const { terms } = candidate;
    if (terms.unit !== unit || terms.kind === 'concurrency') continue;
    if (nearest === undefined || part(candidate) < part(nearest)) nearest = candidate;
  }
  if (nearest === undefined) return;
  const { limit } = nearest;
  headers.push(
    [LIMIT_HEADERS[unit], String(limit.limit)],
    [REMAINING_HEADERS[unit], String(limit.remaining)],
    [RESET_HEADERS[unit], duration(untilMs(limit))],
  );
}

const LIMIT_HEADERS = { requests: 'x-ratelimit-limit-requests', tokens: 'x-ratelimit-limit-tokens' } as const;
const REMAINING_HEADERS = {
  requests: 'x-ratelimit-remaining-requests',
  tokens: 'x-ratelimit-remaining-tokens',
} as const;
const RESET_HEADERS = { requests: 'x-ratelimit-reset-requests', tokens: 'x-ratelimit-reset-tokens' } as const;

function part({ limit }: Told): number {
  return limit.remaining / limit.limit;
}

/** As OpenAI writes them: `120ms`, `1.5s`, `6m0s`, `1h2m3s`. */
function duration(ms: number): string {
  const whole = clamped(ms);
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const rest = `${(whole % 60_000) / 1000}s`;
  if (minutes === 0) return rest;
  return minutes < 60 ? `${minutes}m${rest}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}`;
}

/** Above a minute a client should not wait with the connection open. */
const MOST_RETRY_MS = 60_000;

function pushRetry(headers: [string, string][], retryMs: number | undefined): void {
  if (retryMs !== undefined) {
    headers.push(['retry-after', String(Math.max(1, seconds(retryMs)))], ['retry-after-ms', String(clamped(retryMs))]);
  }
  if (retryMs === undefined || retryMs > MOST_RETRY_MS) headers.push(['x-should-retry', 'false']);
}

/** The form in which Envoy's rate limit filter reads an override from dynamic metadata. */
function envoyOverride(terms: ChargeTerms): JsonObject | undefined {
  const unit = ENVOY_UNITS.get(perSecondsOf(terms) ?? 0);
  return unit === undefined || terms.unit !== 'requests'
    ? undefined
    : { rate_limit: { requests_per_unit: terms.limit, unit } };
}

const ENVOY_UNITS: ReadonlyMap<number, string> = new Map([
  [1, 'SECOND'],
  [60, 'MINUTE'],
  [3600, 'HOUR'],
  [86_400, 'DAY'],
]);
