const secret = { type: 'string', pattern: '^[\\x21-\\x7e]{1,16384}$' } as const;
const file = { type: 'string', minLength: 1 } as const;

/** Members that every remote sink has. */
export function sinkSettingsSchema(kind: string, maxEvents: number, maxBytes: number) {
  return {
    name: {
      description: 'Names the sink in metrics, logs and the spool; unique, and the same after a restart.',
      type: 'string',
      pattern: '^[a-z0-9_-]{1,64}$',
      default: kind,
    },
    format: {
      description: '`native` as logged, `ecs` by the Elastic Common Schema, `ocsf` by OCSF (class API Activity).',
      enum: ['native', 'ecs', 'ocsf'],
      default: 'native',
    },
    batch: {
      description: 'The most of one request.',
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        max_events: { type: 'integer', minimum: 1, maximum: 10_000, default: maxEvents },
        max_bytes: {
          description: 'Before compression; an event has 16 KiB at most.',
          type: 'integer',
          minimum: 32_768,
          maximum: 16_777_216,
          default: maxBytes,
        },
      },
    },
    timeout_ms: {
      description: 'How long one request may take.',
      type: 'integer',
      minimum: 100,
      maximum: 50_000,
      default: 10_000,
    },
  } as const;
}

/** PEM files of a client. */
export const sinkTlsSchema = {
  description: 'PEM files, read again when they change.',
  type: 'object',
  additionalProperties: false,
  properties: {
    ca: { description: 'In place of the CAs of the machine.', ...file },
    cert: { description: 'Shown to the target, with `key`.', ...file },
    key: file,
  },
} as const;

const credentialsSchema = {
  description: 'What shows the target who writes; files are read again at each use.',
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: {
    bearer_token: secret,
    bearer_token_file: file,
    basic: {
      type: 'object',
      additionalProperties: false,
      required: ['username'],
      properties: {
        username: { type: 'string', pattern: '^[^:\\x00-\\x1f\\x7f]{1,256}$' },
        password: { type: 'string', minLength: 1, maxLength: 1024 },
        password_file: file,
      },
    },
    api_key: {
      type: 'object',
      additionalProperties: false,
      required: ['header'],
      properties: {
        header: { type: 'string', pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$" },
        value: { type: 'string', pattern: '^[\\x21-\\x7e](?:[\\x20-\\x7e]{0,16382}[\\x21-\\x7e])?$' },
        value_file: file,
      },
    },
  },
} as const;

function targetSchema(path: string) {
  return {
    url: { description: 'https, or http to this machine.', type: 'string', minLength: 1, maxLength: 2048 },
    path: {
      description: 'Appended to the url.',
      type: 'string',
      pattern: "^(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*){1,32}$",
      default: path,
    },
    credentials: credentialsSchema,
    tls: sinkTlsSchema,
    insecure_http: {
      description: 'Sends events and credentials in the clear to another machine.',
      type: 'boolean',
      default: false,
    },
  } as const;
}

/** `decision_log.sinks[].http`. */
export const httpSinkSchema = {
  description: 'OPA’s decision log API: gzipped JSON arrays.',
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: { ...sinkSettingsSchema('http', 500, 1_048_576), ...targetSchema('/logs') },
} as const;

/** `decision_log.sinks[].otlp`. */
export const otlpSinkSchema = {
  description: 'OTLP logs over HTTP with JSON.',
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: { ...sinkSettingsSchema('otlp', 500, 2_097_152), ...targetSchema('/v1/logs') },
} as const;

/** `decision_log.sinks[].elasticsearch`. */
export const elasticsearchSinkSchema = {
  description: '`_bulk` of Elasticsearch and OpenSearch.',
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    ...sinkSettingsSchema('elasticsearch', 1000, 5_242_880),
    ...targetSchema('/_bulk'),
    index: {
      description:
        'With `{yyyy}`, `{MM}` and `{dd}` of the event’s time in UTC; without them a data stream or an alias.',
      type: 'string',
      minLength: 1,
      maxLength: 128,
      default: 'sallyport-decisions-{yyyy}.{MM}.{dd}',
    },
  },
} as const;
