import type { AccessRequest } from '../decision/access-request.ts';
import type { Instant } from '../decision/ports.ts';
import type { Authentication, Peer, Principal } from '../decision/principal.ts';
import type { CredentialMethod, Found } from './credential-method.ts';
import { toMtlsPrincipal } from './mtls-principal.ts';
import { refuseToken } from './token-refusal.ts';

/** Asks several methods about one request; waits only where one of them has to. */
export function askAll(
  methods: readonly CredentialMethod[],
  request: AccessRequest,
  at: Instant,
  peer: Peer | null,
): Found | Promise<Found> {
  const results = methods.map((method) => attempt(method, request, at, peer));
  if (allKnown(results)) return combine(results);
  return Promise.all(results.map((one) => Promise.resolve(one))).then(combine);
}

/** Who asks, of what the credentials and the certificate together say. */
export function withPeer(found: Found, peer: Peer | null): Authentication {
  if (peer === null) return found ?? ANONYMOUS;
  if (found !== undefined) return { ...found, peer };
  const principal = toMtlsPrincipal(peer);
  if (principal === undefined) return { ...ANONYMOUS, peer };
  return { kind: 'verified', principal, peer, stripHeaders: NOTHING };
}

/** The same for an answer that is waited for; a function of its own, so that the others pay for no closure. */
export function withPeerLater(
  found: Promise<Found>,
  request: AccessRequest,
  peer: Peer | null,
): Promise<Authentication> {
  return found.then((late) => withPeer(withoutUnclaimed(late, request), peer));
}

/**
 * Refuses a request whose `Authorization` holds a token (`Bearer`, `DPoP`) that no method took: whoever presents one is
 * not anonymous, and what nobody judged does not go on to the upstream beside a credential that holds.
 */
export function withoutUnclaimed(found: Found, { headers }: AccessRequest): Found {
  if (found?.kind === 'refused') return found;
  if (found?.principal.credentials.some(({ header }) => header === 'authorization') === true) return found;
  if (!headers.all('authorization').some((value) => HOLDS_TOKEN.test(value))) return found;
  return refuseToken('the token in `authorization` is of no kind that is accepted');
}

/** Anywhere a credential can begin: Envoy joins repeated headers with a comma. */
const HOLDS_TOKEN = /(?:^|,)\s*(?:bearer|dpop)(?:[\s,]|$)/i;

const NOTHING: readonly string[] = Object.freeze([]);
const ANONYMOUS = Object.freeze({ kind: 'anonymous' as const, peer: null, stripHeaders: NOTHING });

function allKnown(results: readonly (Found | Promise<Found>)[]): results is readonly Found[] {
  return !results.some((one) => one instanceof Promise);
}

/** So that one method's bug is not met while another's answer, which nobody would wait for, is still to come. */
function attempt(
  method: CredentialMethod,
  request: AccessRequest,
  at: Instant,
  peer: Peer | null,
): Found | Promise<Found> {
  try {
    return method.authenticate(request, at, peer);
  } catch (error) {
    return Promise.reject(error);
  }
}

function combine(results: readonly Found[]): Found {
  const presented = results.filter((found) => found !== undefined);
  const refused = presented.find((found) => found.kind === 'refused');
  if (refused !== undefined) return refused;
  const verified = presented.filter((found) => found.kind === 'verified');
  const [first, second, ...more] = verified;
  if (first === undefined || second === undefined) return first;
  if (more.length > 0) return refuse('more than two credentials');
  const jwt = verified.find(({ principal }) => principal.kind === 'jwt');
  const key = verified.find(({ principal }) => principal.kind === 'api_key');
  if (jwt === undefined || key === undefined) return refuse('two credentials that do not go together');
  const principal = join(jwt.principal, key.principal);
  if (principal === undefined) return refuse('an API key and a token that do not go together');
  return {
    kind: 'verified',
    principal,
    peer: null,
    stripHeaders: [...new Set([...jwt.stripHeaders, ...key.stripHeaders])],
  };
}

/**
 * One principal of a token and an API key: who asks is the token's word, and what the key limits stays limited.
 * `undefined` unless both name the same tenant. A token that was had for a key goes with none: beside its own it proves
 * nothing more, and must not pass for the two credentials that a route asks for.
 */
function join(jwt: Principal, key: Principal): Principal | undefined {
  if (jwt.tenant === undefined || jwt.tenant !== key.tenant) return undefined;
  if (jwt.keyId !== undefined) return undefined;
  const tier = jwt.tier ?? key.tier;
  const models = jwt.models === undefined ? key.models : shared(jwt.models, key.models);
  return {
    ...jwt,
    ...(tier === undefined ? {} : { tier }),
    ...(key.keyId === undefined ? {} : { keyId: key.keyId }),
    ...(models === undefined ? {} : { models }),
    credentials: [...jwt.credentials, ...key.credentials],
    demo: jwt.demo || key.demo,
  };
}

function shared(models: readonly string[], others: readonly string[] | undefined): readonly string[] {
  return others === undefined ? models : models.filter((model) => others.includes(model));
}

function refuse(cause: string): Found {
  return { kind: 'refused', code: 'invalid_credential', cause };
}
