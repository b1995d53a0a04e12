import type { Instant } from '../../decision/ports.ts';
import type { BucketCharge, BucketState } from '../bucket.ts';
import { StoreFault, type StoreTake, type StoreTaken } from '../bucket-store.ts';
import { parseReservationId, tenantTag } from '../reservation-id.ts';
import { withLayout, withoutLayout } from './redis-cluster-note.ts';
import { type ClusterPart, isProvisional, type PartTaken } from './redis-cluster-part.ts';
import { partOfTag } from './redis-cluster-slots.ts';
import type { PlainTaken } from './redis-takes.ts';

/** The charges of a plan that are in one part, and where they stand in the plan. */
export interface PartCharges {
  readonly part: number;
  readonly places: readonly number[];
  readonly charges: readonly BucketCharge[];
}

export interface ClusterTaken {
  readonly answer: StoreTaken;
  /** Of a plan that is recorded nowhere: what was taken, in the order of {@link inParts}. */
  readonly plains: readonly PlainTaken[] | undefined;
}

export interface ClusterTakeOptions {
  readonly parts: readonly ClusterPart[];
  /** How long a first phase waits for the second before it is a charge. */
  readonly provisionalMs: number;
}

type Group = PartCharges & { readonly sub: StoreTake };

interface Done {
  readonly group: Group;
  readonly plain: PlainTaken | undefined;
  readonly seen: readonly BucketState[];
}

/**
 * Takes plan by plan. What is in one part is taken in one step. A plan of several parts is held in that of its tenant
 * first, provisionally, and then taken in the others; when all of them took, what is provisional becomes the charge,
 * and else it ends as if it had never been: what is held does not drain, so that nothing can be had twice. A process
 * that dies between leaves holds that become charges when they expire. So no bucket ever gives more than it has; and
 * one may refuse falsely while takes are under way, by no more than those cost.
 */
export function createClusterTake({ parts, provisionalMs }: ClusterTakeOptions) {
  function partAt(number: number): ClusterPart {
    const part = parts[number];
    // INVARIANT: tags name 256 parts, and there are as many.
    if (part === undefined) throw new RangeError('there is no such part');
    return part;
  }

  async function inOnePart(number: number, request: StoreTake, at: Instant): Promise<ClusterTaken> {
    const part = partAt(number);
    part.check(request.plans, at.monotonicMs);
    const note = withoutLayout(request.note);
    const { answer, plain } = await part.take(note === request.note ? request : { ...request, note }, at);
    return { answer, plains: plain === undefined ? undefined : [plain] };
  }

  function toGroups(request: StoreTake, plan: number, charges: readonly BucketCharge[]): readonly Group[] {
    const { id } = request;
    const home = homeOf(id);
    const recordMs = recordMsOf(charges);
    const groups = inParts(charges, home, recordMs !== undefined);
    const lastly = groups.length === 2 ? groups[1] : undefined;
    const parted = groups.length > 1;
    return groups.map((group) => {
      const { part } = group;
      const own = parted && group !== lastly ? group.charges.map((charge) => provisional(charge)) : group.charges;
      if (recordMs === undefined) return { ...group, charges: own, sub: { id, plans: [own], note: '' } };
      const others = groups.filter((other) => other.part !== home).map((other) => other.part);
      const holding = charges.filter(({ hold }) => hold !== undefined).map(({ terms }) => partOfTerms(terms));
      const note = part === home ? withLayout(request.note, { plan, holding, others }) : '';
      return { ...group, charges: own, sub: { id, plans: [own], note, recordMs } };
    });
  }

  function provisional(charge: BucketCharge): BucketCharge {
    if (charge.hold !== undefined) return charge;
    return { ...charge, hold: { ttlMs: provisionalMs, onExpiry: 'charge', provisional: true } };
  }

  async function takePlan(request: StoreTake, plan: number, at: Instant): Promise<ClusterTaken> {
    const charges = request.plans[plan] ?? [];
    const groups = toGroups(request, plan, charges);
    for (const group of groups) partAt(group.part).check([group.charges], at.monotonicMs);
    const states: BucketState[] = [];
    const see = ({ places }: PartCharges, seen: readonly BucketState[]): void => {
      for (const [index, place] of places.entries()) {
        const state = seen[index];
        if (state !== undefined) states[place] = state;
      }
    };
    const seeEnded = (what: 'confirmed' | 'undone'): void => {
      for (const { group, seen } of done)
        see(
          group,
          group.charges.map((charge, at) => ended(charge, seen[at], what)),
        );
    };
    const done: Done[] = [];
    let refused: StoreTaken | undefined;
    let fault: unknown;
    const takeOne = async (group: Group): Promise<void> => {
      try {
        const { answer, plain }: PartTaken = await partAt(group.part).take(group.sub, at);
        if (answer.kind === 'taken') {
          done.push({ group, plain, seen: answer.states });
        } else if (answer.kind === 'exceeded') {
          refused = answer;
          see(group, answer.states[0] ?? []);
        } else {
          fault ??= answer;
        }
      } catch (error) {
        fault = error;
      }
    };

    const [first, ...rest] = groups;
    const isTenants = first !== undefined && first.part === homeOf(request.id);
    if (isTenants) await takeOne(first);
    const isEnded = (): boolean => refused !== undefined || fault !== undefined;
    if (!isEnded()) await Promise.all((isTenants ? rest : groups).map(takeOne));
    if (!isEnded()) {
      confirm(
        done.map(({ group }) => group),
        request.id,
      );
      seeEnded('confirmed');
      const plains = groups.map(({ part }) => done.find(({ group }) => group.part === part)?.plain);
      return { answer: { kind: 'taken', plan, states }, plains: plains.every(isPlain) ? plains : undefined };
    }
    const back = done.map(({ group, plain }) => partAt(group.part).takeBack(group.sub, 0, plain));
    if (refused === undefined) {
      // The id is known already, or nobody knows what became of it.
      if (isAnswer(fault)) return { answer: fault, plains: undefined };
      throw fault;
    }
    seeEnded('undone');
    await Promise.all([...back, ...groups.map((group) => askUnseen(group, states, at))]);
    return { answer: { kind: 'exceeded', states: [states] }, plains: undefined };
  }

  /** What is not confirmed is a charge when it expires. */
  function confirm(groups: readonly Group[], id: string): void {
    for (const { part, charges } of groups) {
      partAt(part)
        .conclude('confirm', id, charges.filter(isProvisional))
        .catch(() => undefined);
    }
  }

  /** Fills in the states of a part that was not asked, since another had refused. */
  async function askUnseen({ part, places, charges }: Group, states: BucketState[], at: Instant): Promise<void> {
    if (places.every((place) => states[place] !== undefined)) return;
    const seen = await partAt(part)
      .peek(charges, at)
      .catch(() => []);
    for (const [index, place] of places.entries()) {
      const { limit } = charges[index]?.terms ?? { limit: 0 };
      // What nobody can see did not refuse.
      states[place] ??= seen[index] ?? { ...UNSEEN, limit };
    }
  }

  return async (request: StoreTake, at: Instant): Promise<ClusterTaken> => {
    const only = onlyPart(request);
    if (only !== undefined) return inOnePart(only, request, at);
    const states: (readonly BucketState[])[] = [];
    for (let plan = 0; plan < request.plans.length; plan += 1) {
      const taken = await takePlan(request, plan, plan === 0 ? at : { ...at });
      if (taken.answer.kind !== 'exceeded') return taken;
      states.push(taken.answer.states[0] ?? []);
    }
    return { answer: { kind: 'exceeded', states }, plains: undefined };
  };
}

