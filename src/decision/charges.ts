import { quoted, RequestFault } from './errors.ts';
import { isObject } from './json.ts';
import type { Inspected } from './ports.ts';
import type { Peer, Principal } from './principal.ts';

/** What a policy may name as part of a bucket's key; the core fills in the verified value. */
export type Dimension =
  | 'principal'
  | 'tenant'
  | 'key_id'
  | 'peer'
  | 'address'
  | 'model'
  | 'route'
  | 'operation'
  | 'method'
  | 'country'
  | 'tier'
  | `claim:${string}`;

/** One well-formed charge of a plan, its key filled in with verified values, in the order the policy named them. */
export interface Charge {
  readonly name: string;
  readonly key: readonly (readonly [Dimension, string])[];
  readonly unit: string;
  readonly kind: 'rate' | 'window' | 'concurrency';
  readonly limit: number;
  readonly cost: number;
  readonly periodSeconds?: number;
  readonly calendar?: string;
  readonly zone?: string;
  readonly burst?: number;
  readonly reserve?: { readonly ttlSeconds: number; readonly onExpiry: 'charge' | 'release' };
  readonly mode: 'enforce' | 'shadow';
  readonly onFailure: 'deny' | 'local_share' | 'allow';
  readonly charge: 'admitted' | 'always';
  readonly scope: 'tenant' | 'shared';
}

export type ChargePlan = readonly Charge[];

export interface LimitState {
  readonly kind: string;
  readonly unit: string;
  readonly limit: number;
  readonly remaining: number;
  readonly held: number;
  readonly wait_ms: number;
  readonly reset_ms: number;
  readonly exceeded: boolean;
  readonly shadow: boolean;
  readonly verified: boolean;
}

/** `input.quota`: which plan was taken, if any, and what is left of each limit. */
export interface QuotaState {
  readonly plan?: number;
  readonly taken: boolean;
  readonly limits: { readonly [name: string]: LimitState };
}

/** `takeId` names what can be given back; `undefined` when nothing was charged. */
export type TakeResult =
  | { readonly kind: 'taken'; readonly takeId: string | undefined; readonly state: QuotaState }
  | { readonly kind: 'exceeded'; readonly state: QuotaState }
  | { readonly kind: 'unavailable'; readonly state: QuotaState; readonly cause: string };

/** What the filled-in keys are made of; a dimension without a value here is not verified for this request. */
export interface ChargeFacts {
  readonly method: string;
  readonly inspected: Inspected;
  readonly principal: Principal | undefined;
  readonly peer: Peer | null;
}

const MAX_CHARGES_PER_PLAN = 16;
const MAX_PLANS = 8;

/**
 * Turns a `limits` result into plans. Anything unclear is a `RequestFault` `invalid_charges`: a charge that is
 * misread is a limit that does not hold.
 */
export function parsePlans(value: unknown, facts: ChargeFacts): readonly ChargePlan[] {
  const plans = planLists(value);
  if (plans.length > MAX_PLANS) throw invalid(`more than ${MAX_PLANS} plans`);
  return plans.map((plan) => parsePlan(plan, facts));
}

function planLists(value: unknown): readonly (readonly unknown[])[] {
  if (Array.isArray(value)) return [value];
  if (!isObject(value)) throw invalid('`limits` is neither a set of charges nor an object with `plans`');
  const { plans, ...rest } = value;
  const unknownKeys = Object.keys(rest);
  if (unknownKeys.length > 0) throw invalid(`unknown key ${quoted(unknownKeys[0])} beside \`plans\``);
  if (!Array.isArray(plans) || plans.length === 0 || !plans.every(Array.isArray)) {
    throw invalid('`plans` is not a list of sets of charges');
  }
  return plans;
}

function parsePlan(plan: readonly unknown[], facts: ChargeFacts): ChargePlan {
  if (plan.length > MAX_CHARGES_PER_PLAN) throw invalid(`more than ${MAX_CHARGES_PER_PLAN} charges in a plan`);
  if (plan.length === 0) return NO_CHARGES;
  const charges = plan.map((charge) => parseCharge(charge, facts));
  const names = new Set(charges.map((charge) => charge.name));
  if (names.size !== charges.length) throw invalid('two charges of a plan have the same name');
  return charges;
}

const NO_CHARGES: ChargePlan = [];

/** The members of a charge. */
export const CHARGE_KEYS: ReadonlySet<string> = new Set([
  'name',
  'key',
  'unit',
  'kind',
  'limit',
  'per_seconds',
  'calendar',
  'zone',
  'burst',
  'cost',
  'reserve',
  'mode',
  'on_failure',
  'charge',
  'scope',
]);

const CALENDARS = ['minute', 'hour', 'day', 'week', 'month'] as const;

