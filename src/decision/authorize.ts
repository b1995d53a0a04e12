import type { AccessRequest } from './access-request.ts';
import { createCredentialMask } from './credential-mask.ts';
import { createDeadlines, type Deadline } from './deadline.ts';
import {
  Allow,
  type Decision,
  type Deny,
  deny,
  denyAnonymous,
  parseVerdict,
  type VerdictContext,
  verdictFault,
} from './decision.ts';
import { unsupportedByDoor } from './door-limits.ts';
import { type CoreCode, RequestFault } from './errors.ts';
import { giveBack, releaseLate } from './giving-back.ts';
import { overlaid } from './header-changes.ts';
import { type InputSources, type PolicyInput, toPolicyInput } from './input.ts';
import { judgeTake, noticeOf, takesNothing, toPlans, toTakeRequest } from './metering.ts';
import { demandShare, evaluate } from './policy-share.ts';
import type { Authorize, AuthorizePorts, Generation, NamedDecision, Outcome } from './ports.ts';
import type { Authentication } from './principal.ts';
import { accepted, generationFor, identified, mark, pinned, Trace, toOutcome } from './trace.ts';

/** Envoy's per-route context extension that picks one of the decisions that local config names. */
const DECISION_EXTENSION = 'sallyport.decision';

/**
 * The way of a request: identify → inspect → meter → decide. It starts as nothing and becomes an Allow only through
 * `parseVerdict`; it never throws and never answers later than the request's deadline.
 */
export function createAuthorize(ports: AuthorizePorts): Authorize {
  const startDeadline = createDeadlines(ports);
  return (request) => {
    const trace = new Trace(ports, request);
    if ('unreadable' in request) {
      trace.cause = request.unreadable.cause;
      return toOutcome(ports, trace, deny(request.unreadable.code));
    }
    const run: Run = { ports, request, trace, deadline: startDeadline(trace.at, request.deadlineMs) };
    let decision: Decision | Promise<Decision>;
    try {
      pinned(trace);
      trace.named = nameDecision(ports, request);
      const found = ports.authenticate(request, trace.at);
      // Only what is really a promise is waited for: a request that needs none is decided at once.
      decision =
        found instanceof Promise ? run.deadline.wait(found).then((late) => decide(run, late)) : decide(run, found);
      if (!(decision instanceof Promise)) return ended(run, decision);
    } catch (error) {
      return failed(run, error);
    }
    return decision.then(
      (late) => endedLate(run, late),
      (error: unknown) => failed(run, error),
    );
  };
}

/** One request on its way. */
interface Run {
  readonly ports: AuthorizePorts;
  readonly request: AccessRequest;
  readonly trace: Trace;
  readonly deadline: Deadline;
}

/** From who it is to what is decided. */
function decide(run: Run, authentication: Authentication): Decision | Promise<Decision> {
  const { ports, request, trace } = run;
  const named = trace.named ?? nameDecision(ports, request);
  trace.authentication = authentication;
  const generation = generationFor(trace, authentication);
  mark(ports, trace, 'identify');
  const refused =
    repeatedRefusal(ports, request, trace, authentication) ??
    refusedIdentity(trace, authentication) ??
    inspect(ports, request, trace, generation, named);
  if (refused !== undefined) return refused;

  const sources = toSources(ports, request, trace, named);
  const metered: Metered = { named, generation, sources, input: toPolicyInput(sources) };
  demandShare(ports, trace);
  const result =
    named.limits === undefined ? undefined : evaluate(ports, trace, generation, named.limits, metered.input);
  const plans = toPlans(trace, named, result);
  if (plans === undefined) return decideMetered(run, metered, undefined);
  trace.plans = plans;
  const taking = takesNothing(trace, plans) ?? ports.quota.take(toTakeRequest(trace, plans), trace.at);
  if (!(taking instanceof Promise)) return decideMetered(run, metered, judgeTake(trace, taking, plans));
  return run.deadline
    .wait(taking, (late) => releaseLate(ports, late))
    .then((taken) => decideMetered(run, metered, judgeTake(trace, taken, plans)));
}

