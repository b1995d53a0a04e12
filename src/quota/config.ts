import { readFileSync } from 'node:fs';

export { checkRateLimitFiles } from './descriptors/ratelimit-files.ts';

/** `quota:` of the config file, after defaults. */
export interface QuotaConfig {
  readonly store: QuotaStoreConfig;
  /** How long the store may take to answer, in milliseconds. */
  readonly deadline_ms: number;
  /** Folder of the usage ledger and of the memory store's journal. */
  readonly data_dir?: string;
  /** How long after the end of its hold a reservation may be settled. */
  readonly settle_horizon_seconds: number;
  readonly max_holds_per_principal: number;
  readonly failure: QuotaFailureConfig;
  /** How many units of a hot shared rate one replica takes at once; 0: each take asks the store. */
  readonly lease_batch: number;
  readonly learning: { readonly enabled: boolean; readonly max_entries: number };
  /** When the answer to callers that keep being refused comes early, as 429. */
  readonly refusals: { readonly limit: number; readonly per_seconds: number; readonly max_entries: number };
}

export interface QuotaStoreConfig {
  readonly kind: 'memory' | 'redis';
  /** Of `memory`: how many buckets of verified callers, of outsiders, and how many open reservations there may be. */
  readonly max_buckets: number;
  readonly max_outsider_buckets: number;
  readonly max_reservations: number;
  /** Of `redis`: `rediss://user:password@host:6379/0`, one or, of a cluster, several nodes. */
  readonly url?: string;
  readonly cluster_urls?: readonly string[];
  readonly key_prefix: string;
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** How long a store that lost its state answers nothing; as long as the longest short limit that matters. */
  readonly cold_start_seconds: number;
}

export interface QuotaFailureConfig {
  /** The part of a rate that this fleet may admit in each period while the store does not answer. */
  readonly local_share: number;
  /** How many replicas there are at the least. */
  readonly replicas: number;
  /** Whether a charge may say `on_failure: allow`. */
  readonly allow: boolean;
}

const positive = { type: 'integer', minimum: 1 } as const;

export const quotaConfigSchema = {
  type: 'object',
  description: 'Where and how quotas are counted.',
  properties: {
    store: {
      type: 'object',
      properties: {
        kind: {
          enum: ['memory', 'redis'],
          default: 'memory',
          description: '`memory`: this process alone. `redis`: one truth for all replicas, in Redis or Valkey.',
        },
        max_buckets: { ...positive, minimum: 1024, maximum: 16_777_216, default: 131_072 },
        max_outsider_buckets: { ...positive, minimum: 1024, maximum: 16_777_216, default: 65_536 },
        max_reservations: { ...positive, minimum: 64, maximum: 1_048_576, default: 32_768 },
        url: { type: 'string', minLength: 1, description: '`rediss://user:password@host:6379/0`' },
        cluster_urls: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: 64 },
        key_prefix: {
          type: 'string',
          pattern: '^[A-Za-z0-9:_-]{1,64}$',
          default: 'sallyport:',
          description: 'What all keys in Redis begin with; the version of their form follows.',
        },
        tls: {
          type: 'object',
          properties: {
            ca: { type: 'string', minLength: 1, description: 'PEM file of the authorities that are trusted.' },
            cert: { type: 'string', minLength: 1 },
            key: { type: 'string', minLength: 1 },
          },
          required: ['ca'],
          additionalProperties: false,
        },
        cold_start_seconds: {
          type: 'integer',
          minimum: 0,
          maximum: 86_400,
          default: 60,
          description: 'How long a Redis that came back empty admits nothing.',
        },
      },
      additionalProperties: false,
      default: {},
    },
    deadline_ms: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 5000,
      default: 50,
      description: 'How long a store may take to answer.',
    },
    data_dir: {
      type: 'string',
      minLength: 1,
      description: 'Folder of the usage ledger, and of what the memory store must remember after a restart.',
    },
    settle_horizon_seconds: {
      ...positive,
      maximum: 86_400,
      default: 900,
      description: 'How long after the end of its hold the usage of a reservation may be reported; later it is 410.',
    },
    max_holds_per_principal: {
      ...positive,
      maximum: 4096,
      default: 256,
      description: 'How many reservations of one principal may be open at once.',
    },
    failure: {
      type: 'object',
      description: 'What charges may ask for in `on_failure`, beside `deny`.',
      properties: {
        local_share: {
          type: 'number',
          minimum: 0,
          maximum: 1,
          default: 0.5,
          description: 'The part of a rate that the whole fleet may admit in a period without the store.',
        },
        replicas: {
          ...positive,
          maximum: 10_000,
          default: 1,
          description: 'How many replicas there are at the least.',
        },
        allow: {
          type: 'boolean',
          default: false,
          description: 'Whether `on_failure: allow` is obeyed; money, months and concurrency are denied all the same.',
        },
      },
      additionalProperties: false,
      default: {},
    },
    lease_batch: {
      type: 'integer',
      minimum: 0,
      maximum: 1000,
      default: 0,
      description: 'Units of a shared rate that a replica takes from Redis at once; 0: none ahead of its use.',
    },
    learning: {
      type: 'object',
      description: 'Reservations are cut to what 95 of 100 calls of a tenant to a model were seen to use.',
      properties: {
        enabled: { type: 'boolean', default: true },
        max_entries: { ...positive, maximum: 1_000_000, default: 10_000 },
      },
      additionalProperties: false,
      default: {},
    },
    refusals: {
      type: 'object',
      description: 'When callers without a valid credential that keep being refused are answered 429 early.',
      properties: {
        limit: {
          ...positive,
          default: 300,
          description: 'refusals of one address, /64, key or peer that are looked at in `per_seconds`',
        },
        per_seconds: { ...positive, maximum: 86_400, default: 60, description: 'the period of `limit`' },
        max_entries: {
          ...positive,
          minimum: 100,
          maximum: 1_000_000,
          default: 20_000,
          description: 'how many callers are remembered',
        },
      },
      additionalProperties: false,
      default: {},
    },
  },
  additionalProperties: false,
  default: {},
} as const;

