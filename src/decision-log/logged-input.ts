import type { AccessRequest } from '../decision/access-request.ts';
import type { Outcome, PayloadSize } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { quoteSafe } from '../telemetry/json-line.ts';
import { type AllowList, allowed, WHOLE } from './allow-list.ts';
import type { EventCopy, Origin } from './event-copy.ts';
import { createKnownPlaces } from './known-places.ts';
import { loggableMembers } from './loggable.ts';
import { LoggedLimits } from './logged-limits.ts';
import { quotaMembers, writeQuota } from './logged-quota.ts';

export type LoggedInput = (outcome: Outcome, copy: EventCopy, isConstant: IsConstant) => string;

/** Compiles what the allow-list keeps of the input; the result writes it of an outcome as JSON, evaluating nothing again. */
export function compileInput(list: AllowList): LoggedInput {
  const sections = SECTIONS.flatMap((section) => {
    const kept = list.get(section.name);
    if (kept === undefined) return [];
    const members = keptMembers(section.name, kept);
    return [{ ...section, kept: members, write: writerOf(section.name, members) }];
  });
  const [request, ...others] = sections;
  if (request === undefined || !isOpenToSize(request)) return (...of) => `{${writeSections(sections, '', of)}}`;

  const sizeless = { ...request, kept: request.kept.slice(0, -1) };
  const placed = others.filter(({ name }) => !VARIED.has(name));
  const varied = others.filter(({ name }) => VARIED.has(name));
  const places = createKnownPlaces();
  return (...of) => {
    const [outcome, copy] = of;
    const principal = copy.presentedOnlyBy;
    if (principal === undefined) return `{${writeSections(sections, '', of)}}`;
    const known = places.find(principal, outcome);
    if (known !== undefined && outcome.inspected?.kind === 'inspected') {
      const json = `${known.request},"size":${writeSize(outcome.inspected.size)}}${known.others}`;
      return `{${writeSections(varied, json, of)}}`;
    }
    const noted = copy.erased.length + copy.masked.length;
    const json = writeSections(placed, writeSections([request], '', of), of);
    // What was masked or left out here is noted in every event, and so written anew.
    if (copy.erased.length + copy.masked.length === noted) {
      places.add(principal, outcome, () => ({
        // Without the brace that closes it; a request has a method.
        request: writeSections([sizeless], '', of).slice(0, -1),
        others: writeSections(placed, '{}', of).slice(2),
      }));
    }
    return `{${writeSections(varied, json, of)}}`;
  };
}

/** Sections that differ between requests for one place; they stand last. */
const VARIED: ReadonlySet<string> = new Set(['network', 'inference', 'quota']);

/** Whether the size comes last, whole, after what every request has. */
function isOpenToSize({ name, kept }: CompiledSection): boolean {
  const last = kept.at(-1);
  return name === 'request' && kept[0]?.member === 'method' && last?.member === 'size' && last.list === WHOLE;
}

/** As the inspector makes it; both of its shapes are numbers and flags. */
function writeSize(size: PayloadSize): string {
  return size.known ? `{"known":true,"bytes":${size.bytes}}` : `{"known":false,"at_least":${size.at_least}}`;
}

/** Adds the sections that there are to those in writing. */
function writeSections(sections: readonly WritableSection[], before: string, of: Parameters<LoggedInput>): string {
  const [outcome, copy, isConstant] = of;
  let json = before;
  for (const section of sections) {
    const written = section.write(section, outcome, copy, isConstant);
    if (written !== undefined) json += `${json === '' ? '' : ','}"${section.name}":${written}`;
  }
  return json;
}

interface WritableSection extends CompiledSection {
  readonly write: WriteSection;
}

interface CompiledSection extends Section {
  readonly kept: readonly KeptMember[];
}

type WriteSection = (
  section: CompiledSection,
  outcome: Outcome,
  copy: EventCopy,
  isConstant: IsConstant,
) => string | undefined;

function writeSection(
  { members, kept, origin }: CompiledSection,
  outcome: Outcome,
  copy: EventCopy,
  isConstant: IsConstant,
): string | undefined {
  const found = members(outcome, copy, isConstant);
  return found === undefined ? undefined : writeMembers(found, kept, origin, copy);
}

function writerOf(section: string, kept: readonly KeptMember[]): WriteSection {
  if (section === 'identity') return createWriteIdentity();
  if (section !== 'quota' || kept.length < QUOTA_MEMBERS || kept.some(({ list }) => list !== WHOLE))
    return writeSection;
  return (_, ...of) => writeQuota(...of);
}

