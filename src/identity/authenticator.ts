import type { AccessRequest } from '../decision/access-request.ts';
import type { Authenticate, Clock, StartTimer } from '../decision/ports.ts';
import { createApiKeyMethod } from './api-key.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import { isApiKey } from './api-key-format.ts';
import { askAll, withoutUnclaimed, withPeer, withPeerLater } from './combine.ts';
import type { IdentityConfig, IssuerConfig } from './config.ts';
import type { CredentialMethod } from './credential-method.ts';
import { createExchangedTokenMethod } from './exchanged-token.ts';
import { introspectedTokens } from './introspection.ts';
import { createKeySource, type KeySource, type Refreshed } from './jwks.ts';
import { createJwksLoad, type Fetch, type ReadFile } from './jwks-load.ts';
import { createJwtMethod, type JwtIssuer } from './jwt.ts';
import type { Confirm } from './jwt-confirmation.ts';
import { importKeySet, parseKeySet } from './key-set.ts';
import { createMtlsPeers, isRefusedPeer, type PeerSource } from './mtls-peers.ts';
import type { TokenExchange } from './token-exchange.ts';

/** The identity step of a request, with the life cycle of what it verifies with. */
export interface Authenticator {
  readonly authenticate: Authenticate;
  /** Resolves when every key set's first attempt is over, well or not; an issuer without keys is denied meanwhile. */
  start(): Promise<void>;
  stop(): void;
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
}

export interface AuthenticatorOptions {
  readonly config: IdentityConfig;
  /** From {@link createDemoIssuer}; only where config allows it. */
  readonly demoIssuer?: JwtIssuer;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly fetch: Fetch;
  readonly readFile: ReadFile;
  /** Told of every attempt to read an issuer's keys, for logs and metrics. */
  readonly report: (event: KeysRefreshed) => void;
  /** Where API keys are looked up; with `identity.api_keys` compulsory, without it not looked at. */
  readonly keyDirectory?: KeyDirectory;
  /** The client's canonical address by local config, for keys that are good from some addresses only. */
  readonly clientIp?: (request: AccessRequest) => string | undefined;
  /** Judges tokens that are bound to a key (DPoP). */
  readonly confirm?: Confirm;
  /** Asked beside the others: the introspection of opaque tokens. */
  readonly methods?: readonly CredentialMethod[];
  /** Whose tokens are good for as long as the API keys that they were had for. */
  readonly tokenExchange?: TokenExchange;
}

export type KeysRefreshed = { readonly issuer: string } & Refreshed;

/** Creates the authenticator that config describes. What it does not name is not looked at. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { config, clock, methods = [] } = options;
  const own = [jwtMethod(options), apiKeyMethod(options)].filter((method) => method !== undefined);
  return createChain([...own, ...methods], clock, config.mtls && createMtlsPeers(config.mtls));
}

/**
 * Asks every method, so that a second credential is never overlooked, and tells each which peer asks. A bad credential
 * ends the request even beside a good one, and so does a bearer token that no method takes, or a peer that cannot hold.
 */
export function createChain(
  methods: readonly CredentialMethod[],
  clock: Clock,
  peerOf: PeerSource = nobody,
): Authenticator {
  return {
    authenticate: (request, at) => {
      const peer = peerOf(request);
      if (peer !== null && isRefusedPeer(peer)) return peer;
      const [only] = methods;
      const found = methods.length > 1 ? askAll(methods, request, at, peer) : only?.authenticate(request, at, peer);
      if (only === undefined) return withPeer(undefined, peer);
      if (found instanceof Promise) return withPeerLater(found, request, peer);
      return withPeer(withoutUnclaimed(found, request), peer);
    },
    start: async () => {
      await Promise.all(methods.map((method) => method.start()));
    },
    stop: () => {
      for (const method of methods) method.stop();
    },
    ready: () => {
      const reasons = methods.flatMap((method) => method.faults(clock.now()));
      return { ready: reasons.length === 0, reasons };
    },
  };
}

function nobody(): null {
  return null;
}

function apiKeyMethod({ config, keyDirectory, clientIp = unknownAddress }: AuthenticatorOptions) {
  if (config.api_keys === undefined) return undefined;
  if (keyDirectory === undefined) throw new Error('`identity.api_keys` is configured, but there is no key directory');
  return createApiKeyMethod({ directory: keyDirectory, clientIp });
}

function unknownAddress(): undefined {
  return undefined;
}

function jwtMethod(options: AuthenticatorOptions): CredentialMethod | undefined {
  const { config, demoIssuer, confirm, tokenExchange, keyDirectory, clientIp = unknownAddress } = options;
  const configured = (config.jwt?.issuers ?? []).map((issuer) => toJwtIssuer(issuer, options));
  const own = [demoIssuer, tokenExchange?.issuer].filter((issuer) => issuer !== undefined);
  const issuers = [...configured, ...own];
  if (issuers.length === 0) return undefined;
  const apiKeys = config.api_keys !== undefined;
  const introspected = config.introspection && introspectedTokens({ jwt: true, apiKeys });
  const jwt = createJwtMethod({
    issuers,
    maxTokenBytes: config.jwt?.max_token_bytes ?? 8192,
    cacheTtlMs: (config.jwt?.cache_ttl_seconds ?? 60) * 1000,
    cacheMaxEntries: config.jwt?.cache_max_entries ?? 10_000,
    leaves: (token) => (apiKeys && isApiKey(token)) || introspected?.(token) === true,
    ...(confirm === undefined ? {} : { confirm }),
  });
  if (tokenExchange === undefined) return jwt;
  if (keyDirectory === undefined) throw new Error('tokens are given out for API keys, but there is no key directory');
  const { issuer } = tokenExchange.issuer.settings;
  return createExchangedTokenMethod({ jwt, issuer, directory: keyDirectory, clientIp });
}

const FILE_REFRESH_SECONDS = 5;
const URL_REFRESH_SECONDS = 300;

function toJwtIssuer({ jwks, ...settings }: IssuerConfig, options: AuthenticatorOptions): JwtIssuer {
  const { clock, startTimer, random, report } = options;
  const fromFile = jwks.file !== undefined;
  const refreshSeconds = jwks.refresh_seconds ?? (fromFile ? FILE_REFRESH_SECONDS : URL_REFRESH_SECONDS);
  // A file costs its owner nothing to read, so the cool-down need not slow its reading down.
  const cooldownSeconds = fromFile ? Math.min(jwks.cooldown_seconds, refreshSeconds) : jwks.cooldown_seconds;
  const keys: KeySource = createKeySource({
    load: createJwksLoad(jwks, options),
    parse: (text) => importKeySet(parseKeySet(text), settings.algorithms),
    timing: {
      cooldownMs: cooldownSeconds * 1000,
      refreshMs: refreshSeconds * 1000,
      maxAgeMs: jwks.max_age_seconds * 1000,
      timeoutMs: jwks.timeout_ms,
    },
    clock,
    startTimer,
    random,
    report: (refreshed) => report({ issuer: settings.issuer, ...refreshed }),
  });
  return { settings, keys, demo: false };
}
