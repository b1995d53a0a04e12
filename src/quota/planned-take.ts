import { invalidCharges } from '../decision/charge-fields.ts';
import { type ChargePlan, MAX_CHARGES_PER_PLAN, type TakeRequest } from '../decision/charges.ts';
import type { QuotaMetrics } from '../telemetry/quota-metrics.ts';
import { createBucketTags } from './bucket-tags.ts';
import { createChargeShapes, createHoldsCap, type PlannedCharge, type PlannedPlan, toPlanned } from './bucket-terms.ts';
import type { QuotaConfig } from './config.ts';
import type { LearnedUse } from './learned-use.ts';
import { toNote } from './note.ts';

/** A request as the store is asked for it. */
export interface PlannedTake {
  readonly plans: readonly PlannedPlan[];
  /** Which of the plans hold something; `undefined` where none does. */
  readonly holding: readonly boolean[] | undefined;
  /** What a settle must know; empty where nothing is held. */
  readonly note: string;
  /** Whether it holds nothing and is one object for all requests with the same plans. */
  readonly repeated: boolean;
}

export interface TakePlanner {
  plan(request: TakeRequest): PlannedTake;
  /** One charge by itself, for a cost that may be negative. */
  single(charge: ChargePlan[number], cost: number): PlannedCharge;
}

/**
 * Turns charges into those of buckets. Reservations of rates are cut to what was learned of such calls, and a plan that holds
 * gets one more charge, which caps the holds of whoever asks.
 */
export function createTakePlanner(options: TakePlannerOptions): TakePlanner {
  const { config, metrics, learned, onPlanned, spread = false } = options;
  const tagsFor = spread ? createBucketTags() : undefined;
  const shapeOf = createChargeShapes(metrics);
  const cap = createHoldsCap(config.max_holds_per_principal, metrics);

  /**
   * The cost, or of a rate's reservation what such calls were seen to use, never less than it says is needed. Callers
   * have a say in what is seen: what a rate's call uses beyond it delays what follows, but a window forgets it.
   */
  function costOf({ terms }: ChargePlan[number], tenant: string, model: string): number {
    const { cost, reserve, name, kind } = terms;
    if (reserve === undefined || !reserve.learned || kind !== 'rate') return cost;
    const seen = learned.p95(tenant, model, name);
    return seen === undefined ? cost : Math.min(cost, Math.max(seen, reserve.atLeast));
  }

  function planned(plan: ChargePlan, request: TakeRequest): PlannedCharge[] {
    const { tenant } = request;
    const tags = tagsFor?.(tenant);
    const charges: PlannedCharge[] = [];
    let ttlMs = 0;
    let model: string | undefined;
    for (const charge of plan) {
      const shape = shapeOf(charge.terms);
      const { hold } = shape;
      if (hold !== undefined) {
        if (hold.ttlMs > ttlMs) ttlMs = hold.ttlMs;
        model ??= modelOf(plan, request.model);
      }
      const cost = hold === undefined ? charge.terms.cost : costOf(charge, tenant, model ?? request.model);
      charges.push(toPlanned(shape, charge.key, cost, tags));
    }
    if (ttlMs > 0 && plan.length >= MAX_CHARGES_PER_PLAN) {
      throw invalidCharges(`a plan that holds has at most ${MAX_CHARGES_PER_PLAN - 1} charges`);
    }
    // The anonymous, whose holders are addresses, have no tenant.
    if (ttlMs > 0) charges.push(cap.planned(request.holder, tenant === '' ? 'outsiders' : 'callers', ttlMs, tags));
    onPlanned(tenant, charges);
    return charges;
  }

  /** Plans that hold nothing, by those that requests share, and so gone with them. */
  const known = new WeakMap<TakeRequest['plans'], { readonly tenant: string; readonly taken: PlannedTake }>();

  return {
    plan: (request) => {
      const before = known.get(request.plans);
      // INVARIANT: whoever is charged is the same, and what is held depends on more than the charges.
      if (before !== undefined && before.tenant === request.tenant) {
        for (const charges of before.taken.plans) onPlanned(request.tenant, charges);
        return before.taken;
      }
      const plans: PlannedPlan[] = [];
      let holding: boolean[] | undefined;
      for (const [at, plan] of request.plans.entries()) {
        const charges = planned(plan, request);
        plans.push(charges);
        if (charges.length === plan.length) continue;
        holding ??= request.plans.map(() => false);
        holding[at] = true;
      }
      if (holding === undefined) {
        const repeated = Object.isFrozen(request.plans);
        const taken = { plans, holding, note: '', repeated };
        if (repeated) known.set(request.plans, { tenant: request.tenant, taken });
        return taken;
      }
      const noted = request.plans.map((plan, at) => (holding[at] === true ? [...plan, cap.charge] : plan));
      const note = toNote(request.tenant, request.model, noted);
      if (Buffer.byteLength(note) > MAX_NOTE_BYTES) throw invalidCharges('what is held has too long names');
      return { plans, holding, note, repeated: false };
    },
    single: (charge, cost) => toPlanned(shapeOf(charge.terms), charge.key, cost, tagsFor?.('')),
  };
}

export interface TakePlannerOptions {
  readonly config: Pick<QuotaConfig, 'max_holds_per_principal'>;
  readonly metrics: Pick<QuotaMetrics, 'limit'>;
  readonly learned: LearnedUse;
  /** Whether the store is spread over machines, so that buckets say by their tags where they are. */
  readonly spread?: boolean;
  /** Told of each plan. */
  readonly onPlanned: (tenant: string, charges: PlannedPlan) => void;
}

/** What stores keep of one reservation. */
const MAX_NOTE_BYTES = 1024;

/** The model that a plan is for, as its note has it. */
function modelOf(plan: ChargePlan, asked: string): string {
  for (const { terms } of plan) if (terms.model !== undefined) return terms.model;
  return asked;
}
