import type { InputPath } from './input-paths.ts';

/** What every request has in `input`; all else may be absent from a request. */
const ALWAYS: ReadonlySet<string> = new Set([
  'input',
  'input.request',
  'input.request.method',
  'input.request.path',
  'input.request.size',
  'input.request.size.known',
  'input.route',
  'input.route.name',
  'input.route.params',
  'input.identity',
  'input.identity.kind',
  'input.identity.roles',
  'input.identity.scopes',
  'input.identity.claims',
  'input.identity.credentials',
  'input.peer',
  'input.network',
  'input.parsed_path',
  'input.parsed_query',
  'input.parsed_body',
  'input.truncated_body',
  'input.version',
  'input.version.encoding',
  'input.version.ext_authz',
]);

/** Texts and lists: that one of them is absent is what `not input.x` asks, and nothing else. */
const NEVER_FALSE: ReadonlySet<string> = new Set([
  'input.request.host',
  'input.request.scheme',
  'input.request.content_type',
  'input.route.tenant',
  'input.route.model',
  'input.route.operation',
  'input.identity.subject',
  'input.identity.issuer',
  'input.identity.tenant',
  'input.identity.tier',
  'input.identity.key_id',
  'input.identity.models',
  'input.peer.spiffe_id',
  'input.peer.trust_domain',
  'input.peer.dns_sans',
  'input.peer.subject',
  'input.peer.fingerprint_sha256',
  'input.network.client_ip',
  'input.network.country',
  'input.network.asn',
  'input.inference',
  'input.inference.model',
  'input.inference.max_tokens',
  'input.inference.candidates',
  'input.inference.estimated_prompt_tokens',
  'input.inference.message_count',
  'input.quota',
  'input.quota.plan',
  'input.attributes',
  'input.source_principal',
]);

/** What is `null` where there is none. */
const NULL_WHERE_NONE: ReadonlySet<string> = new Set(['input.peer', 'input.route', 'input.parsed_body']);

export function mayBeAbsent(path: InputPath): boolean {
  return !ALWAYS.has(path.join('.'));
}

/** Whether it may be `false`, so that `not` does not tell that from its absence. */
export function mayBeFalse(path: InputPath): boolean {
  return mayBeAbsent(path) && !NEVER_FALSE.has(path.join('.'));
}

export function mayBeNull(path: InputPath): boolean {
  const [, member] = path;
  // What bodies and claims hold is the caller's or the issuer's choice.
  return (
    NULL_WHERE_NONE.has(path.join('.')) || member === 'parsed_body' || (member === 'identity' && path[2] === 'claims')
  );
}
