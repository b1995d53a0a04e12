import type { BundleTrust } from './trust.ts';

/** The bundles that together are the policy, by name. */
export interface BundlesConfig {
  readonly [name: string]: BundleConfig;
}

/** Exactly one of `file` and `url`. */
export interface BundleConfig {
  /** Relative to the config file's folder. */
  readonly file?: string;
  readonly url?: string;
  readonly polling?: BundlePolling;
  readonly trust: BundleTrust;
}

export interface BundlePolling {
  readonly min_delay_seconds: number;
  readonly max_delay_seconds: number;
  /** Of one download, from the request to the last byte. */
  readonly timeout_ms: number;
  /** Of one download, packed. */
  readonly max_bytes: number;
}

/** What a url without `polling` gets. */
export const DEFAULT_POLLING: BundlePolling = {
  min_delay_seconds: 60,
  max_delay_seconds: 120,
  timeout_ms: 10_000,
  max_bytes: 32 * 2 ** 20,
};

const pollingSchema = {
  type: 'object',
  description: 'How a bundle url is asked for news.',
  properties: {
    min_delay_seconds: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: DEFAULT_POLLING.min_delay_seconds,
      description: 'The shortest time between two downloads.',
    },
    max_delay_seconds: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: DEFAULT_POLLING.max_delay_seconds,
      description: 'The longest; the time is drawn between the two, so that instances do not ask together.',
    },
    timeout_ms: {
      type: 'integer',
      minimum: 1,
      maximum: 600_000,
      default: DEFAULT_POLLING.timeout_ms,
      description: 'How long one download may take.',
    },
    max_bytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 2 ** 30,
      default: DEFAULT_POLLING.max_bytes,
      description: 'How large the packed bundle may be.',
    },
  },
  additionalProperties: false,
} as const;

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
      polling: pollingSchema,
      trust: {
        type: 'object',
        description: 'What makes the bundle believed.',
        properties: {
          sha256: {
            type: 'string',
            pattern: '^[0-9a-f]{64}$',
            description: 'SHA-256 of the whole file, lower-case hex; `sallyport build` prints it.',
          },
        },
        required: ['sha256'],
        additionalProperties: false,
      },
    },
    required: ['trust'],
    additionalProperties: false,
  },
} as const;

/** What the schema cannot say: one source per bundle, a url without credentials, delays in order. */
export function checkBundlesConfig(config: BundlesConfig): readonly { path: string; message: string }[] {
  return Object.entries(config).flatMap(([name, bundle]) => {
    const path = `bundles.${name}`;
    const faults: { path: string; message: string }[] = [];
    if ((bundle.file === undefined) === (bundle.url === undefined)) {
      faults.push({ path, message: 'name exactly one of `file` and `url`' });
    }
    if (bundle.file !== undefined && bundle.polling !== undefined) {
      faults.push({ path: `${path}.polling`, message: 'only a `url` is polled; leave it out' });
    }
    if (bundle.url !== undefined) faults.push(...urlFaults(bundle.url, `${path}.url`));
    const polling = bundle.polling;
    if (polling !== undefined && polling.min_delay_seconds > polling.max_delay_seconds) {
      faults.push({ path: `${path}.polling.min_delay_seconds`, message: 'is greater than `max_delay_seconds`' });
    }
    return faults;
  });
}

function urlFaults(text: string, path: string): readonly { path: string; message: string }[] {
  const url = URL.parse(text);
  if (url === null) return [{ path, message: 'is not a url' }];
  if (url.username !== '' || url.password !== '') return [{ path, message: 'must not hold credentials' }];
  if (url.hash !== '') return [{ path, message: 'must not have a fragment' }];
  return [];
}
