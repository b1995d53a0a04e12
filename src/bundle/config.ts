import type { AgentConfig } from './config-agent.ts';
import {
  type BundlePolling,
  type CredentialsConfig,
  credentialsSchema,
  pollingFaults,
  pollingSchema,
  type S3Config,
  s3Schema,
  type TlsClientConfig,
  tlsClientSchema,
  urlFaults,
} from './config-sources.ts';

export { type AgentConfig, agentConfigSchema, checkAgentConfig } from './config-agent.ts';

/** The bundles that together are the policy, by name. */
export interface BundlesConfig {
  readonly [name: string]: BundleConfig;
}

/** Exactly one of `file`, `url` and `s3`. */
export interface BundleConfig {
  /** Relative to the config file's folder. */
  readonly file?: string;
  readonly url?: string;
  readonly s3?: S3Config;
  readonly credentials?: CredentialsConfig;
  readonly tls?: TlsClientConfig;
  readonly polling?: BundlePolling;
  readonly trust: TrustConfig;
  readonly stale?: StaleConfig;
  readonly candidate?: CandidateConfig;
  readonly orders?: { readonly url: string };
  readonly compile?: CompileConfig;
}

/** What makes a bundle believed: the digest of one file, or whose signature it bears. */
export type TrustConfig = PinConfig | KeysConfig;

export interface PinConfig {
  readonly sha256: string;
}

export interface KeysConfig {
  /** Public keys, PEM or JWK, by key id; relative to the config file's folder. */
  readonly keys: { readonly [kid: string]: string };
  readonly scope: string;
  /** `jws` (and absent): beside the archive; `opa`: in `.signatures.json` inside it. */
  readonly signature?: 'jws' | 'opa';
}

/** What becomes of a bundle that its source has not confirmed for too long, or that expires in force. */
export interface StaleConfig {
  readonly max_age_seconds?: number;
  readonly then: 'warn' | 'not_ready' | 'deny';
}

/** A bundle of this machine's own choice that is tried beside the one in force. Exactly one of `file` and `url`. */
export interface CandidateConfig {
  readonly file?: string;
  readonly url?: string;
  /** Its pin, where `trust` is a pin. */
  readonly sha256?: string;
}

/** Compiles a bundle that holds Rego only, before anything else is done with it. */
export interface CompileConfig {
  readonly opa: string;
  readonly entrypoints: readonly string[];
  /** OPA's capabilities file; absent: the one that the shipped bundle is built with. */
  readonly capabilities?: string;
  readonly timeout_ms: number;
}

const entrypoint = { type: 'string', pattern: '^[a-zA-Z_][a-zA-Z0-9_]*(?:/[a-zA-Z_][a-zA-Z0-9_]*)+$' } as const;

