import {
  type ConfigFault,
  configText,
  messageOf,
  pointerFaults,
  type ReadConfigFile,
  urlFault,
} from './config-fault.ts';
import { type ClaimsMapping, claimsSchema, DEMO_ISSUER } from './config-jwt.ts';

/** `identity.dpop` (RFC 9449): tokens bound to a key that signs every request. */
export interface DpopConfig {
  readonly enabled: boolean;
  /** How old a proof may be. */
  readonly max_age_seconds: number;
  /** How many proofs are remembered against replay; beyond it a new one is refused. */
  readonly max_entries: number;
  /** Scheme and host that clients see, for `htu`; absent: what the door says of the request. */
  readonly public_url?: string;
}

/** One server of `identity.introspection` (RFC 7662), for opaque tokens. */
export interface IntrospectionConfig {
  readonly issuer: string;
  readonly url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly audiences: readonly string[];
  readonly claims: ClaimsMapping;
  readonly cache_ttl_seconds: number;
  readonly negative_ttl_seconds: number;
  readonly deadline_ms: number;
  readonly max_in_flight: number;
  readonly cache_max_entries: number;
}

/** `identity.token_exchange`: an API key for a short-lived JWT, on a port of its own. */
export interface TokenExchangeConfig {
  readonly listen: string;
  readonly issuer: string;
  readonly audience: string;
  readonly signing_key_file: string;
  /** Keys that still verify and are still published, but sign no more. */
  readonly previous_key_files: readonly string[];
  readonly lifetime_seconds: number;
}

/** JSON Schema of `identity.dpop`. */
export const dpopConfigSchema = {
  type: 'object',
  description: 'Tokens bound to a key of the client (DPoP, RFC 9449).',
  additionalProperties: false,
  properties: {
    enabled: { type: 'boolean', default: false, description: 'Whether the scheme `DPoP` is accepted.' },
    max_age_seconds: { type: 'integer', minimum: 5, maximum: 600, default: 60, description: 'How old a proof may be.' },
    max_entries: {
      type: 'integer',
      minimum: 100,
      maximum: 10000000,
      default: 100000,
      description: 'How many proofs are remembered against replay; when all are in use, new ones are refused.',
    },
    public_url: { ...configText, description: 'Scheme and host that clients see, such as `https://api.example`.' },
  },
} as const;

const ttl = (seconds: number, description: string) =>
  ({ type: 'integer', minimum: 0, maximum: 60, default: seconds, description }) as const;

/** JSON Schema of `identity.introspection`. */
export const introspectionConfigSchema = {
  type: 'array',
  description: 'Servers that are asked about opaque bearer tokens (RFC 7662).',
  minItems: 1,
  maxItems: 16,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['issuer', 'url', 'client_id', 'client_secret', 'audiences'],
    properties: {
      issuer: { ...configText, description: 'Who its tokens are from; an answer that names another is refused.' },
      url: { ...configText, description: 'The introspection endpoint: https; http only on loopback.' },
      client_id: { ...configText, description: 'Who Sallyport is there.' },
      client_secret: { ...configText, description: 'Its secret; best taken from an environment variable.' },
      audiences: {
        type: 'array',
        minItems: 1,
        maxItems: 32,
        uniqueItems: true,
        items: configText,
        description: 'An answer must name one of these in `aud`.',
      },
      claims: claimsSchema,
      cache_ttl_seconds: ttl(10, 'How long an answer is believed, never beyond the token itself; 0: not at all.'),
      negative_ttl_seconds: ttl(5, 'How long a token that is not active need not be asked about again.'),
      deadline_ms: { type: 'integer', minimum: 10, maximum: 5000, default: 200, description: 'Bound of one question.' },
      max_in_flight: {
        type: 'integer',
        minimum: 1,
        maximum: 10000,
        default: 64,
        description: 'Questions under way at one time; a request that needs one more is denied.',
      },
      cache_max_entries: {
        type: 'integer',
        minimum: 1,
        maximum: 1000000,
        default: 10000,
        description: 'How many answers are remembered.',
      },
    },
  },
} as const;

