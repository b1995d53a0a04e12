import type { AccessRequest, DoorCapabilities } from '../decision/access-request.ts';
import type { Inference, Inspected, Network, PayloadSize } from '../decision/ports.ts';
import type { Authentication, Peer, Principal } from '../decision/principal.ts';
import { fieldsOf } from './known-input.ts';
import type { Fields, RecordedDecision } from './recorded-event.ts';

/** The request of an event: its method and path, and nothing that an event never holds. */
export function recordedRequest(event: RecordedDecision, capabilities: DoorCapabilities): AccessRequest {
  const request = fieldsOf(event.input['request']) ?? {};
  const scheme = textOf(request, 'scheme');
  return {
    door: event.door,
    method: textOf(request, 'method') ?? '',
    target: textOf(request, 'path') ?? '/',
    host: textOf(request, 'host') ?? '',
    headers: { all: () => [], names: () => [] },
    body: { bytes: new Uint8Array(), complete: undefined },
    contextExtensions: new Map(event.decisionName === undefined ? [] : [['sallyport.decision', event.decisionName]]),
    attributes: () => undefined,
    headersAreRaw: false,
    capabilities,
    ...(scheme === undefined ? {} : { scheme }),
  };
}

/** Who asked; `undefined` where the event does not say so much as whether anybody did. */
export function recordedAuthentication(event: RecordedDecision): Authentication | undefined {
  const identity = fieldsOf(event.input['identity']) ?? {};
  const kind = identity['kind'];
  const peer = recordedPeer(event);
  if (kind === 'anonymous') return { kind: 'anonymous', peer, stripHeaders: [] };
  if (kind !== 'jwt' && kind !== 'api_key' && kind !== 'mtls') return undefined;
  const models = listOf(identity, 'models');
  const principal: Principal = {
    kind,
    ...optional('subject', textOf(identity, 'subject')),
    ...optional('issuer', textOf(identity, 'issuer')),
    ...optional('tenant', textOf(identity, 'tenant')),
    ...optional('tier', textOf(identity, 'tier')),
    roles: listOf(identity, 'roles') ?? [],
    scopes: listOf(identity, 'scopes') ?? [],
    claims: {},
    ...optional('keyId', textOf(identity, 'key_id')),
    ...optional('models', models),
    credentials: [],
    demo: false,
  };
  return { kind: 'verified', principal, peer, stripHeaders: [] };
}

function recordedPeer(event: RecordedDecision): Peer | null {
  const peer = fieldsOf(event.input['peer']);
  if (peer === undefined) return null;
  return {
    ...optional('spiffeId', textOf(peer, 'spiffe_id')),
    ...optional('trustDomain', textOf(peer, 'trust_domain')),
    dnsSans: listOf(peer, 'dns_sans') ?? [],
    ...optional('subject', textOf(peer, 'subject')),
    ...optional('fingerprintSha256', textOf(peer, 'fingerprint_sha256')),
  };
}

/** What inspection found beside the route. */
export function recordedFindings(event: RecordedDecision): Omit<Inspected, 'route' | 'inference'> {
  const request = fieldsOf(event.input['request']) ?? {};
  const network = fieldsOf(event.input['network']) ?? {};
  const asn = network['asn'];
  return {
    kind: 'inspected',
    path: textOf(request, 'path') ?? '',
    ...optional('host', textOf(request, 'host')),
    ...optional('contentType', textOf(request, 'content_type')),
    size: recordedSize(event),
    network: {
      ...optional('client_ip', textOf(network, 'client_ip')),
      ...optional('country', textOf(network, 'country')),
      ...optional('asn', typeof asn === 'number' ? asn : undefined),
    } satisfies Network,
    plugin: NEVER_LOGGED,
  };
}

/** Unknown where the event does not tell: a bound then refuses, as it does for a request that does not. */
export function recordedSize(event: RecordedDecision): PayloadSize {
  const { known, bytes, at_least: atLeast } = fieldsOf(fieldsOf(event.input['request'])?.['size']) ?? {};
  if (known === true && typeof bytes === 'number') return { known: true, bytes };
  return { known: false, at_least: typeof atLeast === 'number' ? atLeast : 0 };
}

export function recordedInference(event: RecordedDecision): Inference {
  const inference = fieldsOf(event.input['inference']) ?? {};
  const { stream } = inference;
  return {
    ...optional('model', textOf(inference, 'model')),
    ...optional('stream', typeof stream === 'boolean' ? stream : undefined),
    ...optional('max_tokens', numberOf(inference, 'max_tokens')),
    ...optional('candidates', numberOf(inference, 'candidates')),
    ...optional('estimated_prompt_tokens', numberOf(inference, 'estimated_prompt_tokens')),
    ...optional('message_count', numberOf(inference, 'message_count')),
  };
}

/** Asked for by no policy that is replayed: the paths are never logged, which was found before. */
const NEVER_LOGGED: Inspected['plugin'] = {
  parsedPath: () => [],
  parsedQuery: () => ({}),
  parsedBody: () => null,
  truncatedBody: () => false,
};

export function textOf(fields: Fields, member: string): string | undefined {
  const value = fields[member];
  return typeof value === 'string' ? value : undefined;
}

function numberOf(fields: Fields, member: string): number | undefined {
  const value = fields[member];
  return typeof value === 'number' ? value : undefined;
}

function listOf(fields: Fields, member: string): readonly string[] | undefined {
  const value = fields[member];
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : undefined;
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [name in Name]?: Value } {
  // A computed key of a literal type is widened to any text.
  return (value === undefined ? {} : { [name]: value }) as { readonly [name in Name]?: Value };
}
