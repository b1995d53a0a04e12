/** How a bundle's server is asked, and what shows it who asks. */
export interface BundlePolling {
  readonly min_delay_seconds: number;
  readonly max_delay_seconds: number;
  /** Of one download, from the request to the last byte. */
  readonly timeout_ms: number;
  /** Of one download, packed. */
  readonly max_bytes: number;
  /** How long the server may hold its answer until there is something new; 0: it is not asked to. */
  readonly long_poll_seconds: number;
}

/** Exactly one of them. */
export interface CredentialsConfig {
  readonly bearer_token?: string;
  /** Read again at each use. */
  readonly bearer_token_file?: string;
  readonly api_key?: { readonly header: string; readonly value: string };
}

/** PEM files, read again at each use. */
export interface TlsClientConfig {
  /** In place of the CAs of the machine. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** An object of an S3-style store; the bucket is named in the path. */
export interface S3Config {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly key: string;
  readonly access_key_id: string;
  /** Exactly one of this and the file. */
  readonly secret_access_key?: string;
  readonly secret_access_key_file?: string;
  readonly session_token?: string;
}

/** What a url without `polling` gets. */
export const DEFAULT_POLLING: BundlePolling = {
  min_delay_seconds: 60,
  max_delay_seconds: 120,
  timeout_ms: 10_000,
  max_bytes: 32 * 2 ** 20,
  long_poll_seconds: 0,
};

export const pollingSchema = {
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
    long_poll_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: 600,
      default: DEFAULT_POLLING.long_poll_seconds,
      description: 'How long the server may hold its answer until there is something new; 0 for not at all.',
    },
  },
  additionalProperties: false,
} as const;

const secretText = { type: 'string', pattern: '^[\\x21-\\x7e]+$', maxLength: 16_384 } as const;
const fileName = { type: 'string', minLength: 1 } as const;

export const credentialsSchema = {
  type: 'object',
  description: 'What shows the server who asks. Sent to the url of the config alone, never after a redirect.',
  properties: {
    bearer_token: { ...secretText, description: 'Sent as `Authorization: Bearer`.' },
    bearer_token_file: { ...fileName, description: 'A file that holds the token; read again at each use.' },
    api_key: {
      type: 'object',
      description: 'A key in a header.',
      properties: {
        header: { type: 'string', pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$", description: 'The header’s name.' },
        value: { ...secretText, description: 'The key.' },
      },
      required: ['header', 'value'],
      additionalProperties: false,
    },
  },
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
} as const;

export const tlsClientSchema = {
  type: 'object',
  description: 'TLS towards the server; the files are read again at each use.',
  properties: {
    ca: { ...fileName, description: 'The CAs to believe, in place of the machine’s; PEM.' },
    cert: { ...fileName, description: 'The certificate to show; PEM.' },
    key: { ...fileName, description: 'Its private key; PEM.' },
  },
  minProperties: 1,
  dependentRequired: { cert: ['key'], key: ['cert'] },
  additionalProperties: false,
} as const;

export const s3Schema = {
  type: 'object',
  description: 'An object of an S3-style store.',
  properties: {
    endpoint: { type: 'string', pattern: '^https?://', description: 'The store; the bucket is named in the path.' },
    region: { type: 'string', minLength: 1, description: 'As the store’s signatures name it.' },
    bucket: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$', description: 'The bucket.' },
    key: { type: 'string', minLength: 1, maxLength: 1024, description: 'The object; its signature is `KEY.jws`.' },
    access_key_id: { ...secretText, description: 'Whose signature.' },
    secret_access_key: { ...secretText, description: 'What signs.' },
    secret_access_key_file: { ...fileName, description: 'A file that holds it; read again at each use.' },
    session_token: { ...secretText, description: 'Of temporary credentials.' },
  },
  required: ['endpoint', 'region', 'bucket', 'key', 'access_key_id'],
  additionalProperties: false,
} as const;

interface Fault {
  readonly path: string;
  readonly message: string;
}

/** A url that may be asked: no secret in it, and none sent to it where others could read along. */
export function urlFaults(text: string, path: string, credentials: boolean): readonly Fault[] {
  const url = URL.parse(text);
  if (url === null) return [{ path, message: 'is not a url' }];
  if (url.username !== '' || url.password !== '') return [{ path, message: 'must not hold credentials' }];
  if (url.hash !== '') return [{ path, message: 'must not have a fragment' }];
  if (credentials && url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    return [{ path, message: 'must be https, because credentials are sent to it' }];
  }
  return [];
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function pollingFaults(polling: BundlePolling | undefined, path: string): readonly Fault[] {
  if (polling === undefined || polling.min_delay_seconds <= polling.max_delay_seconds) return [];
  return [{ path: `${path}.min_delay_seconds`, message: 'is greater than `max_delay_seconds`' }];
}
