import { addressKey } from './address-key.ts';
import { invalidCharges } from './charge-fields.ts';
import { type ChargeTerms, type Dimension, parseChargeTerms } from './charge-terms.ts';
import { quoted } from './errors.ts';
import { isObject } from './json.ts';
import { findPlans, findPlansOf, keepPlans } from './known-plans.ts';
import type { Inspected } from './ports.ts';
import type { Peer, Principal } from './principal.ts';

/** One charge of a plan. */
export interface Charge {
  readonly terms: ChargeTerms;
  /** The verified values of `terms.dimensions`, in that order. */
  readonly key: readonly string[];
}

export type ChargePlan = readonly Charge[];

export interface LimitState {
  readonly kind: string;
  readonly unit: string;
  readonly limit: number;
  readonly remaining: number;
  readonly held: number;
  /** Until the cost fits, if nothing else is taken; 0 where it did, {@link NEVER} where it is above the limit. */
  readonly wait_ms: number;
  /** Until all of the limit is there again. */
  readonly reset_ms: number;
  readonly exceeded: boolean;
  readonly shadow: boolean;
  /** Whether the store said so; what is not verified comes of a failure of the store. */
  readonly verified: boolean;
}

/** Milliseconds that no clock will count: a policy that compares them with a number reads them right. */
export const NEVER: number = Number.MAX_SAFE_INTEGER;

/** `input.quota`: which plan was taken, if any, and what is left of each limit. */
export interface QuotaState {
  readonly plan?: number;
  readonly taken: boolean;
  readonly limits: { readonly [name: string]: LimitState };
}

/** What one request wants taken, and for whom. */
export interface TakeRequest {
  readonly plans: readonly ChargePlan[];
  /** Whose holds are counted together: the principal, or the address of the anonymous. */
  readonly holder: string;
  /** The tenant whose charges these are; empty for the anonymous. */
  readonly tenant: string;
  readonly model: string;
}

/** Something that was charged. */
export interface Take {
  /** By this id what is held can be settled; `undefined` when nothing is. Never for clients. */
  readonly reservationId: string | undefined;
  /** Gives back all but what is charged `always`; idempotent, and never throws. */
  release(): void;
}

/** `take` is `undefined` when nothing was charged. */
export type TakeResult =
  | { readonly kind: 'taken'; readonly take: Take | undefined; readonly state: QuotaState }
  /** `retryMs`: until one of the plans fits, if nothing else is taken; absent where none ever does. */
  | { readonly kind: 'exceeded'; readonly state: QuotaState; readonly retryMs?: number }
  /** `overloaded`: it is this process that had no time, nothing is known against the store. */
  | { readonly kind: 'unavailable'; readonly state: QuotaState; readonly cause: string; readonly overloaded?: boolean };

/** What the filled-in keys are made of; a dimension without a value here is not verified for this request. */
export interface ChargeFacts {
  readonly method: string;
  readonly inspected: Inspected;
  readonly principal: Principal | undefined;
  readonly peer: Peer | null;
}

export const MAX_CHARGES_PER_PLAN = 16;
const MAX_PLANS = 8;

/**
 * Turns a `limits` result into plans. Anything unclear is a `RequestFault` `invalid_charges`: a charge that is
 * misread is a limit that does not hold.
 */
export function parsePlans(value: unknown, facts: ChargeFacts): readonly ChargePlan[] {
  const same = findPlansOf(facts.principal, value, keyValue, facts);
  if (same !== undefined) return same;
  const lists = planLists(value);
  if (lists.length > MAX_PLANS) throw invalidCharges(`more than ${MAX_PLANS} plans`);
  const terms = lists.map(parseTerms);
  const known = findPlans(facts.principal, value, terms, keyValue, facts);
  if (known !== undefined) return known;
  const plans: ChargePlan[] = [];
  for (const list of terms) plans.push(toPlan(list, facts));
  return keepPlans(facts.principal, plans);
}

function planLists(value: unknown): readonly (readonly unknown[])[] {
  if (Array.isArray(value)) return [value];
  if (!isObject(value)) throw invalidCharges('`limits` is neither a set of charges nor an object with `plans`');
  const { plans, ...rest } = value;
  const unknownKeys = Object.keys(rest);
  if (unknownKeys.length > 0) throw invalidCharges(`unknown key ${quoted(unknownKeys[0])} beside \`plans\``);
  if (!Array.isArray(plans) || plans.length === 0 || !plans.every(Array.isArray)) {
    throw invalidCharges('`plans` is not a list of sets of charges');
  }
  return plans;
}

function parseTerms(plan: readonly unknown[]): readonly ChargeTerms[] {
  if (plan.length > MAX_CHARGES_PER_PLAN) throw invalidCharges(`more than ${MAX_CHARGES_PER_PLAN} charges in a plan`);
  if (plan.length === 0) return NO_TERMS;
  // Not one by one into a list, which would make room for sixteen more.
  const terms = plan.map(parseChargeTerms);
  for (let at = 1; at < terms.length; at += 1) {
    for (let before = 0; before < at; before += 1) {
      // The name is part of what a bucket is called, so no two charges of a plan are on one bucket.
      if (terms[before]?.name === terms[at]?.name) throw invalidCharges('two charges of a plan have the same name');
    }
  }
  return terms;
}

