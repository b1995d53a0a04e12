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
  /**
   * The first `enough` instances that say that a guard rail tripped on that candidate, as `token/instance`; none while
   * there are fewer.
   */
  trips(bundle: string, sha256: string, enough: number): readonly string[];
}

export interface FleetPorts {
  readonly clock: Clock;
  readonly maxInstances: number;
  readonly maxInstancesPerToken: number;
  readonly forgetAfterMs: number;
  /** Told of a bundle of which somebody's trips changed, also when he is forgotten. */
  readonly onTrips: (bundle: string) => void;
}

export function createFleet(ports: FleetPorts): Fleet {
  const { clock, maxInstances, maxInstancesPerToken, forgetAfterMs, onTrips } = ports;
  /** Instances by token and then by their own name, the longest silent first. */
  const byToken = new Map<string, Map<string, Instance>>();
  /** Who tripped, by candidate and in the order in which they did: the first of them stay the first. */
  const tripped = new Map<string, Set<string>>();
  let count = 0;

  /** Keeps `tripped` to what the instance says now. */
  function follow(before: Instance | undefined, now: Instance | undefined): void {
    const { token, instance } = now ?? before ?? NOBODY;
    const who = `${token}/${instance}`;
    for (const name of new Set([...(before?.bundles.keys() ?? []), ...(now?.bundles.keys() ?? [])])) {
      const [old, next] = [tripOf(before?.bundles.get(name)), tripOf(now?.bundles.get(name))];
      if (old === next) continue;
      if (old !== undefined) {
        const others = tripped.get(`${name} ${old}`);
        others?.delete(who);
        if (others?.size === 0) tripped.delete(`${name} ${old}`);
      }
      if (next !== undefined) {
        const all = tripped.get(`${name} ${next}`) ?? new Set();
        tripped.set(`${name} ${next}`, all.add(who));
      }
      onTrips(name);
    }
  }

  function remove(instances: Map<string, Instance>, instance: Instance): void {
    instances.delete(instance.instance);
    count -= 1;
    follow(instance, undefined);
  }

  function forget(nowMs: number): void {
    for (const instances of byToken.values()) {
      for (const instance of instances.values()) {
        if (nowMs - instance.lastSeenMs <= forgetAfterMs) break;
        remove(instances, instance);
      }
    }
  }

  /** Whether there is room for one more; one that has been silent for long makes room. */
  function hasRoom(instances: Map<string, Instance>, nowMs: number): boolean {
    if (instances.size < maxInstancesPerToken && count < maxInstances) return true;
    const [oldest] = instances.values();
    if (oldest === undefined || nowMs - oldest.lastSeenMs < SILENT_MS) return false;
    remove(instances, oldest);
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
        report.bundles.map((bundle) => [bundle.name, remember(known?.bundles.get(bundle.name), bundle, nowMs)]),
      );
      // Put at the end: the order is that of when they were last heard of.
      instances.delete(report.instance);
      const now: Instance = {
        token,
        instance: report.instance,
        labels: report.labels,
        firstSeenMs: known?.firstSeenMs ?? nowMs,
        lastSeenMs: nowMs,
        bundles,
      };
      instances.set(report.instance, now);
      follow(known, now);
      return 'taken';
    },
    instances: () => {
      forget(clock.now().epochMs);
      return [...byToken.values()].flatMap((instances) => [...instances.values()]);
    },
    trips: (bundle, sha256, enough) => {
      const who = tripped.get(`${bundle} ${sha256}`);
      if (who === undefined || who.size < enough || enough > MAX_TRIPS) return [];
      const first: string[] = [];
      for (const each of who) if (first.push(each) === enough) break;
      return first;
    },
  };
}

const SILENT_MS = 600_000;
const MAX_HISTORY = 8;
/** So many names of the longest fit into what an agent reads of an answer, 512 KiB. */
const MAX_TRIPS = 2500;
const NOBODY = { token: '', instance: '' };

function tripOf(bundle: InstanceBundle | undefined): string | undefined {
  return bundle?.candidate?.tripped === true ? bundle.candidate.sha256 : undefined;
}

function remember(before: InstanceBundle | undefined, now: ReportedBundle, nowMs: number): InstanceBundle {
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
