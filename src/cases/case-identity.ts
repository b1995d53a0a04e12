import type { JsonValue } from '../decision/json.ts';
import type { Authentication, Peer, Principal } from '../decision/principal.ts';
import { entries, type Field, fields, flag, text, texts, word } from './case-fields.ts';

const KINDS = ['jwt', 'api_key', 'mtls'] as const;
const REFUSALS = ['invalid_credential', 'issuer_unavailable', 'malformed_request'] as const;

/** Who asks, as identity would have found out: `anonymous`, `{refused: CODE}`, or the fields of a principal. */
export function readIdentity(identity: Field | undefined, peerField: Field | undefined): Authentication {
  const peer = peerField === undefined ? null : readPeer(peerField);
  if (identity === undefined || identity.value === 'anonymous') return { kind: 'anonymous', peer, stripHeaders: [] };
  if (typeof identity.value === 'object' && identity.value !== null && Object.hasOwn(identity.value, 'refused')) {
    const { refused } = fields(identity, ['refused']);
    const code = refused === undefined ? 'invalid_credential' : word(refused, REFUSALS);
    return { kind: 'refused', code, cause: 'the case says so', ...(peer === null ? {} : { peer }) };
  }
  return { kind: 'verified', principal: readPrincipal(identity), peer, stripHeaders: [] };
}

function readPrincipal(field: Field): Principal {
  const given = fields(field, [
    'kind',
    'subject',
    'issuer',
    'tenant',
    'tier',
    'roles',
    'scopes',
    'claims',
    'key_id',
    'models',
    'demo',
  ]);
  const one = <Name extends string>(name: Name, member: Field | undefined) =>
    // One member, by the name that was asked for.
    (member === undefined ? {} : { [name]: text(member) }) as { readonly [name in Name]?: string };
  return {
    kind: given.kind === undefined ? 'jwt' : word(given.kind, KINDS),
    ...one('subject', given.subject),
    ...one('issuer', given.issuer),
    ...one('tenant', given.tenant),
    ...one('tier', given.tier),
    roles: given.roles === undefined ? [] : texts(given.roles),
    scopes: given.scopes === undefined ? [] : texts(given.scopes),
    // What JSON or YAML was read into is a JSON value.
    claims: given.claims === undefined ? {} : (Object.fromEntries(claimsOf(given.claims)) as Principal['claims']),
    ...one('keyId', given.key_id),
    ...(given.models === undefined ? {} : { models: texts(given.models) }),
    credentials: [],
    demo: given.demo === undefined ? false : flag(given.demo),
  };
}

function claimsOf(field: Field): readonly (readonly [string, JsonValue])[] {
  return entries(field).map(([name, { value }]) => [name, value as JsonValue]);
}

function readPeer(field: Field): Peer {
  const given = fields(field, ['spiffe_id', 'trust_domain', 'dns_sans', 'subject', 'fingerprint_sha256']);
  return {
    ...(given.spiffe_id === undefined ? {} : { spiffeId: text(given.spiffe_id) }),
    ...(given.trust_domain === undefined ? {} : { trustDomain: text(given.trust_domain) }),
    dnsSans: given.dns_sans === undefined ? [] : texts(given.dns_sans),
    ...(given.subject === undefined ? {} : { subject: text(given.subject) }),
    ...(given.fingerprint_sha256 === undefined ? {} : { fingerprintSha256: text(given.fingerprint_sha256) }),
  };
}