/** A state after a first phase, as it is after the second. */
function ended(charge: BucketCharge, state: BucketState | undefined, what: 'confirmed' | 'undone'): BucketState {
  const { terms, cost, hold } = charge;
  if (state === undefined) return { ...UNSEEN, limit: terms.limit };
  if (!state.fits || hold === undefined) return state;
  if (what === 'undone') {
    return { ...state, held: state.held - cost, remaining: Math.min(terms.burst, state.remaining + cost) };
  }
  if (hold.provisional !== true) return state;
  return { ...state, held: state.held - cost, level: state.level + cost * terms.periodMs };
}

const UNSEEN = { remaining: 0, held: 0, fits: true, waitMs: 0, resetMs: 0, version: 0, level: 0 } as const;

/** Where the record of a reservation is. */
export function homeOf(id: string): number {
  const parts = parseReservationId(id);
  if (parts === undefined) throw new StoreFault('refused', 'what is no reservation id takes nothing from a cluster');
  return partOfTag(parts.tag);
}

export function partOfTerms({ tag, id }: BucketCharge['terms']): number {
  return partOfTag(tag ?? tenantTag(id));
}

/** The charges of a plan by part, that of the tenant first; `recorded`: even where it has none. */
export function inParts(charges: readonly BucketCharge[], home: number, recorded: boolean): readonly PartCharges[] {
  const groups = new Map<number, { readonly places: number[]; readonly charges: BucketCharge[] }>();
  const numbers = charges.map(({ terms }) => partOfTerms(terms));
  if (recorded || numbers.includes(home)) groups.set(home, { places: [], charges: [] });
  for (const [place, charge] of charges.entries()) {
    const part = numbers[place] ?? home;
    const group = groups.get(part) ?? { places: [], charges: [] };
    groups.set(part, group);
    group.places.push(place);
    group.charges.push(charge);
  }
  return [...groups].map(([part, group]) => ({ part, ...group }));
}

/** The one part that all plans are in, where it may be taken in one step. */
function onlyPart({ id, plans }: StoreTake): number | undefined {
  let only: number | undefined;
  let holds = false;
  for (const charges of plans) {
    for (const { terms, hold } of charges) {
      const part = partOfTerms(terms);
      if (only !== undefined && only !== part) return undefined;
      only = part;
      if (hold !== undefined) holds = true;
    }
  }
  return only !== undefined && holds && only !== homeOf(id) ? undefined : only;
}

/** The longest hold; `undefined` where nothing is held. */
function recordMsOf(charges: readonly BucketCharge[]): number | undefined {
  let longest: number | undefined;
  for (const { hold } of charges) if (hold !== undefined) longest = Math.max(longest ?? 0, hold.ttlMs);
  return longest;
}

function isPlain(plain: PlainTaken | undefined): plain is PlainTaken {
  return plain !== undefined;
}

function isAnswer(value: unknown): value is StoreTaken {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
