import type { Taken } from '../../../src/quota/arithmetic.ts';
import type { BucketCharge, BucketState, BucketTerms } from '../../../src/quota/bucket.ts';
import type { RecordedOperation, Span, Step } from './history.ts';

/** What one operation did to, or saw of, one bucket. */
export interface BucketEvent {
  /** Its place in the history. */
  readonly operation: number;
  readonly startUs: number;
  readonly endUs: number;
  /** When the store can have carried it out, by the clock that the bucket goes by. */
  readonly atMs: Span;
  readonly terms: BucketTerms;
  readonly action: BucketAction;
  /** What was told of the bucket. */
  readonly state?: BucketState;
}

export type BucketAction =
  | { readonly kind: 'take'; readonly charge: BucketCharge; readonly id: string; readonly wrote: boolean }
  | { readonly kind: 'settle' | 'release'; readonly taken: Taken; readonly used: number }
  | { readonly kind: 'renew'; readonly id: string; readonly ttlMs: number }
  | { readonly kind: 'charge'; readonly charge: BucketCharge }
  | { readonly kind: 'peek' };

/** Writes of which no answer tells the version; of the events of one, one took place. */
export interface HiddenWrite {
  readonly events: readonly BucketEvent[];
  /** Whether it may never have taken place. */
  readonly optional: boolean;
  /** The take that it undoes or settles. */
  readonly after?: number;
}

export interface BucketHistory {
  readonly terms: BucketTerms;
  /** With versions as told. */
  readonly writes: BucketEvent[];
  readonly reads: BucketEvent[];
  readonly hidden: HiddenWrite[];
}

export interface HistoryEvents {
  readonly buckets: ReadonlyMap<string, BucketHistory>;
  /** What is wrong already without a look at any bucket. */
  readonly faults: readonly string[];
}

/** Sorts a history by bucket. `oneClock`: rates go by the calendar's clock, and windows tell the time of both. */
export function toBucketEvents(history: readonly RecordedOperation[], oneClock: boolean): HistoryEvents {
  const buckets = new Map<string, BucketHistory>();
  const faults: string[] = [];
  const of = (terms: BucketTerms): BucketHistory => {
    let found = buckets.get(terms.id);
    if (found === undefined) {
      found = { terms, writes: [], reads: [], hidden: [] };
      buckets.set(terms.id, found);
    }
    return found;
  };
  const reservations = byReservation(history);
  history.forEach((operation, index) => {
    const { step } = operation;
    if (step.kind === 'take') addTake(operation, index, step);
    else if (step.kind === 'charge') addCharge(operation, index, step.charges);
    else if (step.kind === 'peek') {
      const { answer = [] } = step;
      const exact = witnessed(operation, step.buckets, answer, oneClock);
      step.buckets.forEach((terms, at) => {
        const state = answer[at];
        if (state === undefined) return;
        of(terms).reads.push(event(exact, index, terms, { kind: 'peek' }, oneClock, state));
      });
    }
  });
  for (const [id, parts] of reservations) addReservation(id, parts);
  return { buckets, faults };

  function addTake(operation: RecordedOperation, index: number, step: Extract<Step, { kind: 'take' }>): void {
    const { plans, answer, id } = step;
    const told = (charges: readonly BucketCharge[], states: readonly BucketState[], taken: boolean): void => {
      if (charges.length !== states.length)
        faults.push(`${name(index)}: ${states.length} states for ${charges.length} charges`);
      const exact = witnessed(operation, charges.map(toTerms), states, oneClock);
      charges.forEach((charge, at) => {
        const state = states[at];
        if (state === undefined) return;
        if (taken && charge.enforced && !state.fits) faults.push(`${name(index)}: taken, though a charge did not fit`);
        const wrote = taken && state.fits;
        const { writes, reads } = of(charge.terms);
        const one = event(exact, index, charge.terms, { kind: 'take', charge, id, wrote }, oneClock, state);
        (wrote ? writes : reads).push(one);
      });
      if (!taken && charges.every(({ enforced }, at) => !enforced || states[at]?.fits === true)) {
        faults.push(`${name(index)}: refused, though every charge of a plan fitted`);
      }
    };
    if (answer === undefined) {
      for (const charge of plans.length === 1 ? (plans[0] ?? []) : []) {
        const one = event(operation, index, charge.terms, { kind: 'take', charge, id, wrote: true }, oneClock);
        of(charge.terms).hidden.push({ events: [one], optional: true });
      }
    } else if (answer.kind === 'taken') told(plans[answer.plan] ?? [], answer.states, true);
    else if (answer.kind === 'exceeded') {
      for (const [at, charges] of plans.entries()) told(charges, answer.states[at] ?? [], false);
    }
  }

  function addCharge(operation: RecordedOperation, index: number, charges: readonly BucketCharge[]): void {
    for (const { hold: _hold, ...charge } of charges) {
      const one = event(operation, index, charge.terms, { kind: 'charge', charge }, oneClock);
      of(charge.terms).hidden.push({ events: [one], optional: operation.endUs === null });
    }
  }

  function addReservation(id: string, { takes, settles, releases, renewals }: Parts): void {
    const taken = takes.filter(({ step }) => step.answer?.kind === 'taken');
    if (taken.length > 1) faults.push(`\`${id}\` was taken ${taken.length} times`);
    const settled = settles.filter(({ step }) => step.answer === 'settled');
    if (settled.length > 1) faults.push(`\`${id}\` was settled ${settled.length} times`);
    const [take] = taken;
    if (take === undefined) {
      // Where a take got no answer, so may what followed it have happened.
      if (settled.length > 0 && takes.every(({ step }) => step.answer !== undefined))
        faults.push(`\`${id}\` was settled and never taken`);
      return;
    }
    const answer = take.step.answer;
    if (answer?.kind !== 'taken') return;
    const charges = take.step.plans[answer.plan] ?? [];
    const exact = witnessed(take.operation, charges.map(toTerms), answer.states, oneClock);
    const enders = settled.length > 0 ? settled : settles.filter(({ step }) => step.answer === undefined);
    const undoers = settled.length > 0 ? [] : releases;
    let held = -1;
    charges.forEach((charge, at) => {
      const { terms, cost, refundable, hold } = charge;
      if (hold !== undefined) held += 1;
      if (answer.states[at]?.fits !== true) return;
      const [nowMs] = exactSpan(exact, terms, oneClock);
      const plain = { id, amount: cost, startMs: terms.windows?.at(nowMs).startMs ?? 0, refundable };
      const whole: Taken = hold === undefined ? plain : { ...plain, onExpiry: hold.onExpiry };
      const nth = held;
      const settleEvents =
        hold === undefined
          ? []
          : enders.map(({ operation, index, step }) =>
              event(operation, index, terms, { kind: 'settle', taken: whole, used: step.used[nth] ?? cost }, oneClock),
            );
      const releaseEvents = undoers.map(({ operation, index }) =>
        event(operation, index, terms, { kind: 'release', taken: whole, used: refundable ? 0 : cost }, oneClock),
      );
      const events = [...settleEvents, ...releaseEvents];
      const isSure = [...(hold === undefined ? [] : enders), ...undoers].some(
        ({ operation }) => operation.endUs !== null,
      );
      if (events.length > 0) {
        const lastMs = Math.max(...events.map((one) => one.atMs[1]));
        // What is charged always stays as it is, whether a store writes that down or not.
        const isKept = hold === undefined && !refundable;
        const isOver = terms.kind === 'window' && (terms.windows?.at(lastMs).startMs ?? 0) !== plain.startMs;
        of(terms).hidden.push({ events, optional: !isSure || isOver || isKept, after: take.index });
      }
      for (const { operation, index, step } of renewals) {
        if (hold === undefined) break;
        if (step.answer !== 'renewed' && step.answer !== undefined) continue;
        const one = event(operation, index, terms, { kind: 'renew', id, ttlMs: step.ttlMs }, oneClock);
        // Of several holds of one reservation some can have ended when others were put off.
        const canHaveEnded = nowMs + hold.ttlMs <= one.atMs[1];
        of(terms).hidden.push({
          events: [one],
          optional: step.answer === undefined || canHaveEnded,
          after: take.index,
        });
      }
    });
  }
}