export const bundlesConfigSchema = {
  type: 'object',
  description: 'The bundles that together are the policy, by name; they are activated as one generation.',
  minProperties: 1,
  propertyNames: { pattern: '^[a-z0-9][a-z0-9_-]{0,63}$' },
  additionalProperties: {
    type: 'object',
    properties: {
      file: { type: 'string', minLength: 1, description: 'A bundle on this machine, relative to this file.' },
      url: { type: 'string', pattern: '^https?://', description: 'Where the bundle is downloaded from.' },
      s3: s3Schema,
      credentials: credentialsSchema,
      tls: tlsClientSchema,
      polling: pollingSchema,
      trust: {
        type: 'object',
        description: 'What makes the bundle believed: `sha256`, or `keys` with `scope`.',
        properties: {
          sha256: {
            type: 'string',
            pattern: '^[0-9a-f]{64}$',
            description: 'SHA-256 of the whole file, lower-case hex; `sallyport build` prints it.',
          },
          keys: {
            type: 'object',
            description: 'Public keys, PEM or JWK files, by key id; several, so that they can be rotated.',
            minProperties: 1,
            maxProperties: 16,
            propertyNames: { pattern: '^[A-Za-z0-9._-]{1,64}$' },
            additionalProperties: { type: 'string', minLength: 1 },
          },
          scope: {
            type: 'string',
            pattern: '^[\\x21-\\x7e]{1,128}$',
            description: 'Which releases are meant for here, such as `prod`.',
          },
          signature: {
            enum: ['jws', 'opa'],
            description: '`jws` (the default): beside the archive. `opa`: in `.signatures.json` inside it.',
          },
        },
        additionalProperties: false,
      },
      stale: {
        type: 'object',
        description:
          'What becomes of a bundle that its source has not confirmed for too long, or that expires in force.',
        properties: {
          max_age_seconds: {
            type: 'number',
            exclusiveMinimum: 0,
            maximum: 31_536_000,
            description: 'Since the source last said that it is the newest.',
          },
          // biome-ignore lint/suspicious/noThenProperty: the name of a setting; its schema is never awaited
          then: {
            enum: ['warn', 'not_ready', 'deny'],
            description: 'Say so; also answer probes with not ready; also deny every request.',
          },
        },
        required: ['then'],
        additionalProperties: false,
      },
      candidate: {
        type: 'object',
        description: 'A bundle that is tried beside the one in force, on this instance alone.',
        properties: {
          file: { type: 'string', minLength: 1, description: 'On this machine, relative to this file.' },
          url: { type: 'string', pattern: '^https?://', description: 'With the credentials of the bundle.' },
          sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Its pin, where `trust` is a pin.' },
        },
        additionalProperties: false,
      },
      orders: {
        type: 'object',
        description: 'Signed orders about who tries which bundle.',
        properties: {
          url: { type: 'string', pattern: '^https?://', description: 'Asked with the credentials of the bundle.' },
        },
        required: ['url'],
        additionalProperties: false,
      },
      compile: {
        type: 'object',
        description: 'Compiles a bundle that holds Rego only; without it such a bundle is refused.',
        properties: {
          opa: { type: 'string', minLength: 1, description: 'The program; of the version that `build` uses.' },
          entrypoints: { type: 'array', items: entrypoint, minItems: 1, maxItems: 64, uniqueItems: true },
          capabilities: { type: 'string', minLength: 1, description: 'OPA’s capabilities file; the shipped one.' },
          timeout_ms: {
            type: 'integer',
            minimum: 100,
            maximum: 600_000,
            default: 60_000,
            description: 'How long one run of it may take.',
          },
        },
        required: ['opa', 'entrypoints'],
        additionalProperties: false,
      },
    },
    required: ['trust'],
    additionalProperties: false,
  },
} as const;

interface Fault {
  readonly path: string;
  readonly message: string;
}

/**
 * What the schema cannot say: one source per bundle, urls without secrets, delays in order, a folder for what signed
 * bundles need remembered. `agent` absent: nothing is demanded of it.
 */
export function checkBundlesConfig(config: BundlesConfig, agent?: Pick<AgentConfig, 'data_dir'>): readonly Fault[] {
  const onTrial = Object.entries(config).filter(([, { candidate, orders }]) => candidate ?? orders);
  return [
    ...Object.entries(config).flatMap(([name, bundle]) => bundleFaults(`bundles.${name}`, bundle, agent)),
    ...onTrial.slice(1).map(([name]) => ({
      path: `bundles.${name}`,
      message: 'only one bundle may have `candidate` or `orders`: one thing is tried at a time',
    })),
  ];
}

