import type { AccessRequest, UnreadableRequest } from './access-request.ts';
import type { ChargePlan, QuotaState, Take } from './charges.ts';
import type { Decision, Deny } from './decision.ts';
import { RequestFault } from './errors.ts';
import type {
  AuthorizePorts,
  Generation,
  Inspected,
  InspectionRefused,
  Instant,
  NamedDecision,
  Offender,
  Outcome,
  Phase,
} from './ports.ts';
import type { Authentication, Peer, Principal } from './principal.ts';

/** What is known of a request so far; filled in step by step, so that a fault is recorded with what came before it. */
export class Trace {
  readonly decisionId: string;
  readonly at: Instant;
  readonly request: AccessRequest | UnreadableRequest;
  generation: Generation | undefined;
  readonly phaseMs: Partial<Record<Phase | 'total', number>> = {};
  markMs: number;
  named: NamedDecision | undefined;
  authentication: Authentication | undefined;
  /** Whom a refusal is counted against; `undefined` for a credential that verified. */
  offender: Offender | undefined;
  inspected: Inspected | InspectionRefused | undefined;
  quota: QuotaState | undefined;
  plans: readonly ChargePlan[] | undefined;
  take: Take | undefined;
  result: unknown;
  observed: Deny | undefined;
  cause: string | undefined;
  overBudget = false;

  constructor(ports: AuthorizePorts, request: AccessRequest | UnreadableRequest) {
    this.at = readClock(ports);
    this.decisionId = ports.newDecisionId();
    this.request = request;
    // INVARIANT: read once; no step asks for the current generation again. What is under trial beside it is pinned with it.
    this.generation = ports.currentGeneration();
    this.markMs = this.at.monotonicMs;
  }
}

/** INVARIANT: a decision is recorded also when the clock fails; whatever asks it again then denies. */
function readClock({ clock }: AuthorizePorts): Instant {
  try {
    return clock.now();
  } catch {
    return { epochMs: 0, monotonicMs: 0 };
  }
}

/** The generation that the request was begun with; throws when there was none. */
export function pinned({ generation }: Trace): Generation {
  if (generation === undefined) throw new RequestFault('no_bundle', 'no bundle is active yet');
  return generation;
}

/** The generation that decides for whom was verified; pinned with the one that the request was begun with. */
export function generationFor(trace: Trace, authentication: Authentication): Generation {
  const generation = pinned(trace);
  if (authentication.kind !== 'verified' || generation.canary?.includes(authentication.principal) !== true) {
    return generation;
  }
  trace.generation = generation.canary.generation;
  return trace.generation;
}

/** Whose request it is: nobody's, where `principal` is `undefined`. */
export interface Identified {
  readonly principal: Principal | undefined;
  readonly peer: Peer | null;
  readonly stripHeaders: readonly string[];
}

/** Throws unless a request may go on. INVARIANT: anonymous only by the word of the authenticator, never because its answer cannot be read. */
export function identified({ authentication }: Trace): Identified {
  if (authentication?.kind === 'verified') return authentication;
  if (authentication?.kind !== 'anonymous') throw new RequestFault('internal', 'nobody was identified');
  return { principal: undefined, peer: authentication.peer, stripHeaders: authentication.stripHeaders };
}

/** What inspection found; throws unless it let the request pass. */
export function accepted({ inspected }: Trace): Inspected {
  if (inspected?.kind !== 'inspected') throw new RequestFault('internal', 'nothing was inspected');
  return inspected;
}

/** Notes how long a phase took since the one before. */
export function mark(ports: AuthorizePorts, trace: Trace, phase: Phase): void {
  const { monotonicMs } = ports.clock.now();
  trace.phaseMs[phase] = monotonicMs - trace.markMs;
  trace.markMs = monotonicMs;
}

/** All that was found out, with the decision that came of it; `endMs` is monotonic, and by default now. */
export function toOutcome(
  ports: AuthorizePorts,
  trace: Trace,
  decision: Decision,
  endMs: number = readClock(ports).monotonicMs,
): Outcome {
  trace.phaseMs.total = Math.max(0, endMs - trace.at.monotonicMs);
  return new DecidedOutcome(trace, decision);
}

/** A class, so that its many members, each there or not, lie in the object itself. */
class DecidedOutcome implements Outcome {
  readonly decisionId: string;
  readonly decision: Decision;
  readonly at: Instant;
  readonly request: AccessRequest | UnreadableRequest;
  readonly overBudget: boolean;
  readonly phaseMs: Outcome['phaseMs'];
  declare readonly generation?: Generation;
  declare readonly named?: NamedDecision;
  declare readonly authentication?: Authentication;
  declare readonly principal?: Principal;
  declare readonly peer?: Peer;
  declare readonly inspected?: Inspected | InspectionRefused;
  declare readonly quota?: QuotaState;
  declare readonly plans?: readonly ChargePlan[];
  declare readonly take?: Take;
  declare readonly reservationId?: string;
  declare readonly result?: unknown;
  declare readonly observed?: Deny;
  declare readonly cause?: string;

  constructor(trace: Trace, decision: Decision) {
    const { authentication } = trace;
    this.decisionId = trace.decisionId;
    this.decision = decision;
    this.at = trace.at;
    this.request = trace.request;
    this.overBudget = trace.overBudget;
    this.phaseMs = trace.phaseMs;
    if (trace.generation !== undefined) this.generation = trace.generation;
    if (trace.named !== undefined) this.named = trace.named;
    if (trace.inspected !== undefined) this.inspected = trace.inspected;
    if (trace.quota !== undefined) this.quota = trace.quota;
    if (trace.plans !== undefined) this.plans = trace.plans;
    if (trace.take !== undefined) {
      this.take = trace.take;
      if (trace.take.reservationId !== undefined) this.reservationId = trace.take.reservationId;
    }
    if (trace.result !== undefined) this.result = trace.result;
    if (trace.cause !== undefined) this.cause = trace.cause;
    if (trace.observed !== undefined) this.observed = trace.observed;
    if (authentication === undefined) return;
    this.authentication = authentication;
    if (authentication.kind === 'refused') {
      if (authentication.peer !== undefined) this.peer = authentication.peer;
      return;
    }
    if (authentication.kind === 'verified') this.principal = authentication.principal;
    if (authentication.peer !== null) this.peer = authentication.peer;
  }
}
