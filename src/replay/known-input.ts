import type { Fields, RecordedDecision } from './recorded-event.ts';

/** Why an event does not tell what a policy may read at a path of `input`. */
export interface Ignorance {
  readonly why: 'never_logged' | 'not_logged' | 'masked' | 'cut' | 'not_told';
  /** As in `decision_log.input`. */
  readonly path: string;
}

/** Whether the config that the log was written under keeps all of a path; without a config nothing is known to be kept. */
export type LogsPath = (path: readonly string[]) => 'logged' | 'not_logged' | 'never_logged';

/** What is settled before paths are asked for. */
export interface Settled {
  /** Whether the route came of the table, so that every member of it is known. */
  readonly route: boolean;
  /** Whether the route reads the body; without that there is no `inference`. */
  readonly readsBody: boolean;
}

/** The first of {@link ignorancesOf}. */
export function ignoranceOf(
  event: RecordedDecision,
  path: string,
  settled: Settled,
  logs: LogsPath,
): Ignorance | undefined {
  return ignorancesOf(event, path, settled, logs)[0];
}

/**
 * What an event does not tell of a path of `input`, each member by itself where the path is a whole part. A member that is
 * not in the event was either absent or not logged: only the config's allow-list, or what the core promises, tells which.
 */
export function ignorancesOf(
  event: RecordedDecision,
  path: string,
  settled: Settled,
  logs: LogsPath,
): readonly Ignorance[] {
  const [section = '', ...rest] = path.split('.');
  // What was taken is judged anew, and the version is a constant.
  if (section === 'version' || section === 'quota') return [];
  const members = MEMBERS.get(section);
  if (members === undefined) return [{ why: 'never_logged', path }];
  if (section === 'route' && settled.route) return [];
  if (section === 'inference' && !settled.readsBody) return [];
  // What the core never puts there is absent for certain.
  if (rest[0] !== undefined && !members.includes(rest[0])) return [];
  const own = ['input', section, ...rest];
  if (event.touched.length >= MAX_NOTED || event.touched.some((touched) => overlap(touched, own))) {
    return [{ why: 'masked', path }];
  }
  return (rest.length === 0 ? members : [rest[0] ?? '']).flatMap(
    (member) => memberIgnorance(event, [section, member, ...rest.slice(1)], logs) ?? [],
  );
}

/** Every member that the core can put into a part of `input`. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['request', ['method', 'path', 'host', 'scheme', 'content_type', 'size']],
  ['route', ['name', 'tenant', 'model', 'operation', 'params']],
  [
    'identity',
    [
      ...['kind', 'subject', 'issuer', 'tenant', 'tier', 'roles', 'scopes'],
      ...['claims', 'key_id', 'models', 'credentials'],
    ],
  ],
  ['peer', ['spiffe_id', 'trust_domain', 'dns_sans', 'subject', 'fingerprint_sha256']],
  ['network', ['client_ip', 'country', 'asn']],
  ['inference', ['model', 'stream', 'max_tokens', 'candidates', 'estimated_prompt_tokens', 'message_count']],
]);

/** An event notes no more pointers than this, so that one which has so many may have left out more. */
const MAX_NOTED = 64;

function overlap(one: readonly string[], other: readonly string[]): boolean {
  const shorter = Math.min(one.length, other.length);
  for (let at = 0; at < shorter; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

function memberIgnorance(event: RecordedDecision, path: readonly string[], logs: LogsPath): Ignorance | undefined {
  const [section = ''] = path;
  const holder = fieldsOf(event.input[section]);
  if (impliedBy(path, holder, logs)) return undefined;
  let value: unknown = holder;
  for (const member of path.slice(1)) value = fieldsOf(value)?.[member];
  if (isCut(value)) return { why: 'cut', path: path.join('.') };
  // Of an object there may be a part in the event; of all else there is the whole.
  const isPart = value === undefined || fieldsOf(value) !== undefined;
  const kept = isPart ? logs(path) : 'logged';
  return kept === 'logged' ? undefined : { why: kept, path: path.join('.') };
}

/** What follows from other members, by what the core promises of every principal and every peer. */
function impliedBy([section, member]: readonly string[], holder: Fields | undefined, logs: LogsPath): boolean {
  if (section === 'identity') {
    if (holder?.['kind'] === 'anonymous') return true;
    // Only API keys are bound to models, and their id is in `key_id`, also beside a token.
    const isKeyless = holder?.['kind'] !== undefined && holder['kind'] !== 'api_key' && holder['key_id'] === undefined;
    return member === 'models' && isKeyless && logs(['identity', 'key_id']) === 'logged';
  }
  if (section !== 'peer') return false;
  // A peer has a list of DNS names, be it empty, so that one that is logged without a list is none.
  if (holder === undefined) return logs(['peer', 'dns_sans']) === 'logged';
  const { spiffe_id: spiffeId, dns_sans: dnsSans } = holder;
  // The subject is told only where it is all that there is.
  return member === 'subject' && (spiffeId !== undefined || (Array.isArray(dnsSans) && dnsSans.length > 0));
}

/** A text, or one in a list or an object, that the log cut; so is what merely looks like it. */
export function isCut(value: unknown): boolean {
  if (typeof value === 'string') return value.length >= SHORTEST_CUT && value.endsWith('…');
  if (Array.isArray(value)) return value.some(isCut);
  const fields = fieldsOf(value);
  return fields !== undefined && Object.values(fields).some(isCut);
}

const SHORTEST_CUT = 128;

/** The members of an object; `undefined` for all that is none. */
export function fieldsOf(value: unknown): Fields | undefined {
  // An object that is no list has members, of whatever type.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}
