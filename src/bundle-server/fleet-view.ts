import type { Shelf } from './catalog.ts';
import type { Instance, InstanceBundle } from './fleet.ts';
import type { ReportedCandidate } from './status-report.ts';

/** `GET /v1/fleet`: which instance runs what, and what is odd about it. Times are RFC 3339. */
export interface FleetView {
  readonly at: string;
  readonly instances: readonly InstanceView[];
  readonly flags: readonly FleetFlag[];
}

export interface InstanceView {
  readonly token: string;
  readonly instance: string;
  readonly labels: { readonly [name: string]: string };
  readonly first_seen: string;
  readonly last_seen: string;
  /** Since it was last heard of. */
  readonly silent_seconds: number;
  readonly bundles: readonly BundleView[];
}

export interface BundleView {
  readonly name: string;
  readonly revision?: string;
  readonly sha256?: string;
  /** `revision`: the instance named no digest, and one published archive alone has that revision. */
  readonly sha256_by?: 'instance' | 'revision';
  readonly version?: number;
  readonly since: string;
  readonly activated_at?: string;
  readonly last_request?: string;
  readonly stale?: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly candidate?: CandidateView;
  readonly history: readonly { readonly revision?: string; readonly sha256?: string; readonly since: string }[];
}

export interface CandidateView {
  readonly sha256: string;
  readonly revision?: string;
  readonly state: string;
  readonly step_percent?: number;
  readonly reason?: string;
  readonly tripped: boolean;
}

/** Something that no honest fleet shows for longer than a change takes. */
export interface FleetFlag {
  readonly kind: 'split_view' | 'unknown_revision' | 'not_promoted' | 'candidate_not_ordered';
  readonly bundle: string;
  readonly detail: string;
  /** `token/instance`, the first few of them. */
  readonly instances: readonly string[];
}

/** Looks over the fleet; only bundles that `covers` accepts are shown. */
export function viewFleet(
  instances: readonly Instance[],
  shelfOf: (bundle: string) => Shelf | undefined,
  covers: (bundle: string) => boolean,
  nowMs: number,
): FleetView {
  const shown = instances.flatMap((instance) => {
    const bundles = [...instance.bundles.values()].filter(({ name }) => covers(name));
    return bundles.length === 0 ? [] : [{ instance, bundles }];
  });
  const flags = createFlags();
  const views = shown.map(({ instance, bundles }) => {
    const who = `${instance.token}/${instance.instance}`;
    return {
      token: instance.token,
      instance: instance.instance,
      labels: instance.labels,
      first_seen: timeOf(instance.firstSeenMs),
      last_seen: timeOf(instance.lastSeenMs),
      silent_seconds: Math.max(0, Math.round((nowMs - instance.lastSeenMs) / 1000)),
      bundles: bundles.map((bundle) => {
        const shelf = shelfOf(bundle.name);
        const view = viewBundle(bundle, shelf);
        if (shelf !== undefined) flagInstance(who, view, bundle, shelf, nowMs, flags);
        return view;
      }),
    };
  });
  return { at: timeOf(nowMs), instances: views, flags: [...flags.all(), ...splitViews(views)] };
}

function viewBundle(bundle: InstanceBundle, shelf: Shelf | undefined): BundleView {
  const { name, revision, activatedAt, lastRequestAt, stale, code, message, candidate } = bundle;
  const derived = bundle.sha256 === undefined ? releaseOf(shelf, revision) : undefined;
  const sha256 = bundle.sha256 ?? derived?.sha256;
  const version = bundle.version ?? derived?.version;
  return {
    name,
    ...(revision === undefined ? {} : { revision }),
    ...(sha256 === undefined
      ? {}
      : { sha256, sha256_by: bundle.sha256 === undefined ? ('revision' as const) : ('instance' as const) }),
    ...(version === undefined ? {} : { version }),
    since: timeOf(bundle.sinceMs),
    ...(activatedAt === undefined ? {} : { activated_at: activatedAt }),
    ...(lastRequestAt === undefined ? {} : { last_request: lastRequestAt }),
    ...(stale === undefined ? {} : { stale }),
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message }),
    ...(candidate === undefined ? {} : { candidate: viewCandidate(candidate) }),
    history: bundle.history.map(({ sinceMs, ...past }) => ({ ...past, since: timeOf(sinceMs) })),
  };
}

