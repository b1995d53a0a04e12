import { hash } from 'node:crypto';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Instant } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import { type KeyRecord, recordFault } from './api-key-record.ts';
import { DEFAULT_CLAIMS } from './config-jwt.ts';
import type { TokenExchangeConfig } from './config-oauth.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import type { IssuerSettings } from './jwt.ts';
import { SIGNING_ALGORITHMS } from './signing-key.ts';
import { refuseToken, toTokenRefusal } from './token-refusal.ts';

/** No token that was had for a key lives longer. */
export const MAX_LIFETIME_SECONDS = 300;

/**
 * What a token that was had for an API key says of it, beside issuer, audience and times. `key_mark` changes with the
 * secret, so that a token does not outlive the secret that it was had for; it tells nothing of 256 random bits.
 */
export function toKeyClaims(record: KeyRecord): { readonly [claim: string]: unknown } {
  const { id, secretDigest, subject = id, tenant, tier, roles, models } = record;
  const mark = hash('sha256', secretDigest, 'base64url').slice(0, 22);
  return { sub: subject, tenant, tier, roles, ...(models === undefined ? {} : { models }), key_id: id, key_mark: mark };
}

/** How the JWT method judges such tokens; the key that they were had for is {@link createExchangedTokenMethod}'s part. */
export function exchangedTokenRules({ issuer, audience }: TokenExchangeConfig): IssuerSettings {
  return {
    issuer,
    audiences: [audience],
    algorithms: SIGNING_ALGORITHMS,
    // Signed and judged by one clock, or by those of one fleet; a token never outlives its key by a tolerance.
    leeway_seconds: 0,
    claims: DEFAULT_CLAIMS,
    forward: false,
    typ: ['at+jwt'],
    required_claims: ['sub', 'tenant', 'tier', 'key_id', 'jti', 'iat'],
    max_lifetime_seconds: MAX_LIFETIME_SECONDS,
  };
}

export interface ExchangedTokenMethodOptions {
  /** Verifies all JWTs, those of `issuer` by {@link exchangedTokenRules}. */
  readonly jwt: CredentialMethod;
  readonly issuer: string;
  readonly directory: KeyDirectory;
  /** The client's canonical address by local config; `undefined` when there is none that can be believed. */
  readonly clientIp: (request: AccessRequest) => string | undefined;
}

/**
 * Adds to the JWT method that a token which was had for an API key is good only for as long as its key is: on every
 * request the key is looked up, must hold at this moment and from this address, and must say what the token says.
 */
export function createExchangedTokenMethod(options: ExchangedTokenMethodOptions): CredentialMethod {
  const { jwt, issuer, directory, clientIp } = options;

  function judge(found: Found, request: AccessRequest, at: Instant): Found | Promise<Found> {
    if (found?.kind !== 'verified' || found.principal.issuer !== issuer) return found;
    const { principal } = found;
    const keyId = principal.claims['key_id'];
    if (typeof keyId !== 'string') return refuseToken('the token names no API key');
    const conclude = (record: KeyRecord | undefined): Found => {
      if (record === undefined) return refuseToken('the API key of the token does not exist any more');
      const fault = recordFault(record, at, () => clientIp(request)) ?? differenceFault(principal, record);
      if (fault !== undefined) return { ...refuseToken(fault), keyId: record.id };
      const { models } = record;
      const bound = { ...principal, keyId: record.id, ...(models === undefined ? {} : { models }) };
      return { ...found, principal: bound };
    };
    try {
      const record = directory.find(keyId, at);
      return record instanceof Promise ? record.then(conclude).catch(toTokenRefusal) : conclude(record);
    } catch (error) {
      return toTokenRefusal(error);
    }
  }

  return {
    ...jwt,
    authenticate: (request, at, peer) => {
      const found = jwt.authenticate(request, at, peer);
      return found instanceof Promise ? found.then((late) => judge(late, request, at)) : judge(found, request, at);
    },
  };
}

function differenceFault({ claims }: Principal, record: KeyRecord): string | undefined {
  const wanted = toKeyClaims(record);
  for (const name of CLAIMS) {
    const said = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (!isSame(said, wanted[name])) return 'the API key of the token has been changed since';
  }
  return undefined;
}

/** Texts, lists of texts, or nothing; an order that differs is a difference. */
function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

const CLAIMS = ['sub', 'tenant', 'tier', 'roles', 'models', 'key_id', 'key_mark'] as const;
