import type { Authenticate, Clock, StartTimer } from '../decision/ports.ts';
import type { Authentication } from '../decision/principal.ts';
import type { IdentityConfig, IssuerConfig } from './config.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import { createKeySource, type KeySource, type Refreshed } from './jwks.ts';
import { createJwksLoad, type Fetch, type ReadFile } from './jwks-load.ts';
import { createJwtMethod, type JwtIssuer } from './jwt.ts';
import { importKeySet, parseKeySet } from './key-set.ts';

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
}

export type KeysRefreshed = { readonly issuer: string } & Refreshed;

/** Creates the authenticator that config describes. Without an issuer `Authorization` is not looked at. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { config, demoIssuer, clock } = options;
  const configured = (config.jwt?.issuers ?? []).map((issuer) => toJwtIssuer(issuer, options));
  const issuers = demoIssuer === undefined ? configured : [...configured, demoIssuer];
  if (issuers.length === 0) return createChain([], clock);
  const jwt = createJwtMethod({
    issuers,
    maxTokenBytes: config.jwt?.max_token_bytes ?? 8192,
    cacheTtlMs: (config.jwt?.cache_ttl_seconds ?? 60) * 1000,
    cacheMaxEntries: config.jwt?.cache_max_entries ?? 10_000,
  });
  return createChain([jwt], clock);
}

/**
 * Asks every method, so that a second credential is never overlooked. A bad credential ends the request even beside a
 * good one; two good ones of different methods are refused, because nothing says whose request it is.
 */
export function createChain(methods: readonly CredentialMethod[], clock: Clock): Authenticator {
  return {
    authenticate: (request, at) => {
      const [only] = methods;
      if (only === undefined) return ANONYMOUS;
      if (methods.length > 1)
        return Promise.all(methods.map(async (one) => one.authenticate(request, at))).then(combine);
      const found = only.authenticate(request, at);
      return found instanceof Promise ? found.then(orAnonymous) : orAnonymous(found);
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

const ANONYMOUS: Authentication = Object.freeze({ kind: 'anonymous', peer: null, stripHeaders: Object.freeze([]) });

function orAnonymous(found: Found): Authentication {
  return found ?? ANONYMOUS;
}

function combine(results: readonly Found[]): Authentication {
  const presented = results.filter((found) => found !== undefined);
  const refused = presented.find((found) => found.kind === 'refused');
  if (refused !== undefined) return refused;
  if (presented.length > 1) {
    return { kind: 'refused', code: 'invalid_credential', cause: 'credentials of more than one kind' };
  }
  return presented[0] ?? ANONYMOUS;
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
