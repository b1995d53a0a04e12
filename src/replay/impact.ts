import { type Answer, answerText, type Change, changeOf } from './answer.ts';
import type { ChargeEffect } from './charge-effects.ts';
import { chargeEffects } from './charge-effects.ts';
import { fieldsOf, type Ignorance } from './known-input.ts';
import type { RecordedDecision } from './recorded-event.ts';

/** What another bundle would change of a log. */
export interface Impact {
  readonly lines: LineCounts;
  /** Decision events, each once, that the filter let pass. */
  readonly decisions: number;
  /** Decided once more, or refused by the core before any policy. */
  readonly replayable: number;
  /** Refused by the core before any policy was asked; counted as equal. */
  readonly core: number;
  readonly equal: number;
  /** Answers that differ; reasons alone, which no client sees, are `other_reasons`. */
  readonly changed: number;
  readonly other_reasons: number;
  readonly by_change: { readonly [change: string]: number };
  readonly changes: readonly ChangeGroup[];
  /** An event counts at every path that it does not tell. */
  readonly not_replayable: readonly UnknownGroup[];
  readonly charges: readonly ChargeEffect[];
  readonly revisions: readonly RevisionImpact[];
}

export interface LineCounts {
  readonly lines: number;
  /** Lines that are no events, such as a service's own log. */
  readonly other: number;
  readonly damaged: number;
  readonly administrative: number;
  /** Events that a policy dropped, of which only the number is left. */
  readonly stubs: number;
  readonly aggregates: number;
  /** How many denials of unverified callers the aggregates stand for. */
  readonly aggregated: number;
  readonly duplicates: number;
  readonly filtered: number;
}

/** The same change for one tenant and route. `routed`: the core refused it for its route, and would not any more. */
export interface ChangeGroup {
  readonly change: Change | 'routed';
  readonly tenant: string;
  readonly route: string;
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface UnknownGroup extends Ignorance {
  readonly count: number;
}

export interface RevisionImpact {
  readonly revisions: string;
  readonly decisions: number;
  readonly changed: number;
  readonly not_replayable: number;
}

/** Sums up, in memory that does not grow with the log. */
export interface ImpactSum {
  readonly line: (kind: keyof LineCounts, count?: number) => void;
  readonly core: (event: RecordedDecision) => void;
  readonly routed: (event: RecordedDecision, before: Answer) => void;
  readonly unknown: (event: RecordedDecision, ignorances: readonly Ignorance[]) => void;
  readonly answered: (event: RecordedDecision, before: Answer, after: Answer) => void;
  readonly total: () => Impact;
}

export function createImpactSum(): ImpactSum {
  const lines: { -readonly [kind in keyof LineCounts]: number } = { ...NO_LINES };
  const groups = new Map<string, Growing<ChangeGroup>>();
  const unknowns = new Map<string, Growing<UnknownGroup>>();
  const revisions = new Map<string, Growing<RevisionImpact>>();
  const byChange = new Map<string, number>();
  const charges = chargeEffects();
  let decisions = 0;
  let core = 0;
  let unreplayable = 0;
  let equal = 0;
  let changed = 0;
  let otherReasons = 0;

  const revisionOf = (event: RecordedDecision): Growing<RevisionImpact> => {
    decisions += 1;
    const { revisions: key } = event;
    const one = bounded(revisions, key, noDecisions(key), ['…', noDecisions('…')]);
    one.decisions += 1;
    return one;
  };
  const note = (event: RecordedDecision, group: Omit<ChangeGroup, 'count' | 'examples' | 'tenant' | 'route'>): void => {
    byChange.set(group.change, (byChange.get(group.change) ?? 0) + 1);
    const whole = { ...group, tenant: tenantOf(event), route: routeOf(event), count: 0, examples: [] };
    const { change, tenant, route, from, to } = whole;
    const rest = { ...whole, tenant: '…', route: '…', from: '…', to: '…' };
    const one = bounded(groups, JSON.stringify([change, tenant, route, from, to]), whole, [change, rest]);
    one.count += 1;
    if (one.examples.length < MAX_EXAMPLES) one.examples = [...one.examples, event.decisionId];
  };

  return {
    line: (kind, count = 1) => {
      lines[kind] += count;
    },
    core: (event) => {
      revisionOf(event);
      core += 1;
      equal += 1;
    },
    routed: (event, before) => {
      revisionOf(event).changed += 1;
      changed += 1;
      note(event, { change: 'routed', from: answerText(before, 'status'), to: 'asks the policy' });
    },
    unknown: (event, ignorances) => {
      revisionOf(event).not_replayable += 1;
      unreplayable += 1;
      for (const { why, path } of ignorances) {
        bounded(unknowns, `${why} ${path}`, { why, path, count: 0 }, ['…', { why, path: '…', count: 0 }]).count += 1;
      }
    },
    answered: (event, before, after) => {
      const revision = revisionOf(event);
      charges.add(tenantOf(event), before.charged, after.charged);
      const change = changeOf(before, after);
      if (change === undefined || change === 'reasons') equal += 1;
      if (change === undefined) return;
      if (change === 'reasons') otherReasons += 1;
      else {
        changed += 1;
        revision.changed += 1;
      }
      note(event, { change, from: answerText(before, change), to: answerText(after, change) });
    },
    total: () => ({
      lines: { ...lines },
      decisions,
      replayable: decisions - unreplayable,
      core,
      equal,
      changed,
      other_reasons: otherReasons,
      by_change: Object.fromEntries(byChange),
      changes: largestFirst(groups),
      not_replayable: largestFirst(unknowns),
      charges: charges.total(),
      revisions: [...revisions.values()],
    }),
  };
}

/** The caller's verified tenant, and the route by which it was decided; both `-` where there is none. */
export function tenantOf({ input }: RecordedDecision): string {
  return nameIn(input['identity'], 'tenant');
}

export function routeOf({ input }: RecordedDecision): string {
  return nameIn(input['route'], 'name');
}

function nameIn(section: unknown, member: string): string {
  const value = fieldsOf(section)?.[member];
  return typeof value === 'string' ? value : '-';
}

type Growing<T> = { -readonly [member in keyof T]: T[member] };

/** Tenants and reasons are as many as the log has; what is beyond the bound is summed up as one. */
function bounded<T>(known: Map<string, T>, key: string, made: T, [otherKey, other]: readonly [string, T]): T {
  const found = known.get(key) ?? (known.size < MAX_GROUPS ? undefined : known.get(otherKey));
  if (found !== undefined) return found;
  const isOther = known.size >= MAX_GROUPS;
  const added = isOther ? other : made;
  known.set(isOther ? otherKey : key, added);
  return added;
}

const MAX_GROUPS = 1000;
const MAX_EXAMPLES = 3;

function largestFirst<T extends { readonly count: number }>(groups: ReadonlyMap<string, T>): readonly T[] {
  return [...groups.values()].sort((one, other) => other.count - one.count);
}

function noDecisions(revisions: string): Growing<RevisionImpact> {
  return { revisions, decisions: 0, changed: 0, not_replayable: 0 };
}

const NO_LINES: LineCounts = {
  lines: 0,
  other: 0,
  damaged: 0,
  administrative: 0,
  stubs: 0,
  aggregates: 0,
  aggregated: 0,
  duplicates: 0,
  filtered: 0,
};