/** JSON Schema of `identity.token_exchange`. */
export const tokenExchangeConfigSchema = {
  type: 'object',
  description: 'Exchanges an API key for a short-lived JWT: `POST /token`, keys under `/.well-known/jwks.json`.',
  additionalProperties: false,
  required: ['listen', 'issuer', 'audience', 'signing_key_file'],
  properties: {
    listen: {
      ...configText,
      pattern: '^(unix:/.+|.+:[0-9]{1,5})$',
      description: 'Where it listens: `127.0.0.1:8383` or `unix:/run/name.sock`.',
    },
    issuer: { ...configText, description: 'The `iss` of the tokens.' },
    audience: { ...configText, description: 'The `aud` of the tokens.' },
    signing_key_file: { ...configText, description: 'The private key that signs.' },
    previous_key_files: {
      type: 'array',
      maxItems: 8,
      uniqueItems: true,
      default: [],
      items: configText,
      description: 'Keys that signed before and are still good, until their last token has expired.',
    },
    lifetime_seconds: {
      type: 'integer',
      minimum: 10,
      maximum: 300,
      default: 300,
      description: 'How long a token lives; never longer than its API key.',
    },
  },
} as const;

/** What the schema cannot say of `identity.dpop`. */
export function checkDpopConfig({ public_url: text }: DpopConfig): readonly ConfigFault[] {
  if (text === undefined) return [];
  const url = URL.parse(text);
  const plain = url !== null && /^https?:$/.test(url.protocol) && url.origin === text.toLowerCase();
  if (plain) return [];
  return [
    { path: 'identity.dpop.public_url', message: `\`${text}\` is not scheme and host alone: write \`https://host\`` },
  ];
}

/** What the schema cannot say of `identity.introspection`. */
export function checkIntrospectionConfig(servers: readonly IntrospectionConfig[]): readonly ConfigFault[] {
  const seen = new Set<string>();
  return servers.flatMap(({ issuer, url, claims }, index) => {
    const path = `identity.introspection[${index}]`;
    const faults = [...reservedIssuer(issuer, path), ...pointerFaults(claims, `${path}.claims`)];
    if (seen.has(issuer)) faults.push({ path: `${path}.issuer`, message: `issuer \`${issuer}\` is configured twice` });
    seen.add(issuer);
    const message = urlFault(url);
    if (message !== undefined) faults.push({ path: `${path}.url`, message });
    return faults;
  });
}

/** What the schema cannot say of `identity.token_exchange`; sees that its key files can be read. */
export function checkTokenExchangeConfig(
  config: TokenExchangeConfig,
  otherIssuers: readonly string[],
  readFile: ReadConfigFile,
): readonly ConfigFault[] {
  const { issuer, signing_key_file: signing, previous_key_files: previous } = config;
  const path = 'identity.token_exchange';
  const faults = [...reservedIssuer(issuer, path)];
  if (otherIssuers.includes(issuer)) {
    faults.push({
      path: `${path}.issuer`,
      message: `\`${issuer}\` is an issuer of its own: the exchange needs another name`,
    });
  }
  const files = [
    [`${path}.signing_key_file`, signing] as const,
    ...previous.map((file, index) => [`${path}.previous_key_files[${index}]`, file] as const),
  ];
  for (const [at, file] of files) {
    try {
      readFile(file);
    } catch (error) {
      faults.push({ path: at, message: `cannot read \`${file}\`: ${messageOf(error)}` });
    }
  }
  const again = previous.indexOf(signing);
  if (again >= 0) {
    faults.push({
      path: `${path}.previous_key_files[${again}]`,
      message: 'signs still: name only keys that no longer do',
    });
  }
  return faults;
}

function reservedIssuer(issuer: string, path: string): ConfigFault[] {
  if (issuer !== DEMO_ISSUER) return [];
  return [{ path: `${path}.issuer`, message: `\`${DEMO_ISSUER}\` is reserved: use \`insecure.demo_issuer\`` }];
}