function viewCandidate({ stepPercent, ...candidate }: ReportedCandidate): CandidateView {
  return { ...candidate, ...(stepPercent === undefined ? {} : { step_percent: stepPercent }) };
}

/** The one published archive that has this revision. */
function releaseOf(shelf: Shelf | undefined, revision: string | undefined) {
  const found = [...(shelf?.byDigest.values() ?? [])].filter(({ claims }) => claims.revision === revision);
  return found.length === 1 ? found[0]?.claims : undefined;
}

function flagInstance(
  who: string,
  { revision, sha256 }: BundleView,
  { name, candidate }: InstanceBundle,
  shelf: Shelf,
  nowMs: number,
  flags: Flags,
): void {
  if (sha256 !== undefined && !shelf.byDigest.has(sha256)) {
    flags.add('unknown_revision', name, `runs the digest ${sha256}, which was not published here`, who);
  } else if (sha256 === undefined && revision !== undefined && !hasRevision(shelf, revision)) {
    flags.add('unknown_revision', name, `runs the revision ${revision}, which was not published here`, who);
  } else if (sha256 !== undefined && !shelf.promoted.has(sha256) && !shelf.ordered.has(sha256)) {
    flags.add('not_promoted', name, `runs the digest ${sha256}, which nobody promoted or ordered`, who);
  }
  if (candidate === undefined || !IN_TRIAL.has(candidate.state)) return;
  const { order } = shelf.order ?? {};
  const isOrdered =
    order !== undefined &&
    !order.aborted &&
    order.expiresEpochS * 1000 > nowMs &&
    order.candidate.sha256 === candidate.sha256;
  if (!isOrdered) {
    flags.add(
      'candidate_not_ordered',
      name,
      `tries the digest ${candidate.sha256}, which no order in force names`,
      who,
    );
  }
}

/** States of a candidate that live requests meet. */
const IN_TRIAL = new Set(['shadow', 'canary', 'paused']);

function hasRevision({ releases }: Shelf, revision: string): boolean {
  return [...releases.values()].some(({ claims }) => claims.revision === revision);
}

/** One version of a bundle has one digest: two say that somebody shows different instances different things. */
function splitViews(views: readonly InstanceView[]): readonly FleetFlag[] {
  const digests = new Map<string, Map<string, string[]>>();
  for (const { token, instance, bundles } of views) {
    for (const { name, version, revision, sha256, sha256_by: by } of bundles) {
      if (sha256 === undefined || by !== 'instance') continue;
      const what = version === undefined ? `revision ${revision ?? ''}` : `version ${version}`;
      const key = `${name}\n${what}`;
      const found = digests.get(key) ?? new Map<string, string[]>();
      digests.set(key, found);
      found.set(sha256, [...(found.get(sha256) ?? []), `${token}/${instance}`]);
    }
  }
  return [...digests].flatMap(([key, found]) => {
    if (found.size < 2) return [];
    const [bundle = '', what = ''] = key.split('\n');
    const detail = `${what} has ${found.size} digests: ${[...found.keys()].sort().join(', ')}`;
    const fewest = [...found.values()].sort((a, b) => a.length - b.length)[0] ?? [];
    return [{ kind: 'split_view' as const, bundle, detail, instances: fewest.slice(0, MAX_NAMED) }];
  });
}

interface Flags {
  add(kind: FleetFlag['kind'], bundle: string, detail: string, who: string): void;
  all(): readonly FleetFlag[];
}

const MAX_NAMED = 10;

function createFlags(): Flags {
  const found = new Map<string, { kind: FleetFlag['kind']; bundle: string; detail: string; instances: string[] }>();
  return {
    add: (kind, bundle, detail, who) => {
      const key = `${kind}\n${bundle}\n${detail}`;
      const flag = found.get(key) ?? { kind, bundle, detail, instances: [] };
      found.set(key, flag);
      if (flag.instances.length < MAX_NAMED) flag.instances.push(who);
    },
    all: () => [...found.values()],
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
