/**
 * The members of `input` that may be logged at all. Not among them, whatever config says: bodies, queries, claims,
 * metadata, header values and credentials.
 */
const LOGGABLE: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['request', new Set(['method', 'path', 'raw_path', 'host', 'scheme', 'content_type', 'size'])],
  ['route', new Set(['name', 'tenant', 'model', 'operation', 'params'])],
  ['identity', new Set(['kind', 'subject', 'issuer', 'tenant', 'tier', 'roles', 'scopes', 'key_id', 'models'])],
  ['peer', new Set(['spiffe_id', 'trust_domain', 'dns_sans', 'fingerprint_sha256', 'subject'])],
  ['network', new Set(['client_ip', 'country', 'asn'])],
  ['inference', new Set(['model', 'stream', 'max_tokens', 'candidates', 'estimated_prompt_tokens', 'message_count'])],
  ['quota', new Set(['plan', 'taken', 'limits'])],
]);

/** The members of one part of `input` that may be logged at all, whatever the allow-list says. */
export function loggableMembers(section: string): Iterable<string> {
  return LOGGABLE.get(section) ?? [];
}

/** What of `input` is logged unless config says otherwise. */
export const DEFAULT_INPUT: readonly string[] = [
  'request.method',
  'request.path',
  'request.raw_path',
  'request.host',
  'request.size',
  'route.*',
  'identity.kind',
  'identity.subject',
  'identity.issuer',
  'identity.tenant',
  'identity.tier',
  'identity.roles',
  'identity.key_id',
  'identity.models',
  'peer.spiffe_id',
  'peer.dns_sans',
  'peer.subject',
  'network.*',
  'inference.model',
  'inference.stream',
  'inference.max_tokens',
  'inference.candidates',
  'inference.estimated_prompt_tokens',
  'inference.message_count',
  'quota.*',
];

/** What of a policy's result is logged unless config says otherwise; of header maps only names, never values. */
export const DEFAULT_RESULT: readonly string[] = [
  'allow',
  'allowed',
  'status',
  'http_status',
  'reasons',
  'headers',
  'response_headers',
  'response_headers_to_add',
  'remove_headers',
  'request_headers_to_remove',
];

/** Why a path cannot be in `decision_log.input`, `undefined` when it can. */
export function inputPathFault(path: string): string | undefined {
  const [section = '', member] = path.split('.');
  const members = LOGGABLE.get(section);
  if (members === undefined) {
    return `\`${path}\` is never logged: name a member of ${[...LOGGABLE.keys()].join(', ')}`;
  }
  if (member === undefined || member === '*' || members.has(member)) return undefined;
  return `\`${path}\` is never logged: \`${section}\` has ${[...members].join(', ')}`;
}

/** Why a path cannot be in `decision_log.result`, `undefined` when it can. */
export function resultPathFault(path: string): string | undefined {
  const [member] = path.split('.');
  if (member === '*') return 'a result is never logged whole: name its members';
  if (member === 'body') return 'a body is never logged: remove `body`';
  return undefined;
}