const QUOTA_MEMBERS = [...loggableMembers('quota')].length;

/** Writes the identity once for all requests of a verified credential that presented nothing else. */
function createWriteIdentity(): WriteSection {
  const known = new WeakMap<Principal, string>();
  return (section, outcome, copy, isConstant) => {
    const principal = copy.presentedOnlyBy;
    if (principal === undefined) return writeSection(section, outcome, copy, isConstant);
    const before = known.get(principal);
    if (before !== undefined) return before;
    const noted = copy.erased.length + copy.masked.length;
    const written = writeSection(section, outcome, copy, isConstant);
    // What was masked or left out here is noted in every event, and so written anew.
    if (written !== undefined && copy.erased.length + copy.masked.length === noted) known.set(principal, written);
    return written;
  };
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
  { name: 'identity', origin: 'verified', members: ({ principal }) => identityMembers(principal) },
  { name: 'peer', origin: 'verified', members: peerMembers },
  { name: 'network', origin: 'verified', members: ({ inspected }) => toMembers(inspected?.network) },
  {
    name: 'inference',
    origin: 'caller',
    members: ({ inspected }) => (inspected?.kind === 'inspected' ? toMembers(inspected.inference) : undefined),
  },
  { name: 'quota', origin: 'verified', members: quotaMembers },
];

interface KeptMember {
  readonly member: string;
  /** Its name as it stands in JSON, the colon included. */
  readonly key: string;
  readonly list: AllowList | typeof WHOLE;
  readonly pointer: string;
  readonly rule: 'path' | 'trusted' | 'value';
}

function keptMembers(section: string, kept: AllowList | typeof WHOLE): readonly KeptMember[] {
  return [...loggableMembers(section)].flatMap((member) => {
    const list = allowed(kept, member);
    if (list === undefined) return [];
    return [
      { member, key: `"${member}":`, list, pointer: `/input/${section}/${member}`, rule: ruleOf(section, member) },
    ];
  });
}

function ruleOf(section: string, member: string): KeptMember['rule'] {
  // The route's name comes from the bundle: nobody can have it masked by presenting it as a credential.
  if (section === 'route' && member === 'name') return 'trusted';
  return section === 'request' && (member === 'path' || member === 'raw_path') ? 'path' : 'value';
}

const MAX_PATH = 512;

function writeMembers(
  members: Members,
  kept: readonly KeptMember[],
  origin: Origin,
  copy: EventCopy,
): string | undefined {
  let json = '';
  for (const { member, key, list, pointer, rule } of kept) {
    const value = members[member];
    if (value === undefined) continue;
    const written = writeMember(value, list, pointer, rule, origin, copy);
    if (written !== undefined) json += (json === '' ? '{' : ',') + key + written;
  }
  return json === '' ? undefined : `${json}}`;
}

function writeMember(
  value: unknown,
  list: AllowList | typeof WHOLE,
  pointer: string,
  rule: KeptMember['rule'],
  origin: Origin,
  copy: EventCopy,
): string | undefined {
  if (rule !== 'value' && typeof value === 'string') {
    return quoteSafe(rule === 'trusted' ? value : copy.text(value, pointer, origin, MAX_PATH));
  }
  if (value instanceof LoggedLimits) {
    return list === WHOLE ? value.write() : copy.value(value.toObject(), list, pointer, origin);
  }
  return copy.value(value, list, pointer, origin);
}

/** As in `input.identity`, without claims and credentials, which are never logged. */
function identityMembers(principal: Outcome['principal']): Members {
  if (principal === undefined) return ANONYMOUS;
  const { kind, subject, issuer, tenant, tier, roles, scopes, keyId, models } = principal;
  return { kind, subject, issuer, tenant, tier, roles, scopes, key_id: keyId, models };
}

const ANONYMOUS: Members = { kind: 'anonymous', roles: [], scopes: [] };

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
  const { spiffeId, trustDomain, dnsSans, fingerprintSha256, subject } = peer;
  return {
    spiffe_id: spiffeId,
    trust_domain: trustDomain,
    dns_sans: dnsSans,
    fingerprint_sha256: fingerprintSha256,
    subject,
  };
}

/** Interfaces have no index signature; their members are read by name all the same. */
function toMembers(value: object | undefined): Members | undefined {
  return value as Members | undefined;
}
