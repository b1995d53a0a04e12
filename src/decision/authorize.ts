import type { AccessRequest, UnreadableRequest } from './access-request.ts';
import { missingLimits, parsePlans, type QuotaState, type TakeResult } from './charges.ts';
import { createCredentialMask } from './credential-mask.ts';
import { createDeadline, type Deadline } from './deadline.ts';
import { Allow, type Decision, type Deny, deny, denyAnonymous, parseVerdict, verdictFault } from './decision.ts';
import { unsupportedByDoor } from './door-limits.ts';
import { RequestFault } from './errors.ts';
import { toPolicyInput } from './input.ts';
import type {
  Authorize,
  AuthorizePorts,
  Evaluation,
  Generation,
  Inspected,
  InspectionRefused,
  Instant,
  NamedDecision,
  Outcome,
  Phase,
} from './ports.ts';
import type { Authentication } from './principal.ts';
import { withEveryLimit } from './quota-state.ts';

/** Envoy's per-route context extension that picks one of the decisions that local config names. */
const DECISION_EXTENSION = 'sallyport.decision';

/**
 * The way of a request: identify → inspect → meter → decide. It starts as nothing and becomes an Allow only through
 * `parseVerdict`; it never throws and never answers later than the request's deadline.
 */
export function createAuthorize(ports: AuthorizePorts): Authorize {
  return async (request) => {
    const trace = startTrace(ports, request);
    if ('unreadable' in request) {
      trace.cause = request.unreadable.cause;
      return toOutcome(ports, trace, deny(request.unreadable.code));
    }
    const deadline = createDeadline(ports, trace.at, request.deadlineMs);
    try {
      const decision = await decide(ports, request, trace, deadline);
      deadline.check();
      return toOutcome(ports, trace, decision);
    } catch (error) {
      const code = error instanceof RequestFault ? error.code : 'internal';
      trace.cause = causeOf(error);
      giveBack(ports, trace);
      return toOutcome(ports, trace, deny(code));
    } finally {
      deadline.stop();
    }
  };
}

/** What is known of a request so far; filled in step by step, so that a fault is recorded with what came before it. */
interface Trace {
  readonly decisionId: string;
  readonly at: Instant;
  readonly request: AccessRequest | UnreadableRequest;
  readonly generation: Generation | undefined;
  readonly phaseMs: Partial<Record<Phase | 'total', number>>;
  markMs: number;
  named?: NamedDecision;
  authentication?: Authentication;
  inspected?: Inspected | InspectionRefused;
  quota?: QuotaState;
  takeId: string | undefined;
  result?: unknown;
  cause: string | undefined;
  overBudget: boolean;
}

function startTrace(ports: AuthorizePorts, request: AccessRequest | UnreadableRequest): Trace {
  const at = ports.clock.now();
  return {
    decisionId: ports.newDecisionId(),
    at,
    request,
    // INVARIANT: read once; no step asks for the current generation again.
    generation: ports.currentGeneration(),
    phaseMs: {},
    takeId: undefined,
    cause: undefined,
    markMs: at.monotonicMs,
    overBudget: false,
  };
}

async function decide(
  ports: AuthorizePorts,
  request: AccessRequest,
  trace: Trace,
  deadline: Deadline,
): Promise<Decision> {
  const { generation } = trace;
  if (generation === undefined) throw new RequestFault('no_bundle', 'no bundle is active yet');
  const named = nameDecision(ports, request);
  trace.named = named;

  const authentication = await deadline.wait(ports.authenticate(request, trace.at));
  trace.authentication = authentication;
  mark(ports, trace, 'identify');
  if (authentication.kind === 'refused') {
    trace.cause = authentication.cause;
    const { code, challenge } = authentication;
    return deny(code, challenge === undefined ? {} : { headers: [['www-authenticate', challenge]] });
  }

  const principal = authentication.kind === 'verified' ? authentication.principal : undefined;
  const routing = named.result === 'sallyport' ? 'required' : 'optional';
  const inspected = generation.inspect(request, principal, authentication.peer, routing);
  trace.inspected = inspected;
  mark(ports, trace, 'inspect');
  if (inspected.kind === 'refused') {
    trace.cause = inspected.cause;
    if (principal === undefined && inspected.dependsOnRoute) return denyAnonymous(inspected.code);
    return deny(inspected.code, { headers: inspected.headers ?? [] });
  }

  const exposed = ports.exposeCredentials && named.result === 'opa-envoy';
  const mask = () => (exposed ? unmasked : createCredentialMask(principal, ports.digest));
  const sources = { request, inspected, principal, peer: authentication.peer, mask };
  const evaluate = (entrypoint: string): Evaluation => {
    const evaluation = generation.evaluate(entrypoint, toPolicyInput({ ...sources, quota: trace.quota }), trace.at);
    if (evaluation.overBudget) trace.overBudget = true;
    return evaluation;
  };

  const refusal = named.limits === undefined ? undefined : await meter(ports, trace, deadline, named.limits, evaluate);
  mark(ports, trace, 'meter');

  const context = {
    shape: named.result,
    allowRedirects: ports.allowRedirects,
    anonymous: principal === undefined,
    owned: { decisionId: trace.decisionId, tenant: principal?.tenant, roles: principal?.roles ?? [] },
    stripHeaders: authentication.stripHeaders,
  };
  trace.result = evaluate(named.decision).value;
  let decision = parseVerdict(trace.result, context);
  mark(ports, trace, 'decide');
  if (decision.kind === 'deny' && decision.code !== 'policy_denied') trace.cause = verdictFault(trace.result, context);
  if (refusal !== undefined) decision = shapedBy(refusal, decision);
  const unsupported = Allow.is(decision) ? unsupportedByDoor(decision, request) : undefined;
  if (unsupported !== undefined) {
    trace.cause = unsupported;
    decision = deny('unsupported_by_door');
  }
  if (decision.kind === 'deny') giveBack(ports, trace);
  return decision;
}

