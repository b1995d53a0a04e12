import { isLoopback, type ListenAddress, parseListenAddress } from '../listener/address.ts';
import { loadTlsMaterial, type TlsFiles } from '../listener/tls-material.ts';

/** What a bearer token may be allowed to do at the bundle server; each for itself. */
export const BUNDLE_SERVER_RIGHTS = ['read', 'publish', 'promote', 'report', 'fleet'] as const;

export type BundleServerRight = (typeof BUNDLE_SERVER_RIGHTS)[number];

/** `bundle-server.yaml`, after defaults. */
export interface BundleServerConfig {
  readonly listen: string;
  /** Names beside `localhost` and IP addresses under which it may be addressed. */
  readonly hosts?: readonly string[];
  readonly tls?: TlsFiles;
  readonly storage: {
    readonly disk?: { readonly dir: string };
    readonly s3?: S3Config;
    readonly refresh_seconds: number;
  };
  readonly bundles: { readonly [name: string]: ServedBundle };
  readonly tokens: readonly BundleServerToken[];
  /** A file of JSON lines. */
  readonly audit_log: string;
  readonly limits: BundleServerLimits;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
}

export interface S3Config {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly timeout_ms: number;
}

export interface ServedBundle {
  /** Public keys of its authors by key id: PEM or JWK files. */
  readonly keys: { readonly [kid: string]: string };
  readonly scope: string;
  /** `open`: whoever reaches the server may read it. */
  readonly download: 'token' | 'open';
  /** Whether OPAs that ask for deltas are given them: an OPA that verifies signatures asks as well, and refuses each. */
  readonly opa_deltas: boolean;
  readonly channels: {
    readonly default: string;
    readonly names: readonly string[];
    readonly select?: readonly { readonly labels: { readonly [name: string]: string }; readonly channel: string }[];
  };
}

export interface BundleServerToken {
  /** Who holds it, for the audit log and the fleet. */
  readonly name: string;
  /** Hex SHA-256 of the bearer token: the secret itself is never in the config. */
  readonly sha256: string;
  readonly rights: readonly BundleServerRight[];
  /** Names of bundles, or `*`. */
  readonly bundles: readonly string[];
}

export interface BundleServerLimits {
  readonly max_archive_bytes: number;
  readonly cache_bytes: number;
  readonly max_connections: number;
  readonly max_waiters: number;
  readonly max_wait_seconds: number;
  /** How long a body may take to arrive, and an answer to leave. */
  readonly transfer_seconds: number;
  readonly max_instances: number;
  readonly max_instances_per_token: number;
  readonly forget_instance_seconds: number;
}

/** What the schema cannot say of `bundle-server.yaml`; reads the files of `tls`. */
export function checkBundleServerConfig(
  config: BundleServerConfig,
): readonly { readonly path: string; readonly message: string }[] {
  const faults: { path: string; message: string }[] = [];
  const fault = (path: string, message: string): void => void faults.push({ path, message });
  checkListener(config, fault);
  if ((config.storage.disk === undefined) === (config.storage.s3 === undefined)) {
    fault('storage', 'names either `disk` or `s3`');
  }
  checkEndpoint(config.storage.s3, fault);
  for (const [name, { channels }] of Object.entries(config.bundles)) checkChannels(name, channels, fault);
  checkTokens(config, fault);
  if (config.limits.cache_bytes < config.limits.max_archive_bytes) {
    fault('limits.cache_bytes', 'is less than `limits.max_archive_bytes`: the largest archive would never be kept');
  }
  return faults;
}

type AddFault = (path: string, message: string) => void;

function checkListener({ listen, tls }: BundleServerConfig, fault: AddFault): void {
  let address: ListenAddress | undefined;
  try {
    address = parseListenAddress(listen);
  } catch (error) {
    fault('listen', error instanceof Error ? error.message : String(error));
  }
  if (tls !== undefined) {
    for (const { key, message } of loadTlsMaterial(tls).faults) fault(`tls.${key}`, message);
    if (address?.kind === 'unix') fault('tls', 'does not go with a unix socket');
  } else if (address?.kind === 'tcp' && !isLoopback(address)) {
    fault('listen', `\`${listen}\` is off loopback, and tokens would be sent in the clear: set \`tls\``);
  }
}

function checkEndpoint(s3: S3Config | undefined, fault: AddFault): void {
  if (s3 === undefined) return;
  const url = URL.canParse(s3.endpoint) ? new URL(s3.endpoint) : undefined;
  const isPlain = url !== undefined && url.pathname === '/' && url.search === '' && url.username === '';
  if (!isPlain || !['http:', 'https:'].includes(url.protocol)) {
    fault('storage.s3.endpoint', `\`${s3.endpoint}\` is no address such as https://s3.eu-central-1.amazonaws.com`);
  } else if (url.protocol === 'http:' && !LOOPBACK_NAMES.has(url.hostname)) {
    fault('storage.s3.endpoint', `\`${s3.endpoint}\` is off loopback: use https`);
  }
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

function checkChannels(bundle: string, channels: ServedBundle['channels'], fault: AddFault): void {
  const known = new Set(channels.names);
  const path = `bundles.${bundle}.channels`;
  if (!known.has(channels.default)) fault(`${path}.default`, `\`${channels.default}\` is not in \`names\``);
  for (const [index, { channel }] of (channels.select ?? []).entries()) {
    if (!known.has(channel)) fault(`${path}.select[${index}].channel`, `\`${channel}\` is not in \`names\``);
  }
}

function checkTokens({ tokens, bundles }: BundleServerConfig, fault: AddFault): void {
  const digests = new Set<string>();
  const names = new Set<string>();
  for (const [index, { name, sha256, bundles: covered }] of tokens.entries()) {
    const path = `tokens[${index}]`;
    if (digests.has(sha256)) fault(`${path}.sha256`, 'is there twice');
    if (sha256 === EMPTY_SHA256) fault(`${path}.sha256`, 'is the hash of the empty text');
    if (names.has(name)) fault(`${path}.name`, `\`${name}\` is there twice`);
    for (const [at, bundle] of covered.entries()) {
      if (bundle !== '*' && !Object.hasOwn(bundles, bundle)) {
        fault(`${path}.bundles[${at}]`, `\`${bundle}\` is not in \`bundles\``);
      }
    }
    digests.add(sha256);
    names.add(name);
  }
}

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
