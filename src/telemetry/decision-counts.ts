import { Counter, Gauge, type Registry } from 'prom-client';
import type { Outcome, Phase } from '../decision/ports.ts';
import { type DurationCell, DurationHistogram } from './duration-histogram.ts';
import { type BoundLabel, createBoundLabel, OTHER } from './label-values.ts';

/** Counts decisions without hashing a label: cells are found by door, route and reason and read when scraped. */
export interface DecisionCounts {
  started(door: string): void;
  ended(door: string): void;
  count(outcome: Outcome): void;
}

export interface CardinalityBounds {
  /** Distinct values of each label; what comes later is counted as `other`. */
  readonly valuesPerLabel: number;
  /** Series of `sallyport_decisions_total`; combinations that come later are counted as route and reason `other`. */
  readonly decisionSeries: number;
}

export function createDecisionCounts(registry: Registry, bounds: CardinalityBounds): DecisionCounts {
  const doors = new Map<string, DoorCells>();
  const labels: Labels = {
    door: createBoundLabel(MAX_DOORS),
    route: createBoundLabel(bounds.valuesPerLabel),
    reason: createBoundLabel(bounds.valuesPerLabel),
  };
  const durations = new DurationHistogram({
    name: 'sallyport_decision_duration_seconds',
    help: 'Time spent deciding, by step and in total.',
    labelNames: ['door', 'phase'] as const,
    boundsSeconds: DURATION_BOUNDS_SECONDS,
    registry,
  });
  let series = 0;

  const doorCells = (name: string): DoorCells => {
    const known = doors.get(name);
    if (known !== undefined) return known;
    const door = labels.door(name);
    // A door that is beyond the bound shares one entry, or each of its names would need one.
    const shared = doors.get(door);
    if (shared !== undefined) return shared;
    const phases = new Map<Phase | 'total', DurationCell>();
    for (const phase of PHASES) phases.set(phase, durations.cell({ door, phase }));
    const cells = { door, inFlight: 0, routes: new Map(), phases };
    doors.set(door, cells);
    return cells;
  };

  const decisionCell = (cells: DoorCells, route: string, kind: 'allow' | 'deny', reason: string): Cell => {
    const boundRoute = labels.route(route);
    const boundReason = labels.reason(reason);
    const found = findCell(cells, boundRoute, kind, boundReason);
    if (found !== undefined) return found;
    if (series >= bounds.decisionSeries)
      return findCell(cells, OTHER, kind, OTHER) ?? addCell(cells, OTHER, kind, OTHER);
    series += 1;
    return addCell(cells, boundRoute, kind, boundReason);
  };

  new Counter({
    name: 'sallyport_decisions_total',
    help: 'Decisions, by door, matched route, outcome and reason (a core code, or a constant of the policy).',
    labelNames: ['door', 'route', 'decision', 'reason'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { door, routes } of doors.values()) {
        for (const [route, kinds] of routes) {
          for (const decision of ['allow', 'deny'] as const) {
            for (const [reason, cell] of kinds[decision]) this.inc({ door, route, decision, reason }, cell.count);
          }
        }
      }
    },
  });
  new Gauge({
    name: 'sallyport_in_flight',
    help: 'Requests being decided now.',
    labelNames: ['door'] as const,
    registers: [registry],
    collect() {
      for (const { door, inFlight } of doors.values()) this.set({ door }, inFlight);
    },
  });

  return {
    started: (door) => {
      doorCells(door).inFlight += 1;
    },
    ended: (door) => {
      doorCells(door).inFlight -= 1;
    },
    count: (outcome) => {
      const cells = doorCells(outcome.request.door);
      decisionCell(cells, routeOf(outcome), outcome.decision.kind, reasonOf(outcome)).count += 1;
      for (const [phase, cell] of cells.phases) {
        const ms = outcome.phaseMs[phase];
        if (ms !== undefined) cell.observe(ms / 1000);
      }
    },
  };
}

const MAX_DOORS = 16;
const PHASES: readonly (Phase | 'total')[] = ['identify', 'inspect', 'meter', 'decide', 'total'];
/** 10 µs to 1 s. */
const DURATION_BOUNDS_SECONDS = [
  1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1,
];

interface Labels {
  readonly door: BoundLabel;
  readonly route: BoundLabel;
  readonly reason: BoundLabel;
}

interface Cell {
  count: number;
}

interface DoorCells {
  readonly door: string;
  inFlight: number;
  readonly routes: Map<string, Readonly<Record<'allow' | 'deny', Map<string, Cell>>>>;
  readonly phases: ReadonlyMap<Phase | 'total', DurationCell>;
}

function findCell(cells: DoorCells, route: string, kind: 'allow' | 'deny', reason: string): Cell | undefined {
  return cells.routes.get(route)?.[kind].get(reason);
}

function addCell(cells: DoorCells, route: string, kind: 'allow' | 'deny', reason: string): Cell {
  let kinds = cells.routes.get(route);
  if (kinds === undefined) {
    kinds = { allow: new Map(), deny: new Map() };
    cells.routes.set(route, kinds);
  }
  const cell: Cell = { count: 0 };
  kinds[kind].set(reason, cell);
  return cell;
}

/** The matched route's name, `none` when none matched or the request was refused before. */
function routeOf({ inspected }: Outcome): string {
  if (inspected === undefined) return 'none';
  return (inspected.kind === 'inspected' ? inspected.route?.name : inspected.route) ?? 'none';
}

function reasonOf({ decision, generation }: Outcome): string {
  if (decision.kind === 'allow') return 'allowed';
  if (decision.code !== 'policy_denied') return decision.code;
  const first = decision.reasons[0];
  // Only a constant of the policy: anything else may be made of what a caller sent.
  return first !== undefined && generation?.isPolicyConstant(first) === true ? first : decision.code;
}
