import { sinkSettingsSchema, sinkTlsSchema } from './schema-posted.ts';

/** `decision_log.sinks[].kafka`. */
export const kafkaSinkSchema = {
  description: 'A topic of Apache Kafka; needs the package `@platformatic/kafka`.',
  type: 'object',
  additionalProperties: false,
  required: ['brokers', 'topic'],
  properties: {
    // One request makes one record batch, which brokers bound to 1 MiB unless told otherwise.
    ...sinkSettingsSchema('kafka', 500, 786_432),
    brokers: {
      description: '`host:port` of those that are asked first.',
      type: 'array',
      minItems: 1,
      maxItems: 32,
      uniqueItems: true,
      items: { type: 'string', pattern: '^(?:[A-Za-z0-9._-]{1,253}|\\[[0-9a-fA-F:.]{2,45}\\]):[0-9]{1,5}$' },
    },
    topic: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,249}$' },
    idempotent: {
      description: 'A request that the client itself repeats is written once.',
      type: 'boolean',
      default: true,
    },
    compression: { enum: ['none', 'gzip', 'zstd'], default: 'gzip' },
    tls: sinkTlsSchema,
    sasl: {
      type: 'object',
      additionalProperties: false,
      required: ['mechanism', 'username'],
      properties: {
        mechanism: { enum: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] },
        username: { type: 'string', minLength: 1, maxLength: 256 },
        password: { type: 'string', minLength: 1, maxLength: 1024 },
        password_file: { description: 'Read again after each fault.', type: 'string', minLength: 1 },
      },
    },
    insecure_plaintext: {
      description: 'Sends events and credentials in the clear to another machine.',
      type: 'boolean',
      default: false,
    },
  },
} as const;
