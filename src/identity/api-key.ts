import type { AccessRequest, RequestHeaders } from '../decision/access-request.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import type { KeyRecord } from './api-key-record.ts';
import { type KeyJudgement, verifyApiKey } from './api-key-verify.ts';
import { CredentialFault } from './credential-fault.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import { INVALID_TOKEN } from './token-refusal.ts';

export interface ApiKeyMethodOptions {
  readonly directory: KeyDirectory;
  /** The client's canonical address by local config; `undefined` when there is none that can be believed. */
  readonly clientIp: (request: AccessRequest) => string | undefined;
}

/**
 * API keys, in `x-api-key` or as a bearer token: exactly one, never both. Everything about a key is judged on every
 * request, and the header that carried it never reaches the upstream.
 */
export function createApiKeyMethod({ directory, clientIp }: ApiKeyMethodOptions): CredentialMethod {
  return {
    authenticate: (request, at) => {
      let presented: Presented | undefined;
      try {
        presented = findApiKey(request.headers);
      } catch (error) {
        if (error instanceof CredentialFault)
          return refuse({ kind: 'refused', code: error.code, cause: error.message });
        throw error;
      }
      if (presented === undefined) return undefined;
      const key = presented;
      const judged = verifyApiKey(directory, key.token, at, () => clientIp(request));
      return judged instanceof Promise ? judged.then((one) => toFound(one, key)) : toFound(judged, key);
    },
    start: () => directory.start(),
    stop: () => directory.stop(),
    faults: (at) => {
      const fault = directory.fault(at);
      return fault === undefined ? [] : [`API keys: ${fault}`];
    },
  };
}

interface Presented {
  readonly header: 'x-api-key' | 'authorization';
  /** The header's whole value. */
  readonly value: string;
  readonly token: string;
}

/**
 * The one key that a request presents; throws {@link CredentialFault} when there is more than one, or something that
 * was meant as one and is none. An `Authorization` without an API key is another method's.
 */
function findApiKey(headers: RequestHeaders): Presented | undefined {
  const [own, ...moreOwn] = headers.all('x-api-key');
  const authorizations = headers.all('authorization');
  const [shared, ...moreShared] = authorizations;
  if (moreOwn.length > 0) throw new CredentialFault('more than one `x-api-key` header');
  const bearers = authorizations.some((value) => HOLDS_API_KEY.test(value));
  if (!bearers) return own === undefined ? undefined : { header: 'x-api-key', value: own, token: own };
  if (own !== undefined) throw new CredentialFault('an API key in `x-api-key` and in `authorization`');
  if (shared === undefined || moreShared.length > 0) throw new CredentialFault('more than one `authorization` header');
  if (shared.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    throw new CredentialFault('an API key that is no bearer credential');
  }
  return { header: 'authorization', value: shared, token: shared.slice(SCHEME.length) };
}

const SCHEME = 'bearer ';

/** Anywhere a credential can begin: Envoy joins repeated headers with a comma. No other credential begins like this. */
const HOLDS_API_KEY = /(?:^|[\s,])sp_/;

function toFound(judged: KeyJudgement, { header, value }: Presented): Found {
  if (judged.kind === 'refused') return refuse(judged, header);
  const { record } = judged;
  return {
    kind: 'verified',
    principal: {
      kind: 'api_key',
      ...toPrincipalFields(record),
      scopes: NOTHING,
      claims: NO_CLAIMS,
      credentials: [{ kind: 'api_key', keyId: record.id, header, presented: value }],
      demo: false,
    },
    peer: null,
    stripHeaders: STRIPPED[header],
  };
}

function toPrincipalFields({ id, tenant, tier, roles, subject, models }: KeyRecord) {
  return {
    keyId: id,
    tenant,
    tier,
    roles,
    ...(subject === undefined ? {} : { subject }),
    ...(models === undefined ? {} : { models }),
  };
}

const NOTHING: readonly string[] = Object.freeze([]);
const NO_CLAIMS = Object.freeze({});
const STRIPPED = {
  'x-api-key': Object.freeze(['x-api-key']),
  authorization: Object.freeze(['authorization']),
} as const;

function refuse(judged: Extract<KeyJudgement, { kind: 'refused' }>, header?: Presented['header']): Found {
  if (judged.code === 'issuer_unavailable' || header !== 'authorization') return judged;
  return { ...judged, challenge: INVALID_TOKEN };
}
