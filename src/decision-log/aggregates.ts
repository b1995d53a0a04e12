import { addressKey } from '../decision/address-key.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { Outcome } from '../decision/ports.ts';
import { toSafeLine } from '../telemetry/json-line.ts';
import { type EventParts, toTimestamp } from './event.ts';
import { cut } from './event-copy.ts';

/** Denials of callers who proved nothing, of one second, that one event stands for. */
export interface Aggregate {
  readonly code: CoreCode;
  readonly route: string;
  /** IPv4 /24 or IPv6 /48; `other` beyond what is told apart in a second, `unknown` where there is none. */
  readonly address: string;
  readonly door: string;
  readonly status: number;
  readonly epochMs: number;
  readonly generation: Outcome['generation'];
  readonly firstDecisionId: string;
  lastDecisionId: string;
  count: number;
}

/** Decides which denials are summed up, and sums them up. Constant time each, bounded memory. */
export interface Aggregates {
  /** Whether it was summed up; `pressed`: whether the log is short of room. */
  add(outcome: Outcome, pressed: boolean): boolean;
  /** What was summed up since the last time. */
  take(): readonly Aggregate[];
}

export interface AggregatesOptions {
  readonly abovePerSecond: number;
  /** The client's address by local config, where the request's own source is that of a proxy. */
  readonly clientIp: (request: Exclude<Outcome['request'], { readonly unreadable: unknown }>) => string | undefined;
  /** There is something to take at the end of this second. */
  readonly onFirst: () => void;
}

export function createAggregates({ abovePerSecond, clientIp, onFirst }: AggregatesOptions): Aggregates {
  let second = 0;
  let single = 0;
  let groups = new Map<string, Aggregate>();

  const addressOf = ({ request, inspected }: Outcome): string => {
    if ('unreadable' in request) return 'unknown';
    const address = inspected?.network?.client_ip ?? clientIp(request) ?? request.sourceAddress;
    return address === undefined ? 'unknown' : prefixOf(address);
  };

  return {
    add: (outcome, pressed) => {
      const { decision } = outcome;
      if (decision.kind === 'allow' || outcome.principal !== undefined) return false;
      const now = Math.floor(outcome.at.monotonicMs / 1000);
      if (now !== second) {
        second = now;
        single = 0;
      }
      if (!pressed && single < abovePerSecond) {
        single += 1;
        return false;
      }
      const address = addressOf(outcome);
      const route = routeOf(outcome);
      const key = `${decision.code} ${route} ${address}`;
      const known = groups.get(key) ?? (groups.size < MAX_GROUPS ? undefined : groups.get(`${decision.code} *`));
      if (known !== undefined) {
        known.count += 1;
        known.lastDecisionId = outcome.decisionId;
        return true;
      }
      const isOther = groups.size >= MAX_GROUPS;
      if (groups.size === 0) onFirst();
      groups.set(isOther ? `${decision.code} *` : key, {
        code: decision.code,
        route: isOther ? '' : route,
        address: isOther ? 'other' : address,
        door: outcome.request.door,
        status: decision.status,
        epochMs: outcome.at.epochMs,
        generation: outcome.generation,
        firstDecisionId: outcome.decisionId,
        lastDecisionId: outcome.decisionId,
        count: 1,
      });
      return true;
    },
    take: () => {
      const taken = [...groups.values()];
      groups = new Map();
      return taken;
    },
  };
}

/** Groups of a second; beyond them one for each code, of which there are few. */
const MAX_GROUPS = 256;

function routeOf({ inspected }: Outcome): string {
  if (inspected?.kind === 'refused') return inspected.route ?? '';
  return inspected?.route?.name ?? '';
}

/** Of one network: an IPv4 /24, an IPv6 /48. */
export function prefixOf(address: string): string {
  if (!address.includes(':'))
    return IPV4.test(address) ? `${address.slice(0, address.lastIndexOf('.'))}.0/24` : 'unknown';
  if (!IPV6.test(address)) return 'unknown';
  return `${addressKey(address).split(':').slice(0, 3).join(':')}::/48`;
}

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const IPV6 = /^[0-9a-f:.]{2,45}$/i;

/** The event that stands for all of them: one `sequence` for the whole. */
export function writeAggregate(aggregate: Aggregate, { sequence, instanceId, labels }: EventParts): string {
  const { code, route, address, door, status, epochMs, generation, firstDecisionId, lastDecisionId, count } = aggregate;
  const bundles = [...(generation?.revisions ?? [])].map(([name, revision]) => [name, { revision }] as const);
  return `${toSafeLine(
    JSON.stringify({
      type: 'aggregate',
      decision_id: firstDecisionId,
      sequence,
      instance_id: instanceId,
      timestamp: toTimestamp(epochMs),
      labels,
      bundles: Object.fromEntries(bundles),
      door,
      decision: 'deny',
      code,
      status,
      ...(route === '' ? {} : { route: cut(route, MAX_ROUTE) }),
      address,
      count,
      first_decision_id: firstDecisionId,
      last_decision_id: lastDecisionId,
    }),
  )}\n`;
}

const MAX_ROUTE = 256;

/** How many decisions are lost with these lines: an aggregate is as many as it stands for, all else is one. */
export function decisionsIn(lines: readonly string[]): number {
  let decisions = 0;
  for (const line of lines) decisions += line.startsWith(AGGREGATE_START) ? countOf(line) : 1;
  return decisions;
}

/** No event of a decision begins so, whatever its caller sent. */
const AGGREGATE_START = '{"type":"aggregate",';

function countOf(line: string): number {
  try {
    const { count } = Object(JSON.parse(line));
    return typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? count : 1;
  } catch {
    return 1;
  }
}
