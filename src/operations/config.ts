import { parseListenAddress } from '../listener/address.ts';

/** What a bearer token may be allowed to see or do here. */
export const OPERATIONS_RIGHTS = ['metrics', 'usage', 'quota', 'status', 'rollout'] as const;

export type OperationsRight = (typeof OPERATIONS_RIGHTS)[number];

/** What callers on this machine may do without a token: to look, never to change or to ask about a tenant. */
export const OPEN_ON_LOOPBACK: ReadonlySet<OperationsRight> = new Set(['metrics', 'status'] as const);

/** The operations port: health, metrics, usage, quotas, status and rollouts, apart from every door. */
export interface OperationsConfig {
  readonly listen: string;
  readonly tokens?: readonly OperationsToken[];
  /** Names beside `localhost` and IP addresses under which the port may be addressed. */
  readonly hosts?: readonly string[];
  /** How long not-serving is announced before the doors stop, in milliseconds. */
  readonly drain_delay_ms: number;
}

export interface OperationsToken {
  /** Hex SHA-256 of the bearer token: the secret itself is never in the config. */
  readonly sha256: string;
  readonly rights: readonly OperationsRight[];
}

export const operationsConfigSchema = {
  type: 'object',
  properties: {
    listen: {
      type: 'string',
      minLength: 1,
      default: '127.0.0.1:8282',
      description:
        'Where health, metrics, usage and quotas are served; health, metrics and status are open to loopback.',
    },
    tokens: {
      type: 'array',
      description:
        'Bearer tokens: for usage, quotas and changes of a rollout always, for metrics and status off loopback; health needs none.',
      items: {
        type: 'object',
        properties: {
          sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Hex SHA-256 of the token.' },
          rights: {
            type: 'array',
            items: { enum: OPERATIONS_RIGHTS },
            minItems: 1,
            uniqueItems: true,
            description:
              '`metrics`: read them. `usage`: report and renew. `quota`: see what a tenant has left. `status`: see bundles and rollouts. `rollout`: change them.',
          },
        },
        required: ['sha256', 'rights'],
        additionalProperties: false,
      },
    },
    hosts: {
      type: 'array',
      items: { type: 'string', pattern: '^[0-9a-z][0-9a-z.-]{0,252}$' },
      uniqueItems: true,
      description: 'Names, without port, that a `Host` header may have beside `localhost` and the IP address called.',
    },
    drain_delay_ms: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 1000,
      description: 'How long not-serving is announced before the doors stop accepting, in milliseconds.',
    },
  },
  additionalProperties: false,
} as const;

/** What the schema cannot say of `operations`. */
export function checkOperationsConfig(
  config: OperationsConfig,
): readonly { readonly path: string; readonly message: string }[] {
  const faults: { path: string; message: string }[] = [];
  try {
    parseListenAddress(config.listen);
  } catch (error) {
    faults.push({ path: 'operations.listen', message: error instanceof Error ? error.message : String(error) });
  }
  const seen = new Set<string>();
  for (const [index, { sha256 }] of (config.tokens ?? []).entries()) {
    if (seen.has(sha256)) faults.push({ path: `operations.tokens[${index}].sha256`, message: 'is there twice' });
    if (sha256 === EMPTY_SHA256) {
      faults.push({ path: `operations.tokens[${index}].sha256`, message: 'is the hash of the empty text' });
    }
    seen.add(sha256);
  }
  return faults;
}

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
