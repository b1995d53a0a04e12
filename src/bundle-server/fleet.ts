import type { Clock } from '../decision/ports.ts';
import type { ReportedBundle, StatusReport } from './status-report.ts';

/** One instance, by what it said last. */
export interface Instance {
  /** The name of the token it reported with: nobody else can speak for it. */
  readonly token: string;
  readonly instance: string;
  readonly labels: { readonly [name: string]: string };
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly bundles: ReadonlyMap<string, InstanceBundle>;
}

export interface InstanceBundle extends ReportedBundle {
  /** When this server first heard of this revision and digest from the instance, in epoch milliseconds. */
  readonly sinceMs: number;
  /** What it ran before, the newest first. */
  readonly history: readonly PastRevision[];
}

export interface PastRevision {
  readonly revision?: string;
  readonly sha256?: string;
  readonly sinceMs: number;
}

/** What the instances of a fleet said, bounded: in memory only, since they say it again. */
export interface Fleet {
  /** `full`: too many instances report with this token, or at all. */
  report(token: string, report: StatusReport): 'taken' | 'full';
  instances(): readonly Instance[];
  /** Which instances say that a guard rail tripped on that candidate: `token/instance`, sorted. */
  trips(bundle: string, sha256: string): readonly string[];
}

export interface FleetPorts {
  readonly clock: Clock;
  readonly maxInstances: number;
  readonly maxInstancesPerToken: number;
  readonly forgetAfterMs: number;
  /** Told of a bundle of which somebody's trips changed. */
  readonly onTrips: (bundle: string) => void;
}

export function createFleet(ports: FleetPorts): Fleet {
  const { clock, maxInstances, maxInstancesPerToken, forgetAfterMs, onTrips } = ports;
  /** Instances by token and then by their own name, the longest silent first. */
  const byToken = new Map<string, Map<string, Instance>>();
  let count = 0;

  function forget(nowMs: number): void {
    for (const instances of byToken.values()) {
      for (const [name, { lastSeenMs }] of instances) {
        if (nowMs - lastSeenMs <= forgetAfterMs) break;
        instances.delete(name);
        count -= 1;
      }
    }
  }

  /** Whether there is room for one more; one that has been silent for long makes room. */
  function hasRoom(instances: Map<string, Instance>, nowMs: number): boolean {
    if (instances.size < maxInstancesPerToken && count < maxInstances) return true;
    const [oldest] = instances.values();
    if (oldest === undefined || nowMs - oldest.lastSeenMs < SILENT_MS) return false;
    instances.delete(oldest.instance);
    count -= 1;
    return true;
  }

  return {
    report: (token, report) => {
      const nowMs = clock.now().epochMs;
      forget(nowMs);
      const instances = byToken.get(token) ?? new Map<string, Instance>();
      byToken.set(token, instances);
      const known = instances.get(report.instance);
      if (known === undefined && !hasRoom(instances, nowMs)) return 'full';
      if (known === undefined) count += 1;
      const bundles = new Map(
        report.bundles.map((bundle) => [bundle.name, follow(known?.bundles.get(bundle.name), bundle, nowMs)]),
      );
      // Put at the end: the order is that of when they were last heard of.
      instances.delete(report.instance);
      instances.set(report.instance, {
        token,
        instance: report.instance,
        labels: report.labels,
        firstSeenMs: known?.firstSeenMs ?? nowMs,
        lastSeenMs: nowMs,
        bundles,
      });
      for (const name of new Set([...bundles.keys(), ...(known?.bundles.keys() ?? [])])) {
        if (tripOf(known?.bundles.get(name)) !== tripOf(bundles.get(name))) onTrips(name);
      }
      return 'taken';
    },
    instances: () => {
      forget(clock.now().epochMs);
      return [...byToken.values()].flatMap((instances) => [...instances.values()]);
    },
    trips: (bundle, sha256) =>
      [...byToken.values()]
        .flatMap((instances) => [...instances.values()])
        .filter(({ bundles }) => tripOf(bundles.get(bundle)) === sha256)
        .map(({ token, instance }) => `${token}/${instance}`)
        .sort()
        .slice(0, MAX_TRIPS),
  };
}

const SILENT_MS = 600_000;
const MAX_HISTORY = 8;
/** More than that many need not be named for anybody to count them. */
const MAX_TRIPS = 1000;

function tripOf(bundle: InstanceBundle | undefined): string | undefined {
  return bundle?.candidate?.tripped === true ? bundle.candidate.sha256 : undefined;
}

function follow(before: InstanceBundle | undefined, now: ReportedBundle, nowMs: number): InstanceBundle {
  if (before === undefined) return { ...now, sinceMs: nowMs, history: [] };
  const { revision, sha256, sinceMs, history } = before;
  if (revision === now.revision && sha256 === now.sha256) return { ...now, sinceMs, history };
  const past = {
    ...(revision === undefined ? {} : { revision }),
    ...(sha256 === undefined ? {} : { sha256 }),
    sinceMs,
  };
  return { ...now, sinceMs: nowMs, history: [past, ...history].slice(0, MAX_HISTORY) };
}
