import { isObject } from '../decision/json.ts';

/** What one instance says of itself: OPA's status document (OPA documentation, "Status Service"), and our additions. */
export interface StatusReport {
  readonly instance: string;
  readonly labels: { readonly [name: string]: string };
  readonly bundles: readonly ReportedBundle[];
}

export interface ReportedBundle {
  readonly name: string;
  readonly revision?: string;
  /** Only Sallyport's agents say it. */
  readonly sha256?: string;
  readonly version?: number;
  /** RFC 3339, by the instance's own clock. */
  readonly activatedAt?: string;
  readonly lastRequestAt?: string;
  readonly stale?: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly candidate?: ReportedCandidate;
}

export interface ReportedCandidate {
  readonly sha256: string;
  readonly revision?: string;
  readonly state: string;
  readonly stepPercent?: number;
  readonly reason?: string;
  /** Whether a guard rail tripped. */
  readonly tripped: boolean;
}

/**
 * Reads a status document; whatever is not understood of it is left out, and only bundles that `isOurs` accepts count.
 * `undefined`: it does not say whose it is.
 */
export function parseStatusReport(
  members: { readonly [name: string]: unknown },
  isOurs: (bundle: string) => boolean,
): StatusReport | undefined {
  const own = objectIn(members, 'sallyport');
  const labels = labelsOf(objectIn(members, 'labels'));
  const instance = textIn(own, 'instance_id', INSTANCE_CHARACTERS) ?? labels['id'];
  if (instance === undefined || !INSTANCE.test(instance)) return undefined;
  const plain = objectIn(members, 'bundles');
  const ours = objectIn(own, 'bundles');
  const names = new Set([...Object.keys(plain), ...Object.keys(ours)]);
  const bundles = [...names]
    .filter(isOurs)
    .slice(0, MAX_BUNDLES)
    .map((name) => bundleOf(name, objectIn(plain, name), objectIn(ours, name)));
  return { instance, labels, bundles };
}

const INSTANCE_CHARACTERS = 128;
const INSTANCE = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const MAX_BUNDLES = 64;
const MAX_LABELS = 16;
const MAX_TEXT = 256;

type Members = { readonly [name: string]: unknown };

function bundleOf(name: string, plain: Members, own: Members): ReportedBundle {
  const version = own['version'];
  const stale = own['stale'];
  return {
    name,
    ...present('revision', textIn(plain, 'active_revision')),
    ...present('sha256', digestIn(own)),
    ...(typeof version === 'number' && Number.isSafeInteger(version) ? { version } : {}),
    ...present('activatedAt', timeIn(own, 'activated_at') ?? timeIn(plain, 'last_successful_activation')),
    ...present('lastRequestAt', timeIn(plain, 'last_successful_request') ?? timeIn(plain, 'last_request')),
    ...(typeof stale === 'boolean' ? { stale } : {}),
    ...present('code', textIn(plain, 'code')),
    ...present('message', textIn(plain, 'message')),
    ...present('candidate', candidateOf(objectIn(own, 'candidate'))),
  };
}

function candidateOf(candidate: Members): ReportedCandidate | undefined {
  const sha256 = digestIn(candidate);
  const state = textIn(candidate, 'state');
  if (sha256 === undefined || state === undefined) return undefined;
  const percent = candidate['step_percent'];
  const trips = candidate['trips'];
  return {
    sha256,
    state,
    ...present('revision', textIn(candidate, 'revision')),
    ...(typeof percent === 'number' && percent >= 0 && percent <= 100 ? { stepPercent: percent } : {}),
    ...present('reason', textIn(candidate, 'reason')),
    tripped: trips === true || (typeof trips === 'number' && trips > 0) || (Array.isArray(trips) && trips.length > 0),
  };
}

function labelsOf(labels: Members): { readonly [name: string]: string } {
  const texts = Object.keys(labels)
    .slice(0, MAX_LABELS)
    .flatMap((name) => {
      const value = textIn(labels, name);
      return value === undefined || name.length > 63 ? [] : [[name, value] as const];
    });
  return Object.assign(Object.create(null), Object.fromEntries(texts));
}

function objectIn(members: Members, name: string): Members {
  const value = Object.hasOwn(members, name) ? members[name] : undefined;
  return isObject(value) ? value : NOTHING;
}

const NOTHING: Members = Object.freeze(Object.create(null));

/** Cut where it is too long; what terminals obey is taken out where it is shown. */
function textIn(members: Members, name: string, max = MAX_TEXT): string | undefined {
  const value = Object.hasOwn(members, name) ? members[name] : undefined;
  return typeof value === 'string' && value !== '' ? value.slice(0, max) : undefined;
}

function digestIn(members: Members): string | undefined {
  const text = textIn(members, 'sha256');
  return text !== undefined && SHA256.test(text) ? text : undefined;
}

/** The zero time of Go stands for never. */
function timeIn(members: Members, name: string): string | undefined {
  const ms = Date.parse(textIn(members, name) ?? '');
  return ms > 0 ? new Date(ms).toISOString() : undefined;
}

function present<K extends string, V>(key: K, value: V | undefined): { readonly [name in K]?: V } {
  // The one member is of that name and that type.
  return value === undefined ? {} : ({ [key]: value } as { readonly [name in K]?: V });
}
