import { mkdirSync } from 'node:fs';
import type { Clock, StartTimer } from '../decision/ports.ts';
import { type Authority, createAuthority } from './agent/authority.ts';
import { createCompileRego } from './agent/compile-rego.ts';
import { createKeptCopies, type KeptCopies } from './agent/kept-copies.ts';
import type { TrialSource, WatchedBundle } from './agent/watched-bundle.ts';
import type { ReadBundle } from './bundle.ts';
import type { AgentConfig, BundleConfig, BundlesConfig } from './config.ts';
import { DEFAULT_POLLING } from './config-sources.ts';
import { createHighWaterMark } from './signing/high-water-mark.ts';
import type { BundleSource } from './source.ts';
import { createCredentials, createS3Credentials } from './sources/credentials.ts';
import { createFileSource } from './sources/file-source.ts';
import { createHttpClient, type HttpClient } from './sources/http-client.ts';
import { createOrderSource } from './sources/order-source.ts';
import { createUrlSource } from './sources/url-source.ts';
import type { TrustConfig } from './trust.ts';

export interface WatchPorts {
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** Of this instance; told to the servers. */
  readonly labels?: { readonly [name: string]: string };
  /** How archives are read; absent: here and at once. */
  readonly read?: ReadBundle;
}

/** What the activator needs of a validated config, whose file paths are absolute by then. */
export interface WatchedBundles {
  readonly bundles: ReadonlyMap<string, WatchedBundle>;
  /** Where `agent.data_dir` is configured. */
  readonly copies?: KeptCopies;
  /** Of what is tried beside them. */
  readonly candidateCopies?: KeptCopies;
}

/** The bundles of a config, each with its source and its trust. Makes `agent.data_dir` where it is missing. */
export function toWatchedBundles(
  config: BundlesConfig,
  agent: Pick<AgentConfig, 'data_dir'>,
  ports: WatchPorts,
): WatchedBundles {
  const folder = agent.data_dir;
  if (folder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mark = folder === undefined ? undefined : createHighWaterMark({ folder, clock: ports.clock });
  const authorityOf = (name: string, trust: TrustConfig): Authority =>
    createAuthority({ name, trust, clock: ports.clock, mark });
  const bundles = new Map(
    Object.entries(config).map(([name, bundle]) => [name, toWatchedBundle(name, bundle, authorityOf, ports)]),
  );
  if (folder === undefined) return { bundles };
  const maxBytes = Math.max(...Object.values(config).map((bundle) => pollingOf(bundle).max_bytes));
  return {
    bundles,
    copies: createKeptCopies({ folder, maxBytes }),
    candidateCopies: createKeptCopies({ folder, of: 'candidates', maxBytes }),
  };
}

function toWatchedBundle(
  name: string,
  config: BundleConfig,
  authorityOf: (name: string, trust: TrustConfig) => Authority,
  ports: WatchPorts,
): WatchedBundle {
  const polling = pollingOf(config);
  const trust: TrustConfig =
    'sha256' in config.trust ? config.trust : { ...config.trust, signature: config.trust.signature ?? 'jws' };
  const { stale, compile } = config;
  const sources = sourcesOf(config, trust, ports);
  return {
    source: sources.stable,
    authority: authorityOf(name, trust),
    minDelayMs: polling.min_delay_seconds * 1000,
    maxDelayMs: polling.max_delay_seconds * 1000,
    longPollSeconds: polling.long_poll_seconds,
    ...(stale === undefined ? {} : { stale: { level: stale.then, ...maxAgeOf(stale.max_age_seconds) } }),
    ...(ports.read === undefined ? {} : { read: ports.read }),
    ...(compile === undefined ? {} : { compile: createCompileRego(compile) }),
    ...(sources.trial === undefined ? {} : { trial: sources.trial((pin) => authorityOf(name, pin ?? trust)) }),
  };
}

interface Sources {
  readonly stable: BundleSource;
  readonly trial: ((authorityOf: (pin: TrustConfig | undefined) => Authority) => TrialSource) | undefined;
}

function sourcesOf(config: BundleConfig, trust: TrustConfig, { startTimer, labels = {} }: WatchPorts): Sources {
  const { file, url, s3, credentials, tls, candidate, orders } = config;
  const { timeout_ms: timeoutMs, max_bytes: maxBytes } = pollingOf(config);
  const signed = 'keys' in trust && trust.signature === 'jws';
  const http = createHttpClient({ startTimer, credentials: createCredentials(credentials), tls });
  const fileAt = (path: string): BundleSource => createFileSource({ path, maxBytes, signed });
  const urlAt = (at: string, client: HttpClient = http): BundleSource =>
    createUrlSource({ url: at, timeoutMs, maxBytes, http: client, signed, labels });
  const stable = (): BundleSource => {
    if (s3 !== undefined) {
      return urlAt(objectUrl(s3), createHttpClient({ startTimer, credentials: createS3Credentials(s3), tls }));
    }
    return url === undefined ? fileAt(file ?? '') : urlAt(url);
  };
  if (candidate !== undefined) {
    const { sha256 } = candidate;
    const source = candidate.url === undefined ? fileAt(candidate.file ?? '') : urlAt(candidate.url);
    const pin = sha256 === undefined ? undefined : { sha256 };
    return { stable: stable(), trial: (authorityOf) => ({ kind: 'local', source, authority: authorityOf(pin) }) };
  }
  if (orders !== undefined && url !== undefined) {
    const archive = (sha256: string): BundleSource => urlAt(archiveUrl(url, sha256));
    const trial: TrialSource = {
      kind: 'orders',
      orders: createOrderSource({ url: orders.url, timeoutMs, http }),
      archive,
    };
    return { stable: stable(), trial: () => trial };
  }
  return { stable: stable(), trial: undefined };
}

function pollingOf({ polling }: BundleConfig): typeof DEFAULT_POLLING {
  return { ...DEFAULT_POLLING, ...polling };
}

function maxAgeOf(seconds: number | undefined): { readonly maxAgeMs?: number } {
  return seconds === undefined ? {} : { maxAgeMs: seconds * 1000 };
}

function objectUrl({ endpoint, bucket, key }: NonNullable<BundleConfig['s3']>): string {
  const path = key.split('/').map(encodeURIComponent).join('/');
  return `${endpoint.replace(/\/$/, '')}/${bucket}/${path}`;
}

/** Below the bundle's own url, its query (a channel) left out. */
function archiveUrl(url: string, sha256: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname.replace(/\/$/, '')}/archives/${sha256}`;
}
