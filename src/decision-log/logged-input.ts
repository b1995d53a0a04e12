import type { AccessRequest } from '../decision/access-request.ts';
import type { LimitState } from '../decision/charges.ts';
import { identityInput } from '../decision/input.ts';
import type { Outcome } from '../decision/ports.ts';
import { type AllowList, allowed, type WHOLE } from './allow-list.ts';
import type { EventCopy, Origin } from './event-copy.ts';
import { isLoggable } from './loggable.ts';
import type { LoggedObject } from './mask.ts';

/** What the allow-list keeps of the input, built from the outcome's parts without evaluating anything again. */
export function loggedInput(outcome: Outcome, list: AllowList, copy: EventCopy, isConstant: IsConstant): LoggedObject {
  const input: LoggedObject = Object.create(null);
  for (const { name, origin, members } of SECTIONS) {
    const kept = list.get(name);
    if (kept === undefined) continue;
    const logged = loggedSection(name, members(outcome, copy, isConstant), kept, origin, copy);
    if (logged !== undefined) input[name] = logged;
  }
  return input;
}

type IsConstant = (text: string) => boolean;
type Members = { readonly [member: string]: unknown };

interface Section {
  readonly name: string;
  readonly origin: Origin;
  readonly members: (outcome: Outcome, copy: EventCopy, isConstant: IsConstant) => Members | undefined;
}

const SECTIONS: readonly Section[] = [
  { name: 'request', origin: 'caller', members: requestMembers },
  { name: 'route', origin: 'caller', members: routeMembers },
  { name: 'identity', origin: 'verified', members: ({ principal }) => identityInput(principal) },
  { name: 'peer', origin: 'verified', members: peerMembers },
  { name: 'network', origin: 'verified', members: ({ inspected }) => toMembers(inspected?.network) },
  {
    name: 'inference',
    origin: 'caller',
    members: ({ inspected }) => (inspected?.kind === 'inspected' ? toMembers(inspected.inference) : undefined),
  },
  { name: 'quota', origin: 'verified', members: quotaMembers },
];

function loggedSection(
  section: string,
  members: Members | undefined,
  kept: AllowList | typeof WHOLE,
  origin: Origin,
  copy: EventCopy,
): LoggedObject | undefined {
  if (members === undefined) return undefined;
  const logged: LoggedObject = Object.create(null);
  let count = 0;
  for (const [member, value] of Object.entries(members)) {
    const list = allowed(kept, member);
    if (list === undefined || value === undefined || !isLoggable(section, member)) continue;
    const copied = loggedMember(section, member, value, list, origin, copy);
    if (copied === undefined) continue;
    logged[member] = copied;
    count += 1;
  }
  return count === 0 ? undefined : logged;
}

const MAX_PATH = 512;

function loggedMember(
  section: string,
  member: string,
  value: unknown,
  list: AllowList | typeof WHOLE,
  origin: Origin,
  copy: EventCopy,
): unknown {
  const pointer = `/input/${section}/${member}`;
  if (section === 'request' && typeof value === 'string') return copy.text(value, pointer, origin, MAX_PATH);
  // The route's name comes from the bundle: nobody can have it masked by presenting it as a credential.
  if (section === 'route' && member === 'name') return value;
  return copy.value(value, list, pointer, origin);
}

function requestMembers({ request, inspected }: Outcome): Members | undefined {
  if ('unreadable' in request) return undefined;
  const { method, scheme } = request;
  if (inspected?.kind === 'inspected') {
    const { path, host, contentType, size } = inspected;
    return { method, path, host, scheme, content_type: contentType, size };
  }
  return { method, path: inspected?.path, raw_path: rawPath(request, inspected?.path), host: request.host, scheme };
}

/** What a request that was refused before its path was known asked for; never its query, however it is written. */
function rawPath({ target }: AccessRequest, path: string | undefined): string | undefined {
  if (path !== undefined || !target.startsWith('/')) return undefined;
  const bounded = target.length > MAX_RAW_PATH ? target.slice(0, MAX_RAW_PATH) : target;
  const end = bounded.search(QUERY_START);
  return end === -1 ? bounded : bounded.slice(0, end);
}

const MAX_RAW_PATH = 2048;
/** `?`, `#`, `;`, also percent-encoded once or more often. */
const QUERY_START = /[?#;]|%(?:25){0,8}(?:3f|23|3b)/i;

function routeMembers({ inspected }: Outcome): Members | undefined {
  if (inspected?.kind === 'refused') return inspected.route === undefined ? undefined : { name: inspected.route };
  if (inspected?.route === null || inspected === undefined) return undefined;
  const { name, tenant, model, operation, params } = inspected.route;
  return { name, tenant, model, operation, params };
}

function peerMembers({ peer }: Outcome): Members | undefined {
  if (peer === undefined) return undefined;
  const { spiffeId, trustDomain, dnsSans, fingerprintSha256 } = peer;
  return { spiffe_id: spiffeId, trust_domain: trustDomain, dns_sans: dnsSans, fingerprint_sha256: fingerprintSha256 };
}

/** Names and units of limits are made by policy: logged where they are its constants or named by the route's data. */
function quotaMembers({ quota, inspected }: Outcome, copy: EventCopy, isConstant: IsConstant): Members | undefined {
  if (quota === undefined) return undefined;
  const required = inspected?.kind === 'inspected' ? inspected.route?.requiredLimits : undefined;
  const isKnown = (text: string): boolean => required?.includes(text) === true || isConstant(text);
  const limits: { [name: string]: unknown } = Object.create(null);
  for (const [name, state] of Object.entries(quota.limits).slice(0, MAX_LIMITS)) {
    if (isKnown(name)) limits[name] = limitMembers(state, isKnown);
    else copy.erase('/input/quota/limits');
  }
  return { plan: quota.plan, taken: quota.taken, limits };
}

const MAX_LIMITS = 16;
const LIMIT_KINDS = new Set(['rate', 'window', 'concurrency']);

function limitMembers(state: LimitState, isKnown: (text: string) => boolean): Members {
  return {
    ...state,
    kind: LIMIT_KINDS.has(state.kind) ? state.kind : undefined,
    unit: isKnown(state.unit) ? state.unit : undefined,
  };
}

/** Interfaces have no index signature; their members are read by name all the same. */
function toMembers(value: object | undefined): Members | undefined {
  return value as Members | undefined;
}