const NO_TERMS: readonly ChargeTerms[] = [];
const NO_CHARGES: ChargePlan = [];

function toPlan(list: readonly ChargeTerms[], facts: ChargeFacts): ChargePlan {
  if (list.length === 0) return NO_CHARGES;
  const charges: Charge[] = [];
  for (const terms of list) charges.push(toCharge(terms, facts));
  return charges;
}

function toCharge(terms: ChargeTerms, facts: ChargeFacts): Charge {
  const key: string[] = [];
  for (const dimension of terms.dimensions) {
    const verified = keyValue(terms, dimension, facts);
    if (verified === undefined)
      throw invalidCharges(`this request has not verified the dimension ${quoted(dimension)}`);
    key.push(verified);
  }
  return { terms, key };
}

/** A plan may be for another model than the one that was asked for. */
function keyValue(terms: ChargeTerms, dimension: Dimension, facts: ChargeFacts): string | undefined {
  return (dimension === 'model' ? terms.model : undefined) ?? verifiedValue(dimension, facts);
}

/** The verified value of a dimension. The anonymous have `address`, `route`, `method` and `country` only. */
function verifiedValue(dimension: Dimension, { method, inspected, principal, peer }: ChargeFacts): string | undefined {
  if (dimension === 'address') {
    return inspected.network.client_ip === undefined ? undefined : addressKey(inspected.network.client_ip);
  }
  if (dimension === 'route') return inspected.route?.name;
  if (dimension === 'method') return method;
  if (dimension === 'country') return inspected.network.country;
  return principal === undefined ? undefined : valueOfCaller(dimension, principal, inspected, peer);
}

function valueOfCaller(
  dimension: Exclude<Dimension, 'address' | 'route' | 'method' | 'country'>,
  principal: Principal,
  inspected: Inspected,
  peer: Peer | null,
): string | undefined {
  switch (dimension) {
    case 'peer':
      return peer?.spiffeId;
    case 'principal':
      return principalKey(principal);
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
      return claimValue(principal, dimension.slice('claim:'.length));
  }
}

/**
 * One principal, and no other: subjects are unique per issuer only, and a key without a subject speaks for itself. All of a
 * tenant and issuer that have no name are counted as one. Length-prefixed, so that no two have the same text.
 */
export function principalKey(principal: Principal): string {
  const { kind, tenant, issuer, subject, keyId } = principal;
  const name = subject ?? keyId ?? '';
  const known = KNOWN_KEYS.get(name);
  if (
    known?.kind === kind &&
    known.tenant === tenant &&
    known.issuer === issuer &&
    known.subject === subject &&
    known.keyId === keyId
  ) {
    return known.key;
  }
  const key = writePrincipalKey(principal);
  if (key.length > MAX_KNOWN_LENGTH) return key;
  if (KNOWN_KEYS.size >= MAX_KNOWN_KEYS) KNOWN_KEYS.clear();
  KNOWN_KEYS.set(name, { kind, tenant, issuer, subject, keyId, key });
  return key;
}

interface KnownKey {
  readonly kind: Principal['kind'];
  readonly tenant: string | undefined;
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly keyId: string | undefined;
  readonly key: string;
}

/** Buckets are looked up by these texts, and a new text must be hashed each time. By subject or key id. */
const KNOWN_KEYS = new Map<string, KnownKey>();
const MAX_KNOWN_KEYS = 4096;
const MAX_KNOWN_LENGTH = 256;

function writePrincipalKey({ kind, tenant = '', issuer = '', subject, keyId }: Principal): string {
  if (subject !== undefined) return lengthPrefixed([kind, tenant, issuer, subject]);
  if (keyId !== undefined) return lengthPrefixed([`${kind} key`, tenant, issuer, keyId]);
  return lengthPrefixed([`${kind} nameless`, tenant, issuer]);
}

function claimValue(principal: Principal, name: string): string | undefined {
  if (!Object.hasOwn(principal.claims, name)) return undefined;
  const value = principal.claims[name];
  return typeof value === 'string' ? value : undefined;
}

/** Joins texts so that no two lists give the same result. */
export function lengthPrefixed(parts: readonly string[]): string {
  let joined = '';
  for (const part of parts) joined += `${part.length}:${part}`;
  return joined;
}

/** The limits that a plan list forgets of those that the route data requires; each plan must hold all of them. */
export function missingLimits(plans: readonly ChargePlan[], required: readonly string[]): readonly string[] {
  if (required.length === 0 || COMPLETE.get(plans) === required) return NO_NAMES;
  const missing = required.filter((name) => plans.some((plan) => !plan.some(({ terms }) => terms.name === name)));
  // Of plans that requests share it is asked again and again.
  if (missing.length === 0 && Object.isFrozen(plans)) COMPLETE.set(plans, required);
  return missing;
}

const NO_NAMES: readonly string[] = [];
/** Plans that have what was required of them last. */
const COMPLETE = new WeakMap<readonly ChargePlan[], readonly string[]>();
