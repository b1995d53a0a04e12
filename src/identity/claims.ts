import { isObject, type JsonValue } from '../decision/json.ts';
import type { Instant } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import type { ClaimsMapping } from './config.ts';
import { CredentialFault } from './credential-fault.ts';
import { type Confirmation, parseConfirmation } from './jwt-confirmation.ts';

/** What a token says, every field of the right type; believed only once its signature is verified. */
export interface TokenClaims {
  readonly subject: string | undefined;
  readonly tenant: string | undefined;
  readonly tier: string | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** All claims, frozen. */
  readonly claims: { readonly [name: string]: JsonValue };
  readonly expiresAtMs: number;
  /** −Infinity when the token does not say. */
  readonly notBeforeMs: number;
  /** −Infinity when the token does not say. */
  readonly issuedAtMs: number;
  /** What its presenter must prove beside it; absent for a token that is good for its bearer. */
  readonly confirmation: Confirmation | undefined;
}

/** What an issuer's tokens must have beside an audience and an end. */
export interface ClaimRules {
  /** Claim names or JSON pointers that must be there and say something. */
  readonly required: readonly string[];
  /** Longest time from `iat` to `exp`; `Infinity` where there is no bound, and then `iat` need not be there. */
  readonly maxLifetimeMs: number;
  /** Whether a token that is good for any bearer is refused. */
  readonly senderConstrained: boolean;
}

type Payload = { readonly [name: string]: unknown };

const NO_RULES: ClaimRules = { required: [], maxLifetimeMs: Number.POSITIVE_INFINITY, senderConstrained: false };

/** Reads the claims that do not depend on the time. Throws {@link CredentialFault} on any of a wrong type or value. */
export function parseClaims(
  payload: Payload,
  audiences: ReadonlySet<string>,
  mapping: ClaimsMapping,
  rules: ClaimRules = NO_RULES,
): TokenClaims {
  checkAudience(own(payload, 'aud'), audiences);
  checkRequired(payload, rules.required);
  const confirmation = parseConfirmation(own(payload, 'cnf'));
  if (rules.senderConstrained && confirmation === undefined) {
    throw new CredentialFault('the token is good for any bearer and its issuer must bind it (`cnf`)');
  }
  return {
    ...parseTimes(payload, rules.maxLifetimeMs),
    subject: subject(own(payload, 'sub')),
    tenant: label(claimAt(payload, mapping.tenant), 'tenant'),
    tier: label(claimAt(payload, mapping.tier), 'tier'),
    roles: labels(claimAt(payload, mapping.roles)),
    scopes: scopes(claimAt(payload, mapping.scopes)),
    // parseStrictJson makes nothing but frozen JSON values, with bigint for long integers: JsonValue.
    claims: payload as { readonly [name: string]: JsonValue },
    confirmation,
  };
}

/** Who a token speaks for, before it is known how it was presented. */
export function toTokenPrincipal(claims: TokenClaims, issuer: string, demo: boolean): Omit<Principal, 'credentials'> {
  const { subject, tenant, tier, roles, scopes } = claims;
  return Object.freeze({
    kind: 'jwt' as const,
    ...(subject === undefined ? {} : { subject }),
    issuer,
    ...(tenant === undefined ? {} : { tenant }),
    ...(tier === undefined ? {} : { tier }),
    roles,
    scopes,
    claims: claims.claims,
    demo,
  });
}

/** Why the token does not hold at this moment (RFC 7519 §4.1.4–6, with leeway), `undefined` when it does. */
export function timeFault(claims: TokenClaims, leewayMs: number, at: Instant): string | undefined {
  const { epochMs } = at;
  // Written so that a NaN anywhere is a fault.
  if (!(epochMs < claims.expiresAtMs + leewayMs)) return 'the token is expired';
  if (!(epochMs >= claims.notBeforeMs - leewayMs)) return 'the token is not valid yet';
  if (!(epochMs >= claims.issuedAtMs - leewayMs)) return 'the token was issued in the future';
  return undefined;
}

