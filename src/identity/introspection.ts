import type { AccessRequest } from '../decision/access-request.ts';
import type { Clock, Instant, StartTimer } from '../decision/ports.ts';
import type { Peer, Principal } from '../decision/principal.ts';
import { isApiKey } from './api-key-format.ts';
import { type Bearer, isToken68, parseBearer } from './bearer.ts';
import { parseClaims, type TokenClaims, timeFault, toTokenPrincipal } from './claims.ts';
import { hasJwsForm } from './compact-jws.ts';
import type { IntrospectionConfig } from './config-oauth.ts';
import { CredentialFault } from './credential-fault.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import { createIntrospectedTokens, type IntrospectedTokens } from './introspected-tokens.ts';
import { createIntrospectionClient, type FetchPost, type IntrospectionAnswer } from './introspection-client.ts';
import { type Confirm, certificateFault } from './jwt-confirmation.ts';
import { INVALID_TOKEN, toTokenRefusal } from './token-refusal.ts';

export interface IntrospectionOptions {
  readonly servers: readonly IntrospectionConfig[];
  readonly maxTokenBytes: number;
  readonly fetch: FetchPost;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** Judges tokens that are bound to a key (`cnf.jkt`); without it they are refused, and so is the scheme `DPoP`. */
  readonly confirm?: Confirm;
  /** Which tokens are this method's to judge, by their form; default: the opaque ones. */
  readonly takes?: (token: string) => boolean;
}

/** The methods beside the introspection that read bearer tokens. */
export interface BesideIntrospection {
  readonly jwt: boolean;
  readonly apiKeys: boolean;
}

/** Which tokens are left to the introspection: every one that no other method is there to judge. */
export function introspectedTokens({ jwt, apiKeys }: BesideIntrospection): (token: string) => boolean {
  return (token) => !(apiKeys && isApiKey(token)) && !(jwt && isJwt(token));
}

/** What says nothing by itself: neither an API key nor a JWT, whose three parts begin with a JSON object. */
const isOpaque = introspectedTokens({ jwt: true, apiKeys: true });

function isJwt(token: string): boolean {
  return hasJwsForm(token) && JSON_OBJECT.test(token);
}

/** How `{` and an ASCII character after it begin in base64url. */
const JSON_OBJECT = /^e[w-z0-3]/;

/**
 * Opaque bearer tokens, which their issuer explains (RFC 7662). Every server is asked, and the first in config that
 * calls the token active explains it. A server that cannot be asked makes no token good, and none bad either: the
 * request is denied as `issuer_unavailable`.
 */
export function createIntrospectionMethod(options: IntrospectionOptions): CredentialMethod {
  const { maxTokenBytes, confirm, takes = isOpaque } = options;
  const servers = options.servers.map((config) => createServer(config, options));

  async function find(bearer: Bearer, at: Instant): Promise<Explained> {
    const answers = await Promise.allSettled(servers.map(async (server) => server.find(bearer.token, at)));
    let fault: unknown = new CredentialFault('no server is asked about opaque tokens');
    let worst: unknown;
    for (const answer of answers) {
      const verdict = answer.status === 'fulfilled' ? answer.value : undefined;
      if (verdict?.kind === 'explained') return verdict;
      const found: unknown = answer.status === 'rejected' ? answer.reason : faultOf(verdict);
      fault = found;
      if (!(found instanceof CredentialFault) || found.code !== 'invalid_credential') worst ??= found;
    }
    throw worst ?? fault;
  }

  async function verify(request: AccessRequest, bearer: Bearer, peer: Peer | null, at: Instant): Promise<Found> {
    try {
      const explained = await find(bearer, at);
      const { claims } = explained;
      const { confirmation } = claims;
      const fault = timeFault(claims, 0, at);
      if (fault !== undefined) throw new CredentialFault(fault);
      // RFC 9449 §7.1, §7.2: a bound token never passes as a bearer's, and an unbound one never as a bound one.
      if (bearer.dpop !== (confirmation?.jkt !== undefined)) {
        throw new CredentialFault('the scheme is not the one that the token is bound to');
      }
      if (confirmation === undefined) return toFound(explained, bearer, peer);
      const certificate = certificateFault(confirmation, peer);
      if (certificate !== undefined) throw new CredentialFault(certificate);
      if (confirmation.jkt === undefined) return toFound(explained, bearer, peer);
      if (confirm === undefined) throw new CredentialFault('tokens that are bound to a key are not accepted');
      const unproven = await confirm(confirmation, request, bearer.token, at);
      if (unproven === undefined) return toFound(explained, bearer, peer);
      return { kind: 'refused', code: 'invalid_credential', challenge: INVALID_TOKEN, ...unproven };
    } catch (error) {
      return toTokenRefusal(error);
    }
  }

  return {
    authenticate: (request, at, peer = null) => {
      try {
        const bearer = parseBearer(request.headers, maxTokenBytes, confirm !== undefined);
        if (bearer === undefined || !takes(bearer.token)) return undefined;
        if (!isToken68(bearer.token)) throw new CredentialFault('the credential is no single bearer token');
        return verify(request, bearer, peer, at);
      } catch (error) {
        return toTokenRefusal(error);
      }
    },
    start: () => Promise.resolve(),
    stop: () => {},
    faults: () => [],
  };
}

