import type { AccessRequest } from './access-request.ts';
import type { QuotaState } from './charges.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Inspected, MatchedRoute } from './ports.ts';
import type { Peer, Principal } from './principal.ts';

/**
 * What a policy may read, member by member. The engine calls only the members that the evaluated entrypoint can read
 * (its projection), so a member costs nothing until then. A member that answers `undefined` is absent from `input`.
 */
export type PolicyInput = { readonly [member in InputMember]: () => JsonValue | undefined };

export const INPUT_MEMBERS = [
  'request',
  'route',
  'identity',
  'peer',
  'network',
  'inference',
  'quota',
  'attributes',
  'parsed_path',
  'parsed_query',
  'parsed_body',
  'truncated_body',
  'version',
  'source_principal',
] as const;

export type InputMember = (typeof INPUT_MEMBERS)[number];

export interface InputSources {
  readonly request: AccessRequest;
  readonly inspected: Inspected;
  readonly principal: Principal | undefined;
  readonly peer: Peer | null;
  readonly quota: QuotaState | undefined;
  /** Makes what replaces the credentials that `identity` verified; asked only when `attributes` is read. */
  readonly mask: () => (value: JsonValue) => JsonValue;
}

/** Builds `input` of the policy contract; pure, and lazy in every member. */
export function toPolicyInput(sources: InputSources): PolicyInput {
  return new RequestInput(sources);
}

/** A class, so that the members are made once and not as fourteen closures for every evaluation. */
class RequestInput implements PolicyInput {
  readonly #sources: InputSources;

  constructor(sources: InputSources) {
    this.#sources = sources;
  }

  request(): JsonObject {
    const { request, inspected } = this.#sources;
    const { path, host, contentType, size } = inspected;
    return {
      method: request.method,
      path,
      host,
      scheme: request.scheme,
      content_type: contentType,
      size: size as JsonObject,
    };
  }

  route(): JsonValue {
    return routeInput(this.#sources.inspected);
  }

  identity(): JsonObject {
    return identityInput(this.#sources.principal);
  }

  peer(): JsonValue {
    return peerInput(this.#sources.peer);
  }

  network(): JsonObject {
    return this.#sources.inspected.network as JsonObject;
  }

  inference(): JsonObject | undefined {
    return this.#sources.inspected.inference as JsonObject | undefined;
  }

  quota(): JsonObject | undefined {
    return this.#sources.quota as JsonObject | undefined;
  }

  attributes(): JsonValue | undefined {
    const { request, mask } = this.#sources;
    const attributes = request.attributes();
    return attributes === undefined ? undefined : mask()(attributes);
  }

  parsed_path(): JsonValue {
    return this.#sources.mask()(this.#sources.inspected.plugin.parsedPath());
  }

  parsed_query(): JsonValue {
    return this.#sources.mask()(this.#sources.inspected.plugin.parsedQuery());
  }

  parsed_body(): JsonValue {
    return this.#sources.inspected.plugin.parsedBody();
  }

  truncated_body(): boolean {
    return this.#sources.inspected.plugin.truncatedBody();
  }

  version(): JsonObject {
    return PLUGIN_VERSION;
  }

  source_principal(): string | undefined {
    const { sourcePrincipal } = this.#sources.request;
    return sourcePrincipal === '' ? undefined : sourcePrincipal;
  }
}

const PLUGIN_VERSION: JsonObject = { encoding: 'protojson', ext_authz: 'v3' };

function routeInput({ route }: Inspected): JsonValue {
  return route === null ? null : sharedRoute(route);
}

/** Claims, but never the token: `input` holds no credential. */
export function identityInput(principal: Principal | undefined): JsonObject {
  return principal === undefined ? ANONYMOUS : sharedIdentity(principal);
}

/**
 * What is made of a frozen object, which stands for many requests and in no part ever changes, stands for as many, and is
 * frozen too.
 */
function onceEach<Source extends object>(make: (source: Source) => JsonObject): (source: Source) => JsonObject {
  const made = new WeakMap<Source, JsonObject>();
  return (source) => {
    const known = made.get(source);
    if (known !== undefined) return known;
    if (!Object.isFrozen(source)) return make(source);
    const first = Object.freeze(make(source));
    made.set(source, first);
    return first;
  };
}

const sharedRoute = onceEach(({ name, tenant, model, operation, params }: MatchedRoute) => ({
  name,
  tenant,
  model,
  operation,
  params,
}));

const sharedIdentity = onceEach(toIdentity);

function toIdentity(principal: Principal): JsonObject {
  return {
    kind: principal.kind,
    subject: principal.subject,
    issuer: principal.issuer,
    tenant: principal.tenant,
    tier: principal.tier,
    roles: principal.roles,
    scopes: principal.scopes,
    claims: principal.claims,
    key_id: principal.keyId,
    models: principal.models,
    credentials: principal.credentials.map(({ kind, issuer, keyId }) => ({ kind, issuer, key_id: keyId })),
  };
}

const ANONYMOUS: JsonObject = { kind: 'anonymous', roles: [], scopes: [], claims: {}, credentials: [] };

function peerInput(peer: Peer | null): JsonValue {
  if (peer === null) return null;
  return {
    spiffe_id: peer.spiffeId,
    trust_domain: peer.trustDomain,
    dns_sans: peer.dnsSans,
    subject: peer.subject,
    fingerprint_sha256: peer.fingerprintSha256,
  };
}
