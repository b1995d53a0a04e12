import type { CryptoKey } from 'jose';
import type { AccessRequest } from '../decision/access-request.ts';
import { ownText } from '../decision/own-text.ts';
import type { Instant } from '../decision/ports.ts';
import type { Credential, Peer, Principal } from '../decision/principal.ts';
import { type Bearer, isToken68, parseBearer } from './bearer.ts';
import { type ClaimRules, parseClaims, type TokenClaims, timeFault, toTokenPrincipal } from './claims.ts';
import { mediaType, parseCompactJws } from './compact-jws.ts';
import type { IssuerConfig } from './config.ts';
import { CredentialFault } from './credential-fault.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import type { KeySource } from './jwks.ts';
import {
  type Confirm,
  type Confirmation,
  type ConfirmationFault,
  type Confirmed,
  certificateFault,
} from './jwt-confirmation.ts';
import { selectKey } from './jwt-key.ts';
import { INVALID_TOKEN, refuseToken, toTokenRefusal } from './token-refusal.ts';
import { createVerifiedTokens } from './verified-tokens.ts';
import { isSignedWith } from './verify-jws.ts';

/** An issuer whose tokens are believed, with the source of its keys. */
export interface JwtIssuer {
  readonly settings: IssuerSettings;
  readonly keys: KeySource;
  readonly demo: boolean;
}

export type IssuerSettings = Omit<IssuerConfig, 'jwks'>;

export interface JwtMethodOptions {
  readonly issuers: readonly JwtIssuer[];
  readonly maxTokenBytes: number;
  /** How long a verified signature is not verified again, at most 60 s; times are judged on every request. */
  readonly cacheTtlMs: number;
  readonly cacheMaxEntries: number;
  /** Tokens that are another method's to judge: API keys, and opaque ones where they are introspected. */
  readonly leaves?: (token: string, dpop: boolean) => boolean;
  /** Judges tokens that are bound to a key (`cnf.jkt`); without it they are refused, and so is the scheme `DPoP`. */
  readonly confirm?: Confirm;
}

/**
 * Bearer tokens that are JWTs (RFC 7519, RFC 8725): the payload's `iss` chooses the config, config and key set choose
 * algorithm and key, and nothing in the token can choose anything else. Answers at once for a token verified before.
 */
export function createJwtMethod(options: JwtMethodOptions): CredentialMethod {
  const { maxTokenBytes, cacheTtlMs, cacheMaxEntries, leaves, confirm } = options;
  const acceptsDpop = confirm !== undefined;
  const issuers = new Map(options.issuers.map((issuer) => [issuer.settings.issuer, prepare(issuer, acceptsDpop)]));
  const trusted = [...issuers.values()];
  const verified = createVerifiedTokens<Verified>({
    ttlMs: Math.min(cacheTtlMs, 60_000),
    maxEntries: cacheMaxEntries,
    issuers: trusted,
  });

  async function verify(
    token: Unverified,
    request: AccessRequest,
    bearer: Bearer,
    peer: Peer | null,
    at: Instant,
  ): Promise<Found> {
    try {
      const { issuer } = token;
      const { set, key } = await selectKey(issuer.keys, token, at);
      await verifySignature(bearer.token, key, token.algorithm);
      const found = toVerified(token);
      // INVARIANT: only a verified token enters, and only under the keys that verified it.
      if (issuer.keys.current(at) === set) verified.add(bearer.token, found, at);
      return await judge(found, request, bearer, peer, at);
    } catch (error) {
      return toTokenRefusal(error);
    }
  }

  /** The part that every request is judged by, however often its token was seen. */
  function judge(
    found: Verified,
    request: AccessRequest,
    bearer: Bearer,
    peer: Peer | null,
    at: Instant,
  ): Found | Promise<Found> {
    const { confirmation } = found.claims;
    const fault = timeFault(found.claims, found.issuer.leewayMs, at);
    if (fault !== undefined) return refuseToken(fault);
    // RFC 9449 §7.1, §7.2: a bound token never passes as a bearer's, and an unbound one never as a bound one.
    if (bearer.dpop !== (confirmation?.jkt !== undefined)) {
      return refuseToken(bearer.dpop ? UNBOUND : BOUND);
    }
    if (confirmation === undefined) return toFound(found, bearer, peer);
    return judgeBound(found, confirmation, request, bearer, peer, at);
  }

  function judgeBound(
    found: Verified,
    confirmation: Confirmation,
    request: AccessRequest,
    bearer: Bearer,
    peer: Peer | null,
    at: Instant,
  ): Found | Promise<Found> {
    const fault = certificateFault(confirmation, peer);
    if (fault !== undefined) return refuseToken(fault);
    if (confirmation.jkt === undefined) return toFound(found, bearer, peer);
    if (confirm === undefined) return refuseToken(BOUND);
    const conclude = (unproven: Confirmed): Found =>
      unproven === undefined ? toFound(found, bearer, peer) : unconfirmed(unproven);
    const confirmed = confirm(confirmation, request, bearer.token, at);
    return confirmed instanceof Promise ? confirmed.then(conclude).catch(toTokenRefusal) : conclude(confirmed);
  }

  return {
    authenticate: (request, at, peer = null) => {
      try {
        const bearer = parseBearer(request.headers, maxTokenBytes, acceptsDpop);
        if (bearer === undefined) return undefined;
        const known = verified.get(bearer.token, at);
        if (known !== undefined) return judge(known, request, bearer, peer, at);
        if (!isToken68(bearer.token)) throw new CredentialFault('the credential is no single bearer token');
        if (leaves?.(bearer.token, bearer.dpop) === true) return undefined;
        return verify(parseToken(bearer.token, issuers, at), request, bearer, peer, at);
      } catch (error) {
        return toTokenRefusal(error);
      }
    },
    start: async () => {
      await Promise.all(trusted.map(({ keys }) => keys.start()));
    },
    stop: () => {
      for (const { keys } of trusted) keys.stop();
    },
    faults: (at) =>
      trusted.flatMap(({ settings, keys }) => {
        const fault = keys.fault(at);
        return fault === undefined ? [] : [`issuer \`${settings.issuer}\`: ${fault}`];
      }),
  };
}

