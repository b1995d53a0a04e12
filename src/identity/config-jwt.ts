import {
  type ConfigFault,
  messageOf,
  pointerFaults,
  type ReadConfigFile,
  configText as text,
  urlFault,
} from './config-fault.ts';
import { toText } from './jwks-load.ts';
import { parseKeySet } from './key-set.ts';

/** `identity.jwt`: bearer tokens that are JWTs. */
export interface JwtConfig {
  readonly issuers: readonly IssuerConfig[];
  readonly max_token_bytes: number;
  readonly cache_ttl_seconds: number;
  readonly cache_max_entries: number;
}

export interface IssuerConfig {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly jwks: JwksConfig;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly leeway_seconds: number;
  readonly claims: ClaimsMapping;
  readonly forward: boolean;
  /** The `typ` values its tokens may have (RFC 8725 §3.11); absent: any that is a JWT's. */
  readonly typ?: readonly string[];
  /** Claims, by name or JSON pointer, that its tokens must have. */
  readonly required_claims?: readonly string[];
  /** From `iat`, which the token must then have, to `exp`. */
  readonly max_lifetime_seconds?: number;
  /** Its tokens must name a key or certificate (`cnf`) that this very request proves to hold. */
  readonly sender_constrained?: 'required';
}

/** Either `file` or `url`; checkIdentityConfig sees to it. */
export interface JwksConfig {
  readonly file?: string;
  readonly url?: string;
  readonly cooldown_seconds: number;
  /** Absent: 300 for a url, 5 for a file. */
  readonly refresh_seconds?: number;
  readonly max_age_seconds: number;
  readonly timeout_ms: number;
}

/** A claim's name, or a JSON pointer (RFC 6901) when it begins with `/`. */
export interface ClaimsMapping {
  readonly tenant: string;
  readonly roles: string;
  readonly tier: string;
  readonly scopes: string;
}

/** Asymmetric only: with a symmetric one, whoever can verify can also sign. */
export const SIGNATURE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** The issuer that `insecure.demo_issuer` brings along; nobody else may use its name. */
export const DEMO_ISSUER = 'urn:sallyport:demo';

export const DEFAULT_CLAIMS: ClaimsMapping = { tenant: 'tenant', roles: 'roles', tier: 'tier', scopes: 'scope' };

const claimName = (name: keyof ClaimsMapping, description: string) =>
  ({ type: 'string', minLength: 1, maxLength: 256, default: DEFAULT_CLAIMS[name], description }) as const;

/** `claims:` of whoever describes callers. */
export const claimsSchema = {
  type: 'object',
  description: 'Which claims mean what: a claim name, or a JSON pointer such as `/realm_access/roles`.',
  additionalProperties: false,
  default: {},
  properties: {
    tenant: claimName('tenant', 'The tenant, a text.'),
    roles: claimName('roles', 'The roles, a list of texts or one text.'),
    tier: claimName('tier', 'The tier, a text.'),
    scopes: claimName('scopes', 'The scopes, a text separated by spaces or a list of texts.'),
  },
} as const;

const jwksSchema = {
  type: 'object',
  description: 'Where the issuer publishes its public keys: `file` or `url`, not both.',
  additionalProperties: false,
  properties: {
    file: { ...text, description: 'A JWK set on disk; read again when it changes.' },
    url: { ...text, description: 'An https address; http only on loopback. Redirects are refused.' },
    cooldown_seconds: {
      type: 'integer',
      minimum: 1,
      maximum: 3600,
      default: 30,
      description: 'At most one attempt to read the keys in this span, however many unknown keys tokens name.',
    },
    refresh_seconds: {
      type: 'integer',
      minimum: 1,
      maximum: 86400,
      description: 'How often the keys are read in the background; 300 for a url and 5 for a file unless set.',
    },
    max_age_seconds: {
      type: 'integer',
      minimum: 60,
      maximum: 604800,
      default: 21600,
      description: 'How long the last good keys are used while no newer answer can be had; then the issuer is denied.',
    },
    timeout_ms: { type: 'integer', minimum: 50, maximum: 30000, default: 2000, description: 'Bound of one attempt.' },
  },
} as const;

const issuerSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['issuer', 'audiences', 'jwks', 'algorithms'],
  properties: {
    issuer: { ...text, description: 'Exactly the `iss` of its tokens.' },
    audiences: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      uniqueItems: true,
      items: text,
      description: 'A token must name one of these in `aud`. Compulsory: a token for others is not one for us.',
    },
    jwks: jwksSchema,
    algorithms: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { enum: SIGNATURE_ALGORITHMS },
      description: 'The signature algorithms its tokens may use.',
    },
    leeway_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: 120,
      default: 30,
      description: 'Tolerated difference of clocks in `exp`, `nbf` and `iat`.',
    },
    claims: claimsSchema,
    forward: { type: 'boolean', default: true, description: 'Whether `Authorization` goes on to the upstream.' },
    typ: {
      type: 'array',
      minItems: 1,
      maxItems: 8,
      uniqueItems: true,
      items: { type: 'string', pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,127}$" },
      description: 'The `typ` values that its tokens may have, such as `at+jwt`; a token must then have one of them.',
    },
    required_claims: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      uniqueItems: true,
      items: { type: 'string', minLength: 1, maxLength: 256 },
      description: 'Claims that its tokens must have, each a name or a JSON pointer.',
    },
    max_lifetime_seconds: {
      type: 'integer',
      minimum: 1,
      maximum: 31536000,
      description: 'The longest time from `iat` to `exp`; a token without `iat` is then refused.',
    },
    sender_constrained: {
      enum: ['required'],
      description: 'Its tokens must be bound (`cnf`) to a certificate or DPoP key that the request proves to hold.',
    },
  },
} as const;

/** JSON Schema of `identity.jwt`. */
export const jwtConfigSchema = {
  type: 'object',
  description: 'Bearer tokens (JWT). Without an issuer the `Authorization` header is not looked at.',
  additionalProperties: false,
  required: ['issuers'],
  properties: {
    issuers: { type: 'array', minItems: 1, maxItems: 64, items: issuerSchema },
    max_token_bytes: {
      type: 'integer',
      minimum: 256,
      maximum: 65536,
      default: 8192,
      description: 'Longer tokens are refused unread.',
    },
    cache_ttl_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: 60,
      default: 60,
      description: 'How long a verified signature need not be verified again; 0 turns the cache off.',
    },
    cache_max_entries: {
      type: 'integer',
      minimum: 1,
      maximum: 1000000,
      default: 10000,
      description: 'How many verified tokens are remembered.',
    },
  },
} as const;

/** What the schema cannot say; reads the key files. */
export function checkJwtConfig(config: JwtConfig, readFile: ReadConfigFile): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const seen = new Set<string>();
  for (const [index, issuer] of config.issuers.entries()) {
    const path = `identity.jwt.issuers[${index}]`;
    if (seen.has(issuer.issuer)) {
      faults.push({
        path: `${path}.issuer`,
        message: `issuer \`${issuer.issuer}\` is configured twice: merge the two`,
      });
    }
    seen.add(issuer.issuer);
    if (issuer.issuer === DEMO_ISSUER) {
      faults.push({ path: `${path}.issuer`, message: `\`${DEMO_ISSUER}\` is reserved: use \`insecure.demo_issuer\`` });
    }
    faults.push(
      ...checkJwks(issuer, `${path}.jwks`, readFile),
      ...pointerFaults(issuer.claims, `${path}.claims`),
      ...pointerFaults(issuer.required_claims ?? [], `${path}.required_claims`),
    );
  }
  return faults;
}

function checkJwks(issuer: IssuerConfig, path: string, readFile: ReadConfigFile): readonly ConfigFault[] {
  const { file, url, refresh_seconds: refreshSeconds, max_age_seconds: maxAgeSeconds } = issuer.jwks;
  const faults: ConfigFault[] = [];
  if ((file === undefined) === (url === undefined)) {
    faults.push({ path, message: 'name either `file` or `url`' });
  }
  if (refreshSeconds !== undefined && refreshSeconds >= maxAgeSeconds) {
    faults.push({
      path: `${path}.max_age_seconds`,
      message: '`max_age_seconds` must be longer than `refresh_seconds`',
    });
  }
  const urlMessage = url === undefined ? undefined : urlFault(url);
  if (urlMessage !== undefined) faults.push({ path: `${path}.url`, message: urlMessage });
  const fileMessage = file === undefined ? undefined : fileFault(file, issuer, readFile);
  if (fileMessage !== undefined) faults.push({ path: `${path}.file`, message: fileMessage });
  return faults;
}

function fileFault(file: string, issuer: IssuerConfig, readFile: ReadConfigFile): string | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFile(file);
  } catch (error) {
    return `cannot read \`${file}\`: ${messageOf(error)}`;
  }
  try {
    const usable = parseKeySet(toText(bytes)).some((key) =>
      key.algorithms.some((algorithm) => issuer.algorithms.includes(algorithm)),
    );
    return usable ? undefined : `\`${file}\` holds no key for ${issuer.algorithms.join(', ')}`;
  } catch (error) {
    return `\`${file}\` is no usable JWK set: ${messageOf(error)}`;
  }
}
