import { type CryptoKey, compactVerify } from 'jose';
import type { Instant } from '../decision/ports.ts';
import type { Credential, Principal } from '../decision/principal.ts';
import { type Bearer, isToken68, parseBearer } from './bearer.ts';
import { parseClaims, type TokenClaims, timeFault } from './claims.ts';
import { parseCompactJws } from './compact-jws.ts';
import type { IssuerConfig } from './config.ts';
import { CredentialFault } from './credential-fault.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import type { KeySource } from './jwks.ts';
import type { KeySet } from './key-set.ts';
import { createVerifiedTokens } from './verified-tokens.ts';

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
}

/**
 * Bearer tokens that are JWTs (RFC 7519, RFC 8725): the payload's `iss` chooses the config, config and key set choose
 * algorithm and key, and nothing in the token can choose anything else. Answers at once for a token verified before.
 */
export function createJwtMethod(options: JwtMethodOptions): CredentialMethod {
  const { maxTokenBytes, cacheTtlMs, cacheMaxEntries } = options;
  const issuers = new Map(options.issuers.map((issuer) => [issuer.settings.issuer, prepare(issuer)]));
  const trusted = [...issuers.values()];
  const verified = createVerifiedTokens<Verified>({
    ttlMs: Math.min(cacheTtlMs, 60_000),
    maxEntries: cacheMaxEntries,
    issuers: trusted,
  });

  async function verify(token: Unverified, bearer: Bearer, at: Instant): Promise<Found> {
    try {
      const { issuer } = token;
      const { set, key } = await selectKey(token, at);
      await verifySignature(bearer.token, key, token.algorithm);
      const found = toVerified(token);
      // INVARIANT: only a verified token enters, and only under the keys that verified it.
      if (issuer.keys.current(at) === set) verified.add(bearer.token, found, at);
      return judge(found, bearer, at);
    } catch (error) {
      return refuse(error);
    }
  }

  return {
    authenticate: (request, at) => {
      try {
        const bearer = parseBearer(request.headers, maxTokenBytes);
        if (bearer === undefined) return undefined;
        const known = verified.get(bearer.token, at);
        if (known !== undefined) return judge(known, bearer, at);
        if (!isToken68(bearer.token)) throw new CredentialFault('the credential is no single bearer token');
        return verify(parseToken(bearer.token, issuers, at), bearer, at);
      } catch (error) {
        return refuse(error);
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
  readonly leewayMs: number;
  readonly stripHeaders: readonly string[];
}

function prepare(issuer: JwtIssuer): TrustedIssuer {
  const { settings, demo } = issuer;
  return {
    ...issuer,
    identity: JSON.stringify([settings, demo]),
    audiences: new Set(settings.audiences),
    algorithms: new Set(settings.algorithms),
    leewayMs: settings.leeway_seconds * 1000,
    stripHeaders: Object.freeze(settings.forward ? [] : ['authorization']),
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
  const { algorithm, kid, payload } = parseCompactJws(token);
  const iss = Object.hasOwn(payload, 'iss') ? payload['iss'] : undefined;
  const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
  if (issuer === undefined) throw new CredentialFault('the token is from an issuer that is not configured');
  if (!issuer.algorithms.has(algorithm)) throw new CredentialFault('the algorithm is not one of this issuer');
  const claims = parseClaims(payload, issuer.audiences, issuer.settings.claims);
  const fault = timeFault(claims, issuer.leewayMs, at);
  if (fault !== undefined) throw new CredentialFault(fault);
  return { issuer, algorithm, kid, claims };
}

interface Selected {
  readonly set: KeySet;
  readonly key: CryptoKey;
}

/** Finds the one key that may verify the token; an unknown one causes at most one refresh per cool-down. */
async function selectKey(token: Unverified, at: Instant): Promise<Selected> {
  const { keys } = token.issuer;
  const set = keys.current(at);
  const key = set === undefined ? undefined : keyFor(token, set);
  if (set !== undefined && key !== undefined) return { set, key };
  await keys.refresh();
  const newer = keys.current(at);
  if (newer === undefined) throw new CredentialFault('the keys of the issuer are not available', 'issuer_unavailable');
  const newKey = keyFor(token, newer);
  if (newKey === undefined) throw new CredentialFault('the token names a key that its issuer does not publish');
  return { set: newer, key: newKey };
}

/** `undefined` when the set has no such key; throws when it has one, or several, that must not be used. */
function keyFor({ kid, algorithm }: Unverified, set: KeySet): CryptoKey | undefined {
  if (kid !== undefined) {
    const named = set.byKid.get(kid);
    if (named === undefined) return undefined;
    const key = named.byAlgorithm.get(algorithm);
    if (key === undefined) throw new CredentialFault('the key that the token names is for another algorithm');
    return key;
  }
  const [only, ...others] = set.keys.flatMap((key) => key.byAlgorithm.get(algorithm) ?? []);
  if (others.length > 0) throw new CredentialFault('the token names no key and its issuer has several');
  return only;
}

async function verifySignature(token: string, key: CryptoKey, algorithm: string): Promise<void> {
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
  } catch {
    throw new CredentialFault('the signature does not verify');
  }
}

/** What does not depend on the request, kept between requests. */
interface Verified {
  readonly issuer: TrustedIssuer;
  readonly kid: string | undefined;
  readonly claims: TokenClaims;
  readonly principal: Omit<Principal, 'credentials'>;
}

function toVerified({ issuer, kid, claims }: Unverified): Verified {
  const { subject, tenant, tier, roles, scopes } = claims;
  return {
    issuer,
    kid,
    claims,
    principal: Object.freeze({
      kind: 'jwt' as const,
      ...(subject === undefined ? {} : { subject }),
      issuer: issuer.settings.issuer,
      ...(tenant === undefined ? {} : { tenant }),
      ...(tier === undefined ? {} : { tier }),
      roles,
      scopes,
      claims: claims.claims,
      demo: issuer.demo,
    }),
  };
}

/** The part that every request is judged by, however often its token was seen. */
function judge({ issuer, kid, claims, principal }: Verified, bearer: Bearer, at: Instant): Found {
  const fault = timeFault(claims, issuer.leewayMs, at);
  if (fault !== undefined) return refused('invalid_credential', fault);
  const credential: Credential = {
    kind: 'jwt',
    issuer: issuer.settings.issuer,
    ...(kid === undefined ? {} : { keyId: kid }),
    header: 'authorization',
    presented: bearer.header,
  };
  return {
    kind: 'verified',
    principal: { ...principal, credentials: [credential] },
    peer: null,
    stripHeaders: issuer.stripHeaders,
  };
}

function refuse(error: unknown): Found {
  if (error instanceof CredentialFault) return refused(error.code, error.message);
  throw error;
}

/** RFC 6750 §3.1; the same for every fault, so that it tells nothing about what was wrong. */
const CHALLENGE = 'Bearer error="invalid_token"';

function refused(code: CredentialFault['code'], cause: string): Found {
  if (code === 'issuer_unavailable') return { kind: 'refused', code, cause };
  return { kind: 'refused', code, cause, challenge: CHALLENGE };
}