function checkAudience(audience: unknown, audiences: ReadonlySet<string>): void {
  const named = Array.isArray(audience) ? audience : [audience];
  if (!named.every((one) => typeof one === 'string'))
    throw new CredentialFault('`aud` is no text and no list of texts');
  if (!named.some((one) => audiences.has(one))) throw new CredentialFault('the token is for another audience');
}

function checkRequired(payload: Payload, required: readonly string[]): void {
  for (const name of required) {
    const value = claimAt(payload, name);
    const said = value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
    // The name is from config, not from the token.
    if (!said) throw new CredentialFault(`the token does not say \`${name}\``);
  }
}

type Times = Pick<TokenClaims, 'expiresAtMs' | 'notBeforeMs' | 'issuedAtMs'>;

function parseTimes(payload: Payload, maxLifetimeMs: number): Times {
  const expiresAtMs = numericDate(payload, 'exp');
  if (expiresAtMs === undefined) throw new CredentialFault('the token never expires: it has no `exp`');
  const notBeforeMs = numericDate(payload, 'nbf') ?? Number.NEGATIVE_INFINITY;
  const issuedAtMs = numericDate(payload, 'iat') ?? Number.NEGATIVE_INFINITY;
  if (!(expiresAtMs > notBeforeMs && expiresAtMs > issuedAtMs))
    throw new CredentialFault('the token ends before it begins');
  // Without `iat` the difference is infinite. Not leeway, which is for clocks: both times are the issuer's own.
  if (!(expiresAtMs - issuedAtMs <= maxLifetimeMs)) throw new CredentialFault('the token is good for too long');
  return { expiresAtMs, notBeforeMs, issuedAtMs };
}

/** RFC 7519 NumericDate, in milliseconds. */
function numericDate(payload: Payload, name: string): number | undefined {
  if (!Object.hasOwn(payload, name)) return undefined;
  const value = payload[name];
  const seconds = typeof value === 'bigint' ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) throw new CredentialFault(`\`${name}\` is no number`);
  return seconds * 1000;
}

function subject(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new CredentialFault('`sub` is no text');
  return value;
}

/** Becomes a header value and part of a bucket's key, so nothing that either would have to escape. */
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/;

function label(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !LABEL.test(value)) throw new CredentialFault(`the ${name} claim is no plain name`);
  return value;
}

const MAX_LABELS = 128;

/** A list of names; a single one may stand alone, as several issuers send it. */
function labels(value: unknown): readonly string[] {
  if (value === undefined) return NONE;
  const list = Array.isArray(value) ? value : [value];
  if (list.length > MAX_LABELS) throw new CredentialFault('the token has too many roles');
  return Object.freeze(
    list.map((one) => {
      if (typeof one !== 'string' || !LABEL.test(one)) throw new CredentialFault('a role is no plain name');
      return one;
    }),
  );
}

const NONE: readonly string[] = Object.freeze([]);
/** RFC 6749 §3.3 `scope-token`. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

/** RFC 8693 §4.2: one text, separated by spaces; a list of texts is what other issuers send. */
function scopes(value: unknown): readonly string[] {
  if (value === undefined || value === '') return NONE;
  const list = typeof value === 'string' ? value.split(' ') : value;
  if (!Array.isArray(list) || list.length > MAX_LABELS)
    throw new CredentialFault('the scope claim is no list of scopes');
  return Object.freeze(
    list.map((one) => {
      if (typeof one !== 'string' || !SCOPE.test(one)) throw new CredentialFault('a scope is no scope token');
      return one;
    }),
  );
}

/**
 * The claim that a mapping names: `tenant` is the claim of that name, `/realm/roles` a JSON pointer (RFC 6901) through
 * objects. `undefined` when it is absent; a step through something that is no object throws.
 */
function claimAt(payload: Payload, name: string): unknown {
  if (!name.startsWith('/')) return own(payload, name);
  let value: unknown = payload;
  for (const step of name.slice(1).split('/')) {
    if (!isObject(value)) throw new CredentialFault('a mapped claim lies inside something that is no object');
    value = own(value, step.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (value === undefined) return undefined;
  }
  return value;
}

function own(object: Payload, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