export interface QuotaConfigFault {
  readonly path: string;
  readonly message: string;
}

/** What the schema cannot say of `quota`. */
export function checkQuotaConfig({ store, lease_batch }: QuotaConfig): readonly QuotaConfigFault[] {
  const faults: QuotaConfigFault[] = [];
  const fault = (key: string, message: string): void => void faults.push({ path: `quota.${key}`, message });
  const { kind, url, cluster_urls: clusterUrls, tls } = store;
  if (kind === 'memory') {
    for (const key of ['url', 'cluster_urls', 'tls'] as const) {
      if (store[key] !== undefined) fault(`store.${key}`, 'goes with `kind: redis` only');
    }
    if (lease_batch > 0) fault('lease_batch', 'goes with `store.kind: redis` only');
    return faults;
  }
  if ((url === undefined) === (clusterUrls === undefined)) {
    fault('store', 'a `redis` store needs either `url` or `cluster_urls`');
  }
  const urls =
    url === undefined
      ? (clusterUrls ?? []).map((text, at) => [`store.cluster_urls[${at}]`, text] as const)
      : [['store.url', url] as const];
  for (const [key, text] of urls) {
    const message = urlFault(text, tls !== undefined);
    if (message !== undefined) fault(key, message);
  }
  if (tls !== undefined) {
    if ((tls.cert === undefined) !== (tls.key === undefined)) fault('store.tls', '`cert` and `key` go together');
    for (const key of ['ca', 'cert', 'key'] as const) {
      const file = tls[key];
      if (file !== undefined && !isReadable(file)) fault(`store.tls.${key}`, `\`${file}\` cannot be read`);
    }
  }
  return faults;
}

/** Never says the url itself, which may hold a password. */
function urlFault(text: string, hasTls: boolean): string | undefined {
  const url = URL.parse(text);
  if (url === null) return 'is no url such as `rediss://user:password@host:6379`';
  if (!/^\/?\d{0,4}$/.test(url.pathname)) return 'has a path that is no number of a database, such as `/0`';
  if (!isDecodable(url.username) || !isDecodable(url.password)) {
    return 'has a user or password with a `%` that encodes nothing: write `%25`';
  }
  if (url.protocol === 'rediss:') return undefined;
  if (url.protocol !== 'redis:') return `\`${url.protocol}\` is no scheme of Redis: write \`rediss://host:port\``;
  if (hasTls) return 'is in the clear beside `tls`: write `rediss:`';
  if (['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) return undefined;
  return 'must be `rediss:` off loopback: who can write to the wire can reset every limit';
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function isReadable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}
