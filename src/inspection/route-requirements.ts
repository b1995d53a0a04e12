import { isObject } from '../decision/json.ts';
import { DIALECT_NAMES, type Dialect } from './dialects.ts';

/** What a route asks of a request beyond its path and method. */
export interface RouteRequirements {
  /** The API that the body is written in; absent: OpenAI-style chat and text together. */
  readonly dialect?: Dialect;
  /** Whether the upstream tells `model` from `Model`: only then is the gateway's reading of a body enough. */
  readonly caseSensitiveKeys: boolean;
  /** A name in `catalog.schemas`. */
  readonly schema?: string;
  /** Every one of these must be proven, and no other credential of a user may be shown. */
  readonly credentials?: ReadonlySet<CredentialKind>;
  /** Bytes by the caller's tier; a tier that is not named has the route's own bound. */
  readonly maxBytesByTier?: ReadonlyMap<string, number>;
}

const CREDENTIAL_KINDS = ['api_key', 'jwt', 'mtls'] as const;

export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

export const REQUIREMENT_KEYS = ['dialect', 'upstream_keys', 'schema', 'credentials', 'max_bytes_by_tier'];

type Report = (key: string, message: string) => void;

/** Parses these keys of one route, whose `body` and `kind` are known. */
export function parseRequirements(
  value: { readonly [key: string]: unknown },
  body: string,
  kind: string,
  report: Report,
): RouteRequirements {
  const dialect = choice(value['dialect'], DIALECT_NAMES, 'dialect', report);
  const keys = choice(value['upstream_keys'], ['case_sensitive', 'any_case'] as const, 'upstream_keys', report);
  const schema = value['schema'];
  if (schema !== undefined && typeof schema !== 'string') report('schema', 'is not the name of a schema');
  if (dialect !== undefined && body === 'none') report('dialect', 'is given but `body` is `none`');
  if (keys !== undefined && body !== 'metadata') report('upstream_keys', 'is given but `body` is not `metadata`');
  if (schema !== undefined && body !== 'json') report('schema', 'is given but `body` is not `json`');
  const credentials = parseCredentials(value['credentials'], report);
  if (credentials !== undefined && kind === 'preflight') report('credentials', 'of a preflight route is given');
  const maxBytesByTier = parseTierBytes(value['max_bytes_by_tier'], report);
  return {
    caseSensitiveKeys: keys === 'case_sensitive',
    ...(dialect === undefined ? {} : { dialect }),
    ...(typeof schema === 'string' ? { schema } : {}),
    ...(credentials === undefined ? {} : { credentials }),
    ...(maxBytesByTier === undefined ? {} : { maxBytesByTier }),
  };
}

/** The one of the choices that a value is; reports when it is given and none. */
export function choice<T extends string>(
  value: unknown,
  choices: readonly T[],
  key: string,
  report: Report,
): T | undefined {
  if (value === undefined) return undefined;
  const found = choices.find((one) => one === value);
  if (found === undefined) report(key, `is none of ${choices.map((one) => `\`${one}\``).join(', ')}`);
  return found;
}

export function isNatural(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseCredentials(value: unknown, report: Report): ReadonlySet<CredentialKind> | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) {
    report('credentials', 'is not a list of kinds of credential');
    return undefined;
  }
  const kinds = new Set<CredentialKind>();
  for (const [index, one] of value.entries()) {
    const key = `credentials[${index}]`;
    const kind = choice(one, CREDENTIAL_KINDS, key, report) ?? (one === undefined ? missing(key, report) : undefined);
    if (kind === undefined) continue;
    if (kinds.has(kind)) report(key, 'names a kind twice');
    kinds.add(kind);
  }
  return kinds;
}

function missing(key: string, report: Report): undefined {
  report(key, 'is missing');
}

function parseTierBytes(value: unknown, report: Report): ReadonlyMap<string, number> | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value) || Object.keys(value).length === 0) {
    report('max_bytes_by_tier', 'is not an object of bytes by tier');
    return undefined;
  }
  const bytes = new Map<string, number>();
  for (const [tier, most] of Object.entries(value)) {
    if (isNatural(most)) bytes.set(tier, most);
    else report(`max_bytes_by_tier.${tier}`, 'is not an integer from 0 to 2^53 - 1');
  }
  return bytes;
}