function parseCharge(value: unknown, facts: ChargeFacts): Charge {
  if (!isObject(value)) throw invalid('a charge is not an object');
  for (const key of Object.keys(value)) {
    if (!CHARGE_KEYS.has(key)) throw invalid(`a charge has the unknown key ${quoted(key)}`);
  }
  const name = text(value['name'], 'name');
  const kind = oneOf(value['kind'], ['rate', 'window', 'concurrency'] as const, 'kind');
  const charge: Charge = {
    name,
    key: parseKey(value['key'], facts),
    unit: text(value['unit'], 'unit'),
    kind,
    limit: positive(value['limit'], 'limit'),
    cost: natural(value['cost'], 'cost'),
    mode: optional(value['mode'], 'enforce', (mode) => oneOf(mode, ['enforce', 'shadow'] as const, 'mode')),
    onFailure: optional(value['on_failure'], 'deny', (on) =>
      oneOf(on, ['deny', 'local_share', 'allow'] as const, 'on_failure'),
    ),
    charge: optional(value['charge'], 'admitted', (when) => oneOf(when, ['admitted', 'always'] as const, 'charge')),
    scope: oneOf(value['scope'], ['tenant', 'shared'] as const, 'scope'),
    ...parsePeriod(value, kind),
    ...(value['burst'] === undefined ? {} : { burst: positive(value['burst'], 'burst') }),
    ...(value['reserve'] === undefined ? {} : { reserve: parseReserve(value['reserve']) }),
  };
  return charge;
}

function parsePeriod(
  value: { readonly [key: string]: unknown },
  kind: Charge['kind'],
): { periodSeconds?: number; calendar?: string; zone?: string } {
  const { per_seconds, calendar, zone } = value;
  if (kind === 'rate' || (kind === 'window' && calendar === undefined)) {
    if (calendar !== undefined || zone !== undefined) throw invalid(`a ${kind} has both a period and a calendar`);
    return { periodSeconds: positive(per_seconds, 'per_seconds') };
  }
  if (per_seconds !== undefined) throw invalid('`per_seconds` does not go with this kind of limit');
  if (kind === 'concurrency') {
    if (calendar !== undefined || zone !== undefined) throw invalid('a concurrency limit has no calendar');
    return {};
  }
  return { calendar: oneOf(calendar, CALENDARS, 'calendar'), zone: text(zone, 'zone') };
}

function parseReserve(value: unknown): { ttlSeconds: number; onExpiry: 'charge' | 'release' } {
  if (!isObject(value)) throw invalid('`reserve` is not an object');
  for (const key of Object.keys(value)) {
    if (key !== 'ttl_seconds' && key !== 'on_expiry') throw invalid(`\`reserve\` has the unknown key ${quoted(key)}`);
  }
  return {
    ttlSeconds: positive(value['ttl_seconds'], 'reserve.ttl_seconds'),
    onExpiry: optional(value['on_expiry'], 'charge', (on) =>
      oneOf(on, ['charge', 'release'] as const, 'reserve.on_expiry'),
    ),
  };
}

function parseKey(value: unknown, facts: ChargeFacts): readonly (readonly [Dimension, string])[] {
  if (!Array.isArray(value)) throw invalid('`key` is not a list of dimensions');
  return value.map((dimension) => {
    const verified = verifiedValue(dimension, facts);
    if (verified === undefined) throw invalid(`this request has not verified the dimension ${quoted(dimension)}`);
    return [dimension as Dimension, verified] as const;
  });
}

/** The verified value of a dimension. The anonymous have `address`, `route`, `method` and `country` only. */
function verifiedValue(dimension: unknown, { method, inspected, principal, peer }: ChargeFacts): string | undefined {
  switch (dimension) {
    case 'address':
      return inspected.network.client_ip;
    case 'route':
      return inspected.route?.name;
    case 'method':
      return method;
    case 'country':
      return inspected.network.country;
    case 'peer':
      return peer?.spiffeId;
  }
  if (principal === undefined) return undefined;
  switch (dimension) {
    case 'principal':
      // Subjects are unique per issuer only, so both belong to the value; length-prefixed so that no pair has a twin.
      return principal.subject === undefined ? undefined : lengthPrefixed([principal.issuer ?? '', principal.subject]);
    case 'tenant':
      return principal.tenant;
    case 'key_id':
      return principal.keyId;
    case 'model':
      return inspected.route?.model;
    case 'operation':
      return inspected.route?.operation;
    case 'tier':
      return principal.tier;
    default:
      return typeof dimension === 'string' && dimension.startsWith('claim:')
        ? claimValue(principal, dimension.slice('claim:'.length))
        : undefined;
  }
}

function claimValue(principal: Principal, name: string): string | undefined {
  if (!Object.hasOwn(principal.claims, name)) return undefined;
  const value = principal.claims[name];
  return typeof value === 'string' ? value : undefined;
}

/** Joins texts so that no two lists give the same result. */
export function lengthPrefixed(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join('');
}

/** The limits that a plan list forgets of those that the route data requires; each plan must hold all of them. */
export function missingLimits(plans: readonly ChargePlan[], required: readonly string[]): readonly string[] {
  if (required.length === 0) return required;
  return required.filter((name) => plans.some((plan) => !plan.some((charge) => charge.name === name)));
}

function invalid(message: string): RequestFault {
  return new RequestFault('invalid_charges', message);
}

function text(value: unknown, key: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 128) throw invalid(`\`${key}\` is not a short text`);
  return value;
}

function natural(value: unknown, key: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(`\`${key}\` is not an integer from 0 to 2^53 - 1`);
  }
  return value;
}

function positive(value: unknown, key: string): number {
  const number = natural(value, key);
  if (number === 0) throw invalid(`\`${key}\` is zero`);
  return number;
}

function oneOf<const T extends string>(value: unknown, choices: readonly T[], key: string): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalid(`\`${key}\` is none of ${choices.join(', ')}`);
  return found;
}

function optional<T>(value: unknown, fallback: T, parse: (value: unknown) => T): T {
  return value === undefined ? fallback : parse(value);
}
