import { BUNDLE_SERVER_RIGHTS } from './config.ts';
import { LABEL_NAME_PATTERN, LABEL_VALUE_PATTERN } from './labels.ts';
import { NAME_PATTERN } from './record-keys.ts';

const text = { type: 'string', minLength: 1 } as const;
const file = (description: string) => ({ ...text, description }) as const;
const count = (maximum: number, standard: number, description: string, minimum = 1) =>
  ({ type: 'integer', minimum, maximum, default: standard, description }) as const;

/** The JSON Schema of `bundle-server.yaml`. */
export const bundleServerConfigSchema = {
  type: 'object',
  properties: {
    listen: {
      ...text,
      default: '127.0.0.1:8383',
      description: 'Where it is served; off loopback `tls` is compulsory.',
    },
    hosts: {
      type: 'array',
      items: { type: 'string', pattern: '^[0-9a-z][0-9a-z.-]{0,252}$' },
      uniqueItems: true,
      description: 'Names, without port, that a `Host` header may have beside `localhost` and the IP address called.',
    },
    tls: {
      type: 'object',
      properties: {
        cert: file('PEM file of the certificate chain; reloaded when it changes.'),
        key: file('PEM file of the private key.'),
        client_ca: file('PEM file of the CAs that every caller must show a certificate of.'),
      },
      required: ['cert', 'key'],
      additionalProperties: false,
    },
    storage: {
      type: 'object',
      properties: {
        disk: { type: 'object', properties: { dir: text }, required: ['dir'], additionalProperties: false },
        s3: {
          type: 'object',
          properties: {
            endpoint: text,
            region: { ...text, default: 'us-east-1' },
            bucket: { type: 'string', pattern: '^[a-z0-9][a-z0-9.-]{1,62}$' },
            prefix: { type: 'string', pattern: '^(?:[A-Za-z0-9._-]{1,64}/){0,8}$', default: '' },
            access_key_id: text,
            secret_access_key: text,
            timeout_ms: count(120_000, 15_000, 'How long one request to the store may take.', 100),
          },
          required: ['endpoint', 'bucket', 'access_key_id', 'secret_access_key'],
          additionalProperties: false,
        },
        refresh_seconds: count(3600, 10, 'How often it looks for what another server put into the store.'),
      },
      required: [],
      additionalProperties: false,
    },
    bundles: {
      type: 'object',
      propertyNames: { pattern: NAME_PATTERN },
      minProperties: 1,
      additionalProperties: {
        type: 'object',
        properties: {
          keys: {
            type: 'object',
            propertyNames: { pattern: '^[A-Za-z0-9._-]{1,128}$' },
            additionalProperties: text,
            minProperties: 1,
            description: 'Public keys of its authors by key id: PEM or JWK files.',
          },
          scope: { ...text, maxLength: 128, description: 'What its signatures must be for, such as `prod`.' },
          download: { enum: ['token', 'open'], default: 'token', description: '`open`: reading needs no token.' },
          opa_deltas: {
            type: 'boolean',
            default: false,
            description:
              'Whether OPAs are given deltas; none of them may verify signatures, since OPA then refuses all.',
          },
          channels: {
            type: 'object',
            properties: {
              default: { type: 'string', pattern: NAME_PATTERN, default: 'stable' },
              names: {
                type: 'array',
                items: { type: 'string', pattern: NAME_PATTERN },
                minItems: 1,
                maxItems: 64,
                uniqueItems: true,
                default: ['stable', 'canary'],
              },
              select: {
                type: 'array',
                maxItems: 64,
                description: 'The first whose labels an agent all has names its channel.',
                items: {
                  type: 'object',
                  properties: {
                    labels: {
                      type: 'object',
                      propertyNames: { pattern: LABEL_NAME_PATTERN },
                      additionalProperties: { type: 'string', pattern: LABEL_VALUE_PATTERN },
                      minProperties: 1,
                    },
                    channel: { type: 'string', pattern: NAME_PATTERN },
                  },
                  required: ['labels', 'channel'],
                  additionalProperties: false,
                },
              },
            },
            default: {},
            additionalProperties: false,
          },
        },
        required: ['keys', 'scope'],
        additionalProperties: false,
      },
    },
    tokens: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        properties: {
          name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$', description: 'Who holds it.' },
          sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Hex SHA-256 of the token.' },
          rights: { type: 'array', items: { enum: BUNDLE_SERVER_RIGHTS }, minItems: 1, uniqueItems: true },
          bundles: { type: 'array', items: text, minItems: 1, uniqueItems: true, description: 'Bundles, or `*`.' },
        },
        required: ['name', 'sha256', 'rights', 'bundles'],
        additionalProperties: false,
      },
    },
    audit_log: file('Who changed what; a change that cannot be written there is not made.'),
    limits: {
      type: 'object',
      properties: {
        max_archive_bytes: count(2 ** 28, 16 * 2 ** 20, 'Of one archive.', 1024),
        cache_bytes: count(2 ** 32, 64 * 2 ** 20, 'Archives that are kept in memory.', 1024),
        max_connections: count(100_000, 4096, 'Connections at one time.'),
        max_waiters: count(100_000, 2000, 'Long polls at one time; one more is told to come again.'),
        max_wait_seconds: count(600, 60, 'How long one long poll may last.'),
        transfer_seconds: count(3600, 60, 'How long a body may take to come, and an answer to leave.'),
        max_instances: count(1_000_000, 10_000, 'Instances whose status is kept.'),
        max_instances_per_token: count(1_000_000, 5000, 'The same, that reported with one token.'),
        forget_instance_seconds: count(31_536_000, 604_800, 'After what silence an instance is forgotten.'),
      },
      default: {},
      additionalProperties: false,
    },
    log: {
      type: 'object',
      properties: { level: { enum: ['debug', 'info', 'warn', 'error'], default: 'info' } },
      default: {},
      additionalProperties: false,
    },
  },
  required: ['storage', 'bundles', 'tokens', 'audit_log'],
  additionalProperties: false,
} as const;