/** What a request needs of an issuer, built once. */
interface TrustedIssuer extends JwtIssuer {
  readonly identity: string;
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: ReadonlySet<string>;
  /** Media types of `typ`, `undefined` among them where a token may leave it out. */
  readonly types: ReadonlySet<string | undefined>;
  readonly rules: ClaimRules;
  readonly leewayMs: number;
  readonly stripHeaders: readonly string[];
}

/** RFC 8725 §3.11: a JWT made for another purpose (logout, DPoP, secevent …) says so in `typ`. */
const TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'at+jwt']);

function prepare(issuer: JwtIssuer, acceptsDpop: boolean): TrustedIssuer {
  const { settings, demo } = issuer;
  return {
    ...issuer,
    identity: JSON.stringify([settings, demo]),
    audiences: new Set(settings.audiences),
    algorithms: new Set(settings.algorithms),
    types: settings.typ === undefined ? TYPES : new Set(settings.typ.map(mediaType)),
    rules: {
      required: settings.required_claims ?? [],
      maxLifetimeMs: (settings.max_lifetime_seconds ?? Number.POSITIVE_INFINITY) * 1000,
      senderConstrained: settings.sender_constrained === 'required',
    },
    leewayMs: settings.leeway_seconds * 1000,
    stripHeaders: Object.freeze(settings.forward ? [] : acceptsDpop ? ['authorization', 'dpop'] : ['authorization']),
  };
}

/** A token that reads well and would hold now, were its signature good. */
interface Unverified {
  readonly issuer: TrustedIssuer;
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly claims: TokenClaims;
}

function parseToken(token: string, issuers: ReadonlyMap<string, TrustedIssuer>, at: Instant): Unverified {
  const { algorithm, kid, type, payload } = parseCompactJws(token);
  const iss = Object.hasOwn(payload, 'iss') ? payload['iss'] : undefined;
  const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
  if (issuer === undefined) throw new CredentialFault('the token is from an issuer that is not configured');
  if (!issuer.algorithms.has(algorithm)) throw new CredentialFault('the algorithm is not one of this issuer');
  if (!issuer.types.has(type)) throw new CredentialFault('the token is of a type that is not accepted');
  const claims = parseClaims(payload, issuer.audiences, issuer.settings.claims, issuer.rules);
  const fault = timeFault(claims, issuer.leewayMs, at);
  if (fault !== undefined) throw new CredentialFault(fault);
  return { issuer, algorithm, kid, claims };
}

async function verifySignature(token: string, key: CryptoKey, algorithm: string): Promise<void> {
  if (!(await isSignedWith(token, key, algorithm))) throw new CredentialFault('the signature does not verify');
}

/** What does not depend on the request, kept between requests. */
interface Verified {
  readonly issuer: TrustedIssuer;
  readonly kid: string | undefined;
  readonly claims: TokenClaims;
  readonly principal: Omit<Principal, 'credentials'>;
  /** With its credential, as it was presented last. */
  presented: Principal | undefined;
}

function toVerified({ issuer, kid, claims }: Unverified): Verified {
  return {
    issuer,
    kid,
    claims,
    principal: toTokenPrincipal(claims, issuer.settings.issuer, issuer.demo),
    presented: undefined,
  };
}

function toFound(verified: Verified, bearer: Bearer, peer: Peer | null): Found {
  return {
    kind: 'verified',
    principal: toPrincipal(verified, bearer),
    peer,
    stripHeaders: verified.issuer.stripHeaders,
  };
}

/** One frozen object for all requests that present the token in the same way, so that much can be known by it. */
function toPrincipal(verified: Verified, { header }: Bearer): Principal {
  const { presented, principal, issuer, kid } = verified;
  if (presented?.credentials[0]?.presented === header) return presented;
  const credential: Credential = Object.freeze({
    kind: 'jwt',
    issuer: issuer.settings.issuer,
    ...(kid === undefined ? {} : { keyId: kid }),
    header: 'authorization',
    presented: ownText(header),
  });
  verified.presented = Object.freeze({ ...principal, credentials: Object.freeze([credential]) });
  return verified.presented;
}

const BOUND = 'the token is bound to a key and was presented as a bearer token';
const UNBOUND = 'the token was presented as bound to a key (`DPoP`) and is not';

function unconfirmed({ cause, challenge = INVALID_TOKEN }: ConfirmationFault): Found {
  return { kind: 'refused', code: 'invalid_credential', cause, challenge };
}
