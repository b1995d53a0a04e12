import { type Meter, UNITS, type Unit } from '../decision/charge-terms.ts';
import type { ChargePlan } from '../decision/charges.ts';

/**
 * What a settle must know of a reservation, whichever replica and bundle it meets: kept in the store beside the holds.
 * `charges` are those of the taken plan that hold, in order.
 */
export interface ReservationNote {
  readonly tenant: string;
  readonly model: string;
  readonly charges: readonly NotedCharge[];
}

export interface NotedCharge {
  readonly name: string;
  readonly unit: Unit;
  readonly meter?: Meter;
}

/** One note for every plan of a request, since which one is taken is known only in the store. */
export function toNote(tenant: string, model: string, plans: readonly ChargePlan[]): string {
  const noted = plans.map((plan) =>
    plan.flatMap(({ terms: { name, unit, meter, reserve } }) => {
      if (reserve === undefined) return [];
      const rates = meter === undefined ? [] : [meter.input, meter.cached, meter.output, meter.per];
      return [[name, UNITS.indexOf(unit), ...rates]];
    }),
  );
  const models = plans.map((plan) => plan.find(({ terms }) => terms.model !== undefined)?.terms.model ?? model);
  return JSON.stringify([tenant, models, noted]);
}

/** Throws for a text that {@link toNote} did not make. */
export function parseNote(text: string, plan: number): ReservationNote {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new TypeError('the note of a reservation is no list');
  const [tenant, models, plans] = value as unknown[];
  const model = Array.isArray(models) ? (models[plan] as unknown) : undefined;
  const charges = Array.isArray(plans) ? (plans[plan] as unknown) : undefined;
  if (typeof tenant !== 'string' || typeof model !== 'string' || !Array.isArray(charges)) {
    throw new TypeError('the note of a reservation cannot be read');
  }
  return { tenant, model, charges: charges.map(parseCharge) };
}

function parseCharge(value: unknown): NotedCharge {
  if (!Array.isArray(value)) throw new TypeError('a charge in the note of a reservation is no list');
  const [name, unitNumber, input, cached, output, per] = value as readonly unknown[];
  const unit = UNITS[Number(unitNumber)];
  if (typeof name !== 'string' || unit === undefined) throw new TypeError('a charge in a note cannot be read');
  if (input === undefined) return { name, unit };
  const meter = { input: Number(input), cached: Number(cached), output: Number(output), per: Number(per) };
  if (meter.per !== 1 && meter.per !== 1_000_000) throw new TypeError('a meter in a note cannot be read');
  // `per` was just looked at.
  return { name, unit, meter: meter as Meter };
}