function bundleFaults(path: string, bundle: BundleConfig, agent: Pick<AgentConfig, 'data_dir'> | undefined): Fault[] {
  const { file, url, s3, trust, stale } = bundle;
  const faults: Fault[] = [];
  const fault = (key: string, message: string): void => {
    faults.push({ path: key === '' ? path : `${path}.${key}`, message });
  };
  if ([file, url, s3].filter((source) => source !== undefined).length !== 1) {
    fault('', 'name exactly one of `file`, `url` and `s3`');
  }
  if (file !== undefined && bundle.polling !== undefined) fault('polling', 'only a `url` is polled; leave it out');
  if (file !== undefined && stale?.max_age_seconds !== undefined) {
    fault('stale.max_age_seconds', 'a `file` is not polled, so nothing confirms it; leave it out');
  }
  faults.push(
    ...trustFaults(`${path}.trust`, trust),
    ...sourceFaults(path, bundle),
    ...pollingFaults(bundle.polling, `${path}.polling`),
  );
  if ('keys' in trust && agent !== undefined && agent.data_dir === undefined) {
    fault(
      'trust.keys',
      'needs `agent.data_dir`, where the newest version is remembered: without it an old one could return',
    );
  }
  faults.push(...trialFaults(path, bundle));
  return faults;
}

function trustFaults(path: string, trust: TrustConfig): readonly Fault[] {
  const { sha256, keys, scope, signature }: Partial<PinConfig & KeysConfig> = trust;
  if ((sha256 === undefined) === (keys === undefined))
    return [{ path, message: 'name exactly one of `sha256` and `keys`' }];
  if (keys !== undefined && scope === undefined) {
    return [{ path: `${path}.scope`, message: 'is needed beside `keys`: the same keys may sign for elsewhere' }];
  }
  if (sha256 === undefined || (scope ?? signature) === undefined) return [];
  return [{ path, message: '`scope` and `signature` belong to `keys`; a pin says it all' }];
}

function sourceFaults(path: string, { url, s3, credentials, tls, orders, candidate }: BundleConfig): readonly Fault[] {
  const secret = credentials !== undefined;
  const urls: readonly (readonly [string, string | undefined, boolean])[] = [
    ['url', url, secret],
    // The secret key is not sent, only what it signed.
    ['s3.endpoint', s3?.endpoint, false],
    ['orders.url', orders?.url, secret],
    ['candidate.url', candidate?.url, secret],
  ];
  const named = urls.flatMap(([key, text, sent]) => (text === undefined ? [] : [{ key, text, sent }]));
  const faults = named.flatMap(({ key, text, sent }) => urlFaults(text, `${path}.${key}`, sent));
  if (s3 !== undefined && secret) {
    faults.push({ path: `${path}.credentials`, message: '`s3` has keys of its own; leave it out' });
  }
  if (s3 !== undefined && (s3.secret_access_key === undefined) === (s3.secret_access_key_file === undefined)) {
    const message = 'name exactly one of `secret_access_key` and `secret_access_key_file`';
    faults.push({ path: `${path}.s3`, message });
  }
  if (named.length === 0 && secret) {
    faults.push({ path: `${path}.credentials`, message: 'no `url` is asked; leave it out' });
  }
  if (tls !== undefined && !named.some(({ text }) => text.startsWith('https:'))) {
    faults.push({ path: `${path}.tls`, message: 'no https url is asked; leave it out' });
  }
  return faults;
}

function trialFaults(path: string, { url, trust, candidate, orders }: BundleConfig): readonly Fault[] {
  const pinned = !('keys' in trust);
  const faults: Fault[] = [];
  if (candidate !== undefined && orders !== undefined) {
    faults.push({ path: `${path}.candidate`, message: 'with `orders` the candidate is what they name; leave it out' });
  }
  if (orders !== undefined && pinned) {
    faults.push({ path: `${path}.orders`, message: 'orders are signed, so `trust.keys` is needed' });
  }
  if (orders !== undefined && url === undefined) {
    faults.push({ path: `${path}.orders`, message: 'needs the bundle’s `url`, below which its archives are' });
  }
  if (candidate !== undefined && (candidate.file === undefined) === (candidate.url === undefined)) {
    faults.push({ path: `${path}.candidate`, message: 'name exactly one of `file` and `url`' });
  }
  if (candidate !== undefined && pinned !== (candidate.sha256 !== undefined)) {
    const message = pinned ? 'is needed, because `trust` is a pin' : '`trust.keys` verifies it; leave it out';
    faults.push({ path: `${path}.candidate.sha256`, message });
  }
  return faults;
}