interface Part<K extends Step['kind']> {
  readonly operation: RecordedOperation;
  readonly index: number;
  readonly step: Extract<Step, { kind: K }>;
}

interface Parts {
  readonly takes: Part<'take'>[];
  readonly settles: Part<'settle'>[];
  readonly releases: Part<'release'>[];
  readonly renewals: Part<'renew'>[];
}

function byReservation(history: readonly RecordedOperation[]): ReadonlyMap<string, Parts> {
  const reservations = new Map<string, Parts>();
  history.forEach((operation, index) => {
    const { step } = operation;
    if (step.kind === 'charge' || step.kind === 'peek') return;
    const parts = reservations.get(step.id) ?? { takes: [], settles: [], releases: [], renewals: [] };
    reservations.set(step.id, parts);
    if (step.kind === 'take') parts.takes.push({ operation, index, step });
    else if (step.kind === 'settle') parts.settles.push({ operation, index, step });
    else if (step.kind === 'release') parts.releases.push({ operation, index, step });
    else parts.renewals.push({ operation, index, step });
  });
  return reservations;
}

function event(
  operation: RecordedOperation,
  index: number,
  terms: BucketTerms,
  action: BucketAction,
  oneClock: boolean,
  state?: BucketState,
): BucketEvent {
  const { startUs, endUs } = operation;
  const atMs = exactSpan(operation, terms, oneClock);
  const plain = { operation: index, startUs, endUs: endUs ?? Number.POSITIVE_INFINITY, atMs, terms, action };
  return state === undefined ? plain : { ...plain, state };
}

function exactSpan({ steadyMs, epochMs }: RecordedOperation, { windows }: BucketTerms, oneClock: boolean): Span {
  return windows === undefined && !oneClock ? steadyMs : epochMs;
}

/** A window that is used tells when it ends, and so when its store was asked. */
function witnessed(
  operation: RecordedOperation,
  buckets: readonly BucketTerms[],
  states: readonly BucketState[],
  oneClock: boolean,
): RecordedOperation {
  if (!oneClock) return operation;
  const [first, last] = operation.epochMs;
  for (const [at, { windows }] of buckets.entries()) {
    const resetMs = states[at]?.resetMs ?? 0;
    if (windows === undefined || resetMs === 0) continue;
    for (const moment of [first, last]) {
      const nowMs = windows.at(moment).endMs - resetMs;
      if (nowMs >= first && nowMs <= last) return { ...operation, epochMs: [nowMs, nowMs] };
    }
  }
  return operation;
}

function toTerms({ terms }: BucketCharge): BucketTerms {
  return terms;
}

function name(index: number): string {
  return `operation ${index}`;
}