/** What the decision is evaluated with once the quota is known. */
interface Metered {
  readonly named: NamedDecision;
  readonly generation: Generation;
  readonly sources: Sources;
  readonly input: PolicyInput;
}

function decideMetered(run: Run, { named, generation, sources, input }: Metered, refusal: Deny | undefined): Decision {
  const { ports, request, trace } = run;
  sources.quota = trace.quota;
  mark(ports, trace, 'meter');
  trace.result = evaluate(ports, trace, generation, named.decision, input);
  return conclude(ports, request, trace, named, refusal);
}

/** A decision that came too late is none. */
function ended({ ports, trace, deadline }: Run, decision: Decision): Outcome {
  const { monotonicMs } = ports.clock.now();
  deadline.check(monotonicMs);
  deadline.stop();
  if (decision.kind === 'deny') countRefusal(ports, trace, decision);
  return toOutcome(ports, trace, decision, monotonicMs);
}

function endedLate(run: Run, decision: Decision): Outcome {
  try {
    return ended(run, decision);
  } catch (error) {
    return failed(run, error);
  }
}

function failed({ ports, trace, deadline }: Run, error: unknown): Outcome {
  deadline.stop();
  const code = error instanceof RequestFault ? error.code : 'internal';
  if (code === 'policy_budget') trace.overBudget = true;
  trace.cause = causeOf(error);
  giveBack(ports, trace);
  return toOutcome(ports, trace, deny(code));
}

/** Whoever is refused again and again is not looked at any further; a credential that verifies is never in question. */
function repeatedRefusal(
  ports: AuthorizePorts,
  request: AccessRequest,
  trace: Trace,
  authentication: Authentication,
): Deny | undefined {
  // A preflight has no credential to show, and browsers behind one address share what is counted there.
  if (authentication.kind === 'verified') return undefined;
  if (authentication.kind === 'anonymous' && request.method === 'OPTIONS') return undefined;
  const clientIp = ports.clientIp(request);
  const { peer } = authentication;
  const keyId = authentication.kind === 'refused' ? authentication.keyId : undefined;
  trace.offender = {
    ...(clientIp === undefined ? {} : { clientIp }),
    ...(keyId === undefined ? {} : { keyId }),
    ...(peer === undefined || peer === null ? {} : { peer }),
  };
  if (!ports.refusals.isRepeated(trace.offender, trace.at)) return undefined;
  trace.cause = 'too many refusals of this caller';
  return deny('too_many_refusals');
}

/** What a client can do nothing about is not counted against him. */
function countRefusal({ refusals }: AuthorizePorts, { offender, at }: Trace, { code, status }: Deny): void {
  if (offender === undefined || status >= 500 || code === 'too_many_refusals') return;
  refusals.count(offender, at);
}

function refusedIdentity(trace: Trace, authentication: Authentication): Deny | undefined {
  if (authentication.kind !== 'refused') return undefined;
  trace.cause = authentication.cause;
  const { code, challenge } = authentication;
  return deny(code, challenge === undefined ? {} : { headers: [['www-authenticate', challenge]] });
}

/** The Deny of a request that may not reach the policy, `undefined` when it may. */
function inspect(
  ports: AuthorizePorts,
  request: AccessRequest,
  trace: Trace,
  generation: Generation,
  named: NamedDecision,
): Deny | undefined {
  const { principal, peer } = identified(trace);
  const routing = named.result === 'sallyport' ? 'required' : 'optional';
  const inspected = generation.inspect(request, principal, peer, routing);
  trace.inspected = inspected;
  mark(ports, trace, 'inspect');
  if (inspected.kind !== 'refused') return undefined;
  trace.cause = inspected.cause;
  if (principal === undefined && inspected.dependsOnRoute) return denyAnonymous(inspected.code);
  return deny(inspected.code, { headers: inspected.headers ?? [] });
}

