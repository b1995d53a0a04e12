import type { ChargeTerms } from './charge-terms.ts';
import type { ChargePlan, LimitState, QuotaState } from './charges.ts';
import type { HeaderPairs } from './header-changes.ts';
import type { JsonObject } from './json.ts';
import { clamped, type PlanTexts, pushTold, type ToldTerms, textsOfPlan, toPlanTexts } from './quota-texts.ts';

/** What a client, and his gateway, are told of the quota. */
export interface QuotaNotice {
  readonly headers: HeaderPairs;
  /** For the gateway: `rate_limit: {requests_per_unit, unit}` of the caller's own rate of requests, where he has one. */
  readonly metadata: JsonObject;
  /** Of a refusal: the limits that did not fit, of those that may be told. */
  readonly violated: readonly string[];
  /** All that `headers` say, for a door that writes them without making texts; absent where they say more or nothing. */
  readonly told?: ToldQuota;
}

/** What is told of a taken plan. */
export interface ToldQuota {
  readonly texts: PlanTexts;
  /** In the order of `texts.told`. */
  readonly limits: readonly LimitState[];
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
  const told = toldOf(plans, state);
  if (refusal === undefined) return told.limits.length === 0 ? NOTHING_TOLD : new TakenNotice(told);
  const headers = headersOf(told);
  pushRetry(headers, refusal.retryMs);
  const violated = told.texts.told.filter((_, at) => told.limits[at]?.exceeded).map(({ terms }) => terms.name);
  return { headers, metadata: told.texts.metadata, violated };
}

const NONE: readonly string[] = [];
const NOTHING_TOLD: QuotaNotice = { headers: [], metadata: {}, violated: NONE };

/** Makes its headers only for whoever asks for them. */
class TakenNotice implements QuotaNotice {
  readonly told: ToldQuota;
  readonly metadata: JsonObject;
  readonly violated = NONE;
  #headers: HeaderPairs | undefined;

  constructor(told: ToldQuota) {
    this.told = told;
    this.metadata = told.texts.metadata;
  }

  get headers(): HeaderPairs {
    this.#headers ??= headersOf(this.told);
    return this.#headers;
  }
}

function toldOf(plans: readonly ChargePlan[], state: QuotaState): ToldQuota {
  const taken = state.plan === undefined ? undefined : plans[state.plan];
  if (taken !== undefined) {
    const texts = textsOfPlan(taken);
    const limits = texts.told.map(({ terms }) => stateOf(state, terms.name));
    if (isComplete(limits)) return { texts, limits };
  }
  return toldOfEach(state.plan === undefined ? plans : [taken ?? []], state);
}

/** Of each limit that the state speaks of, what the first plan that has it says. */
function toldOfEach(plans: readonly ChargePlan[], state: QuotaState): ToldQuota {
  const told: ToldTerms[] = [];
  for (const plan of plans) {
    for (const { terms } of plan) {
      const isNew = !told.some((other) => other.terms.name === terms.name);
      if (isNew && stateOf(state, terms.name) !== undefined) pushTold(told, terms);
    }
  }
  const limits = told.flatMap(({ terms }) => stateOf(state, terms.name) ?? []);
  return { texts: toPlanTexts(told), limits };
}

function isComplete(limits: readonly (LimitState | undefined)[]): limits is readonly LimitState[] {
  return !limits.includes(undefined);
}

function stateOf({ limits }: QuotaState, name: string): LimitState | undefined {
  return Object.hasOwn(limits, name) ? limits[name] : undefined;
}

function headersOf(told: ToldQuota): [string, string][] {
  const { texts, limits } = told;
  if (limits.length === 0) return [];
  let items = '';
  for (let at = 0; at < limits.length; at += 1) {
    const limit = limits[at];
    if (limit === undefined) continue;
    const head = texts.told[at]?.texts.head ?? '';
    items += `${at === 0 ? '' : ', '}${head}${clamped(limit.remaining)};t=${untilSeconds(limit)}`;
  }
  const headers: [string, string][] = [
    [POLICY_HEADER, texts.policy],
    [LIMIT_HEADER, items],
  ];
  for (const unit of OPENAI_UNITS) {
    const nearest = nearestLimit(told, unit);
    if (nearest === undefined) continue;
    headers.push(
      [LIMIT_HEADERS[unit], String(nearest.limit)],
      [REMAINING_HEADERS[unit], String(nearest.remaining)],
      [RESET_HEADERS[unit], resetDuration(nearest)],
    );
  }
  return headers;
}

export const POLICY_HEADER = 'ratelimit-policy';
export const LIMIT_HEADER = 'ratelimit';

/** Units that OpenAI's headers tell of, in the order of these. */
export const OPENAI_UNITS = ['requests', 'tokens'] as const;
export const LIMIT_HEADERS = { requests: 'x-ratelimit-limit-requests', tokens: 'x-ratelimit-limit-tokens' } as const;
export const REMAINING_HEADERS = {
  requests: 'x-ratelimit-remaining-requests',
  tokens: 'x-ratelimit-remaining-tokens',
} as const;
export const RESET_HEADERS = { requests: 'x-ratelimit-reset-requests', tokens: 'x-ratelimit-reset-tokens' } as const;

/** What `t` of an item of `RateLimit` says. */
export function untilSeconds(limit: LimitState): number {
  return seconds(untilMs(limit));
}

/** Until the cost fits, where it did not; else until all of the limit is there again. */
export function untilMs({ exceeded, wait_ms, reset_ms }: LimitState): number {
  return exceeded ? wait_ms : reset_ms;
}

function seconds(ms: number): number {
  return clamped(Math.ceil(ms / 1000));
}

/** Of several limits of a unit the one that is nearest to its end: OpenAI's headers tell of one. */
export function nearestLimit(
  { texts, limits }: ToldQuota,
  unit: (typeof OPENAI_UNITS)[number],
): LimitState | undefined {
  let nearest: LimitState | undefined;
  for (let at = 0; at < limits.length; at += 1) {
    const terms = texts.told[at]?.terms;
    const limit = limits[at];
    if (limit === undefined || terms === undefined || !hasOpenAiHeaders(terms, unit)) continue;
    if (nearest === undefined || part(limit) < part(nearest)) nearest = limit;
  }
  return nearest;
}

export function hasOpenAiHeaders({ unit, kind }: ChargeTerms, of: (typeof OPENAI_UNITS)[number]): boolean {
  return unit === of && kind !== 'concurrency';
}

function part({ remaining, limit }: LimitState): number {
  return remaining / limit;
}

/** As OpenAI writes them: `120ms`, `1.5s`, `6m0s`, `1h2m3s`. */
export function resetDuration(limit: LimitState): string {
  const whole = clamped(untilMs(limit));
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