/** What a server made of a token; kept for a short while. */
type Verdict = Explained | { readonly kind: 'inactive' } | { readonly kind: 'unusable'; readonly cause: string };

interface Explained {
  readonly kind: 'explained';
  readonly claims: TokenClaims;
  readonly principal: Omit<Principal, 'credentials'>;
  readonly sizeBytes: number;
}

function createServer(config: IntrospectionConfig, options: IntrospectionOptions): IntrospectedTokens<Verdict> {
  const { fetch, clock, startTimer } = options;
  const audiences = new Set(config.audiences);
  const introspect = createIntrospectionClient({
    url: config.url,
    clientId: config.client_id,
    clientSecret: config.client_secret,
    timeoutMs: config.deadline_ms,
    maxInFlight: config.max_in_flight,
    fetch,
    startTimer,
  });
  return createIntrospectedTokens<Verdict>({
    identity: JSON.stringify(config),
    ask: async (token) => toVerdict(await introspect(token), config, audiences),
    ttlMs: ({ kind }) => 1000 * (kind === 'explained' ? config.cache_ttl_seconds : config.negative_ttl_seconds),
    isGood: ({ kind }) => kind === 'explained',
    sizeBytes: (verdict) => (verdict.kind === 'explained' ? verdict.sizeBytes : 0),
    maxEntries: config.cache_max_entries,
    clock,
  });
}

function toVerdict(
  answer: IntrospectionAnswer,
  { issuer, claims: mapping }: IntrospectionConfig,
  audiences: ReadonlySet<string>,
): Verdict {
  if (!answer.active) return { kind: 'inactive' };
  const { members, sizeBytes } = answer;
  try {
    if (Object.hasOwn(members, 'iss') && members['iss'] !== issuer) {
      throw new CredentialFault('the introspection endpoint names another issuer');
    }
    // RFC 7662 §2.2: `exp` may be left out; such a token lives for as long as its issuer calls it active.
    const payload = Object.hasOwn(members, 'exp') ? members : { ...members, exp: NEVER };
    const parsed = parseClaims(payload, audiences, mapping);
    checkPurpose(members, parsed);
    // What a policy reads is what the issuer said.
    const claims = { ...parsed, claims: members as TokenClaims['claims'] };
    return { kind: 'explained', claims, principal: toTokenPrincipal(claims, issuer, false), sizeBytes };
  } catch (error) {
    if (error instanceof CredentialFault) return { kind: 'unusable', cause: error.message };
    throw error;
  }
}

/**
 * RFC 9449 §6.2: a token of the type `DPoP` is bound, also where its issuer forgets to say to what. `token_use` is how
 * issuers tell a refresh token, which they call active too, from an access token.
 */
function checkPurpose(members: { readonly [name: string]: unknown }, { confirmation }: TokenClaims): void {
  const type = Object.hasOwn(members, 'token_type') ? members['token_type'] : undefined;
  const use = Object.hasOwn(members, 'token_use') ? members['token_use'] : undefined;
  if (typeof type === 'string' && type.toLowerCase() === 'dpop' && confirmation?.jkt === undefined) {
    throw new CredentialFault('the token is bound to a key (`token_type`), and its issuer does not say to which');
  }
  if (use !== undefined && use !== 'access_token' && use !== 'access') {
    throw new CredentialFault('the token is not an access token (`token_use`)');
  }
}

const NEVER = Number.MAX_SAFE_INTEGER;

function faultOf(verdict: Exclude<Verdict, Explained> | undefined): CredentialFault {
  return new CredentialFault(verdict?.kind === 'unusable' ? verdict.cause : 'no issuer calls the token active');
}

/** Whoever is served next could use the token as its owner; it is for this gateway alone. */
const STRIP_HEADERS: readonly string[] = Object.freeze(['authorization', 'dpop']);

function toFound({ principal }: Explained, { header }: Bearer, peer: Peer | null): Found {
  const credential = {
    kind: 'jwt' as const,
    ...(principal.issuer === undefined ? {} : { issuer: principal.issuer }),
    header: 'authorization',
    presented: header,
  };
  return {
    kind: 'verified',
    principal: { ...principal, credentials: [credential] },
    peer,
    stripHeaders: STRIP_HEADERS,
  };
}