function toSources(ports: AuthorizePorts, request: AccessRequest, trace: Trace, named: NamedDecision): Sources {
  const { principal, peer } = identified(trace);
  const exposed = ports.exposeCredentials && named.result === 'opa-envoy';
  const mask = () => (exposed ? unmasked : createCredentialMask(principal, ports.digest));
  return { request, inspected: accepted(trace), principal, peer, mask, quota: undefined };
}

/** The quota is known only after `limits` was evaluated. */
type Sources = Omit<InputSources, 'quota'> & { quota: InputSources['quota'] };

/** What the policy's result says beside what the core insists on. */
function conclude(
  ports: AuthorizePorts,
  request: AccessRequest,
  trace: Trace,
  named: NamedDecision,
  refusal: Deny | undefined,
): Decision {
  const { principal, stripHeaders } = identified(trace);
  const quota = noticeOf(trace, refusal);
  const context = {
    shape: named.result,
    allowRedirects: ports.allowRedirects,
    anonymous: principal === undefined,
    owned: { decisionId: trace.decisionId, tenant: principal?.tenant, roles: principal?.roles ?? [] },
    stripHeaders,
    quota,
    reservationId: quota === undefined ? undefined : trace.take?.reservationId,
  };
  let decision = parseVerdict(trace.result, context);
  mark(ports, trace, 'decide');
  if (decision.kind === 'deny' && decision.code !== 'policy_denied') trace.cause = verdictFault(trace.result, context);
  if (refusal !== undefined) decision = shapedBy(refusal, decision, principal === undefined);
  const unsupported = Allow.is(decision) ? unsupportedByDoor(decision, request) : undefined;
  if (unsupported !== undefined) {
    trace.cause = unsupported;
    decision = deny('unsupported_by_door');
  }
  if (decision.kind === 'deny') decision = observed(ports, trace, decision, context) ?? decision;
  if (decision.kind === 'deny') giveBack(ports, trace);
  return decision;
}

/**
 * What stands in for a denial of an observed route: an Allow that sets what every Allow sets. Only what policy and
 * quota decided is observed; what could not be decided is denied there as everywhere.
 */
function observed(ports: AuthorizePorts, trace: Trace, denial: Deny, context: VerdictContext): Decision | undefined {
  const { route } = accepted(trace);
  if (ports.observes === undefined || route === null || !OBSERVABLE.has(denial.code)) return undefined;
  if (!ports.observes(route, trace.at)) return undefined;
  const standIn = parseVerdict(OBSERVED_VERDICT, { ...context, shape: 'sallyport' });
  if (!Allow.is(standIn)) return undefined;
  trace.observed = denial;
  return standIn;
}

const OBSERVABLE: ReadonlySet<CoreCode> = new Set(['policy_denied', 'quota_exceeded', 'cost_exceeds_limit'] as const);
const OBSERVED_VERDICT = { allow: true, reasons: ['observed'] };

function nameDecision(ports: AuthorizePorts, request: AccessRequest): NamedDecision {
  const name = request.contextExtensions.get(DECISION_EXTENSION) ?? 'default';
  const named = ports.decisions.get(name);
  if (named === undefined) {
    throw new RequestFault('unknown_decision', `\`policy.decisions\` has no \`${name.slice(0, 64)}\``);
  }
  return named;
}

/**
 * A denying verdict may add headers, body and metadata to a refusal of the quota; it cannot lift it. The anonymous whom
 * the policy denies are told that and no more: where limits are is where routes are.
 */
function shapedBy(refusal: Deny, verdict: Decision, anonymous: boolean): Deny {
  if (verdict.kind === 'allow' || verdict.code !== 'policy_denied') return refusal;
  if (anonymous) return { ...verdict, code: refusal.code };
  const { reasons, headers, body, metadata } = verdict;
  return {
    ...refusal,
    reasons,
    headers: overlaid(headers, refusal.headers),
    metadata,
    ...(body === undefined ? {} : { body }),
  };
}

function unmasked<T>(value: T): T {
  return value;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'a value that is no error was thrown';
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
