import {
  constants,
  createHmac,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import type { Clock, Instant, StartTimer } from '../../../src/decision/ports.ts';
import type { Authentication } from '../../../src/decision/principal.ts';
import { DEFAULT_CLAIMS, type SignatureAlgorithm } from '../../../src/identity/config.ts';
import type { CredentialMethod } from '../../../src/identity/credential-method.ts';
import type { KeySource } from '../../../src/identity/jwks.ts';
import { createFixedKeySource } from '../../../src/identity/jwks.ts';
import {
  createJwtMethod,
  type IssuerSettings,
  type JwtIssuer,
  type JwtMethodOptions,
} from '../../../src/identity/jwt.ts';
import { importKeySet, parseKeySet } from '../../../src/identity/key-set.ts';

/** 2026-11-22T00:00:00Z, a whole second. */
export const NOW_MS = 1_795_305_600_000;
export const NOW_SECONDS = NOW_MS / 1000;

export const AT: Instant = { epochMs: NOW_MS, monotonicMs: 1000 };

export function later(ms: number): Instant {
  return { epochMs: AT.epochMs + ms, monotonicMs: AT.monotonicMs + ms };
}

/** A clock and its timers that move only when told. */
export interface ManualTime {
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** Moves on and runs what falls due, in order; gives promises a turn after each. */
  advance(ms: number): Promise<void>;
  pending(): number;
}

export function manualTime(): ManualTime {
  let elapsedMs = 0;
  let timers: { readonly dueMs: number; readonly late: () => void }[] = [];
  return {
    clock: { now: () => later(elapsedMs) },
    startTimer: (delayMs, late) => {
      const timer = { dueMs: elapsedMs + delayMs, late };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    advance: async (ms) => {
      const endMs = elapsedMs + ms;
      for (;;) {
        const [next] = timers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        elapsedMs = Math.max(elapsedMs, next.dueMs);
        timers = timers.filter((one) => one !== next);
        next.late();
        await turn();
      }
      elapsedMs = endMs;
      await turn();
    },
    pending: () => timers.length,
  };
}

/** Lets everything that is ready run, thread pool answers of small imports included. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** Real timers, for tests against a real server. */
export const startRealTimer: StartTimer = (delayMs, late) => {
  const timer = setTimeout(late, delayMs);
  return () => clearTimeout(timer);
};

/** A request with these values of `authorization`. */
export function request(...authorization: readonly string[]): AccessRequest {
  return {
    door: 'test',
    method: 'GET',
    target: '/',
    host: 'example.test',
    headers: {
      all: (name) => (name === 'authorization' ? authorization : []),
      names: () => (authorization.length > 0 ? ['authorization'] : []),
    },
    body: { bytes: new Uint8Array(), complete: true },
    contextExtensions: new Map(),
    attributes: () => undefined,
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
  };
}

export interface TestKey {
  readonly algorithm: SignatureAlgorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const rsaKeys = new Map<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>();

/** Making an RSA key is slow, so keys of the same label and bits are one. */
export function rsaKey(label: string, modulusLength = 2048) {
  const known = rsaKeys.get(`${label} ${modulusLength}`);
  if (known !== undefined) return known;
  const pair = generateKeyPairSync('rsa', { modulusLength });
  rsaKeys.set(`${label} ${modulusLength}`, pair);
  return pair;
}

const CURVES = new Map([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
]);

export function testKey(algorithm: SignatureAlgorithm, label = 'ours'): TestKey {
  const kid = `${label}-${algorithm}`;
  if (algorithm === 'EdDSA' || algorithm === 'Ed25519') return { algorithm, kid, ...generateKeyPairSync('ed25519') };
  const namedCurve = CURVES.get(algorithm);
  if (namedCurve === undefined) return { algorithm, kid, ...rsaKey(label) };
  return { algorithm, kid, ...generateKeyPairSync('ec', { namedCurve }) };
}

export function publicJwk(key: TestKey, changes: JsonWebKey = {}): JsonWebKey {
  return { ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, alg: key.algorithm, use: 'sig', ...changes };
}

export function jwks(...keys: readonly JsonWebKey[]): string {
  return JSON.stringify({ keys });
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

export function signature(algorithm: string, key: KeyObject, input: string): string {
  const data = Buffer.from(input);
  if (algorithm.startsWith('Ed')) return signBytes(null, data, key).toString('base64url');
  const hash = `sha${algorithm.slice(2)}`;
  if (algorithm.startsWith('ES'))
    return signBytes(hash, data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  if (algorithm.startsWith('RS')) return signBytes(hash, data, key).toString('base64url');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return signBytes(hash, data, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }).toString('base64url');
}

export function hmac(bits: number, secret: string | Buffer, input: string): string {
  return createHmac(`sha${bits}`, secret).update(input).digest('base64url');
}

/** Signs header and payload, given as values or as JSON text, with the key's own algorithm. */
export function token(key: TestKey, payload: unknown, header: unknown = { alg: key.algorithm, kid: key.kid }): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signature(key.algorithm, key.privateKey, input)}`;
}

export const ISSUER = 'https://issuer.test';
export const AUDIENCE = 'sallyport';

export function payload(changes: { readonly [claim: string]: unknown } = {}): { readonly [claim: string]: unknown } {
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    tenant: 'tenant-a',
    tier: 'premium',
    roles: ['reader'],
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 300,
    ...changes,
  };
}

export function settings(changes: Partial<IssuerSettings> = {}): IssuerSettings {
  return {
    issuer: ISSUER,
    audiences: [AUDIENCE],
    algorithms: ['ES256'],
    leeway_seconds: 30,
    claims: DEFAULT_CLAIMS,
    forward: true,
    ...changes,
  };
}

export async function fixedKeys(algorithms: readonly SignatureAlgorithm[], ...keys: readonly JsonWebKey[]) {
  return createFixedKeySource(await importKeySet(parseKeySet(jwks(...keys)), algorithms));
}

export async function jwtIssuer(
  changes: Partial<IssuerSettings>,
  keys: readonly JsonWebKey[] | KeySource,
): Promise<JwtIssuer> {
  const all = settings(changes);
  const source = Array.isArray(keys) ? await fixedKeys(all.algorithms, ...keys) : (keys as KeySource);
  return { settings: all, keys: source, demo: false };
}

export function jwtMethod(...issuers: readonly JwtIssuer[]): CredentialMethod {
  return jwtMethodWith({}, ...issuers);
}

export function jwtMethodWith(
  options: Pick<JwtMethodOptions, 'leaves' | 'confirm'>,
  ...issuers: readonly JwtIssuer[]
): CredentialMethod {
  return createJwtMethod({ issuers, maxTokenBytes: 8192, cacheTtlMs: 60_000, cacheMaxEntries: 10_000, ...options });
}

export async function verdictOf(
  method: CredentialMethod,
  authorization: readonly string[] | string,
  at: Instant = AT,
): Promise<Authentication | undefined> {
  const values = typeof authorization === 'string' ? [authorization] : authorization;
  return await method.authenticate(request(...values), at);
}

export const INVALID = {
  kind: 'refused',
  code: 'invalid_credential',
  challenge: 'Bearer error="invalid_token"',
} as const;