function nameDecision(ports: AuthorizePorts, request: AccessRequest): NamedDecision {
  const name = request.contextExtensions.get(DECISION_EXTENSION) ?? 'default';
  const named = ports.decisions.get(name);
  if (named === undefined) {
    throw new RequestFault('unknown_decision', `\`policy.decisions\` has no \`${name.slice(0, 64)}\``);
  }
  return named;
}

/**
 * One atomic take of what the policy charges. Answers the Deny that stands whatever the decision says, or `undefined`
 * when a plan was taken. Forgetting denies: every limit that the route requires must be in every plan.
 */
async function meter(
  ports: AuthorizePorts,
  trace: Trace,
  deadline: Deadline,
  entrypoint: string,
  evaluate: (entrypoint: string) => Evaluation,
): Promise<Deny | undefined> {
  const { request, inspected, authentication } = trace;
  if (inspected?.kind !== 'inspected' || authentication === undefined || authentication.kind === 'refused') {
    throw new RequestFault('internal', 'metering before inspection');
  }
  const { value } = evaluate(entrypoint);
  const plans = parsePlans(value, {
    method: 'method' in request ? request.method : '',
    inspected,
    principal: authentication.kind === 'verified' ? authentication.principal : undefined,
    peer: authentication.peer,
  });
  const required = inspected.route?.requiredLimits ?? [];
  const missing = missingLimits(plans, required);
  if (missing.length > 0) {
    throw new RequestFault('quota_missing', `\`${entrypoint}\` charges nothing for \`${missing.join('`, `')}\``);
  }
  const taken = await deadline.wait(ports.quota.take(plans, trace.at), (late: TakeResult) => {
    if (late.kind === 'taken' && late.takeId !== undefined) releaseLater(ports, late.takeId);
  });
  trace.quota = withEveryLimit(taken.state, plans, required);
  switch (taken.kind) {
    case 'taken':
      trace.takeId = taken.takeId;
      return undefined;
    case 'exceeded':
      trace.cause = 'no plan fits what is left';
      return deny('quota_exceeded');
    case 'unavailable':
      trace.cause = taken.cause;
      return deny('quota_unavailable');
  }
}

/** A denying verdict may add headers, body and metadata to a refusal of the quota; it cannot lift it. */
function shapedBy(refusal: Deny, verdict: Decision): Deny {
  if (verdict.kind === 'allow' || verdict.code !== 'policy_denied') return refusal;
  const { reasons, headers, body, metadata } = verdict;
  return { ...refusal, reasons, headers, metadata, ...(body === undefined ? {} : { body }) };
}

function giveBack(ports: AuthorizePorts, trace: Trace): void {
  const { takeId } = trace;
  if (takeId === undefined) return;
  trace.takeId = undefined;
  releaseLater(ports, takeId);
}

/** After the reply: a timer of 0 ms runs once the answer was handed to the socket. Failure is the store's to count. */
function releaseLater(ports: AuthorizePorts, takeId: string): void {
  ports.startTimer(0, () => {
    ports.quota.release(takeId).catch(() => undefined);
  });
}

function unmasked<T>(value: T): T {
  return value;
}

function mark(ports: AuthorizePorts, trace: Trace, phase: Phase): void {
  const { monotonicMs } = ports.clock.now();
  trace.phaseMs[phase] = monotonicMs - trace.markMs;
  trace.markMs = monotonicMs;
}

function toOutcome(ports: AuthorizePorts, trace: Trace, decision: Decision): Outcome {
  const { authentication, generation, named, inspected, quota, result, cause } = trace;
  trace.phaseMs.total = ports.clock.now().monotonicMs - trace.at.monotonicMs;
  const outcome: { -readonly [member in keyof Outcome]: Outcome[member] } = {
    decisionId: trace.decisionId,
    decision,
    at: trace.at,
    request: trace.request,
    overBudget: trace.overBudget,
    phaseMs: trace.phaseMs,
  };
  if (generation !== undefined) outcome.generation = generation;
  if (named !== undefined) outcome.named = named;
  if (inspected !== undefined) outcome.inspected = inspected;
  if (quota !== undefined) outcome.quota = quota;
  if (result !== undefined) outcome.result = result;
  if (cause !== undefined) outcome.cause = cause;
  if (authentication === undefined || authentication.kind === 'refused') return outcome;
  if (authentication.kind === 'verified') outcome.principal = authentication.principal;
  if (authentication.peer !== null) outcome.peer = authentication.peer;
  return outcome;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'a value that is no error was thrown';
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
