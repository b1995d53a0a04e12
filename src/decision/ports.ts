import type { AccessRequest, UnreadableRequest } from './access-request.ts';
import type { ChargePlan, QuotaState, Take, TakeRequest, TakeResult } from './charges.ts';
import type { Decision, Deny } from './decision.ts';
import type { CoreCode } from './errors.ts';
import type { PolicyInput } from './input.ts';
import type { JsonValue } from './json.ts';
import type { Authentication, Peer, Principal } from './principal.ts';
import type { Explain } from './rule-trace.ts';

/**
 * The one thing this service does. Everything cross-cutting wraps it: `withMetrics(withDecisionLog(authorize))`. A promise
 * is answered only where something is really waited for.
 */
export type Authorize = (request: AccessRequest | UnreadableRequest) => Outcome | Promise<Outcome>;

/** A reading of both clocks, taken once per request and used by every step of it. */
export interface Instant {
  readonly epochMs: number;
  readonly monotonicMs: number;
}

export interface Clock {
  now(): Instant;
}

/** Calls `late` once after `delayMs` unless the returned function is called first. */
export type StartTimer = (delayMs: number, late: () => void) => () => void;

/** Verifies what the request presents. Never throws for a bad credential: that is a `refused`. */
export type Authenticate = (request: AccessRequest, at: Instant) => Promise<Authentication> | Authentication;

/** Everything about the request that policy and limits may read, in canonical form. */
export interface Inspected {
  readonly kind: 'inspected';
  /** Canonical path without query. */
  readonly path: string;
  /** Lower case, without port; absent when the request named none. */
  readonly host?: string;
  readonly contentType?: string;
  readonly size: PayloadSize;
  /** `null` when the generation has no matching route; then only a decision with `routes: optional` goes on. */
  readonly route: MatchedRoute | null;
  readonly network: Network;
  readonly inference?: Inference;
  /** opa-envoy-plugin's own readings of path, query and body; each throws a `RequestFault` where that plugin denies. */
  readonly plugin: PluginReadings;
}

export type PayloadSize =
  | { readonly known: true; readonly bytes: number }
  | { readonly known: false; readonly at_least: number };

export interface MatchedRoute {
  readonly name: string;
  readonly tenant?: string;
  readonly model?: string;
  readonly operation?: string;
  readonly params: { readonly [name: string]: string };
  /** Names of the limits that the route data requires; each must be among the charges. */
  readonly requiredLimits: readonly string[];
}

export interface Network {
  readonly client_ip?: string;
  readonly country?: string;
  readonly asn?: number;
}

/** From the body; a field of the wrong type is a malformed request, never a missing field. */
export interface Inference {
  readonly model?: string;
  readonly stream?: boolean;
  readonly max_tokens?: number;
  readonly candidates?: number;
  readonly estimated_prompt_tokens?: number;
  readonly message_count?: number;
}

export interface PluginReadings {
  parsedPath(): readonly string[];
  parsedQuery(): { readonly [name: string]: readonly string[] };
  parsedBody(): JsonValue;
  truncatedBody(): boolean;
}

export interface InspectionRefused {
  readonly kind: 'refused';
  readonly code: CoreCode;
  /** For logs: names the fault, never the content. */
  readonly cause: string;
  /** Whether the answer would tell an anonymous caller which paths exist. */
  readonly dependsOnRoute: boolean;
  /** What was established before the refusal, for the decision event. */
  readonly path?: string;
  readonly route?: string;
  readonly network?: Network;
  /** Response headers that belong to the refusal, such as `allow` with a 405. */
  readonly headers?: readonly (readonly [string, string])[];
}

export type Inspect = (
  request: AccessRequest,
  principal: Principal | undefined,
  peer: Peer | null,
  routing: 'required' | 'optional',
) => Inspected | InspectionRefused;

/** Evaluates one entrypoint. Throws a `RequestFault` (`policy_error`, `policy_budget`) when it has no answer. */
export type Evaluate = (entrypoint: string, input: PolicyInput, at: Instant) => Evaluation;

/** Throws as {@link Evaluate} does, also when the text is no JSON. */
export type EvaluateText = (entrypoint: string, input: string, at: Instant) => Evaluation;

export interface Evaluation {
  /** `undefined` when the entrypoint is undefined for this input. */
  readonly value: unknown;
  readonly overBudget: boolean;
  /** What it took, where the engine counts: a step is some 10 ns of work. */
  readonly steps?: number;
}

/** A decision that local config names; what a bundle says of itself is never enough. */
export interface NamedDecision {
  readonly name: string;
  readonly decision: string;
  readonly limits?: string;
  readonly result: ResultShape;
}

export type ResultShape = 'sallyport' | 'opa-envoy';

/** One activated set of bundles: pinned by a request at its start and kept across every `await`. */
export interface Generation {
  /** Counts activations in this process. */
  readonly number: number;
  readonly revisions: ReadonlyMap<string, string>;
  readonly inspect: Inspect;
  readonly evaluate: Evaluate;
  /** The same of an input that is JSON text already, such as a recorded one. Off the way of a request. */
  readonly evaluateText: EvaluateText;
  /** Paths of `input` that an entrypoint can read, dotted; `[]` for an unknown entrypoint. */
  readonly inputPaths: (entrypoint: string) => readonly string[];
  /** How an evaluation comes about, for operators; absent where that is not known. */
  readonly explain?: Explain;
  /** Whether a text is a constant of the policy, and so cannot carry a caller's secret into the log. */
  readonly isPolicyConstant: (text: string) => boolean;
  /** What a part of the verified is decided by instead; absent when nothing is under trial. */
  readonly canary?: Canary;
}

/** A generation under trial. */
export interface Canary {
  readonly generation: Generation;
  /** Whether it decides for this caller: by what was verified alone, so that nobody chooses. The anonymous never. */
  includes(principal: Principal): boolean;
}

/** Takes charges atomically: the first plan that fits, the whole of it, or nothing. */
export interface Quota {
  take(request: TakeRequest, at: Instant): Promise<TakeResult> | TakeResult;
}

/** Who a refusal is counted against: every part that is known counts by itself. */
export interface Offender {
  /** In canonical form. */
  readonly clientIp?: string;
  /** Of a key that exists. */
  readonly keyId?: string;
  readonly peer?: Peer;
}

/**
 * Who keeps being refused. Never asked about a request whose credential verified, so that nobody can be locked out by
 * what others send from his address.
 */
export interface Refusals {
  /** Whether this request is answered 429 without another look. */
  isRepeated(offender: Offender, at: Instant): boolean;
  count(offender: Offender, at: Instant): void;
}

/** What each caller may take of the processor with evaluations. A caller is his tenant; the anonymous are one. */
export interface PolicyShare {
  /** Whether an evaluation may begin. */
  admits(principal: Principal | undefined, at: Instant): boolean;
  spend(principal: Principal | undefined, steps: number, at: Instant): void;
}

export interface AuthorizePorts {
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly newDecisionId: () => string;
  readonly authenticate: Authenticate;
  readonly refusals: Refusals;
  /** The client's canonical address by local config; `undefined` when there is none that can be believed. */
  readonly clientIp: (request: AccessRequest) => string | undefined;
  /** The generation in force, `undefined` before the first activation. */
  readonly currentGeneration: () => Generation | undefined;
  readonly quota: Quota;
  /** Nobody is held to a share without it. */
  readonly policyShare?: PolicyShare;
  readonly decisions: ReadonlyMap<string, NamedDecision>;
  /** Whether denials of this route are recorded and not made, by local config; never, where it is absent. */
  readonly observes?: (route: MatchedRoute, at: Instant) => boolean;
  readonly allowRedirects: boolean;
  /** Whether verified credentials may stay readable in the input of an `opa-envoy` decision. */
  readonly exposeCredentials: boolean;
  /** `sha256:` and the hex digest of a text: what stands in `input` for a verified credential. */
  readonly digest: (text: string) => string;
  /** The longest any request may wait, for callers that name no deadline. */
  readonly maxWaitMs: number;
}

export type Phase = 'identify' | 'inspect' | 'meter' | 'decide';

/** A decision with all that its event and metrics need. Doors read only `decision` and `decisionId`. */
export interface Outcome {
  readonly decisionId: string;
  readonly decision: Decision;
  readonly at: Instant;
  readonly request: AccessRequest | UnreadableRequest;
  readonly generation?: Generation;
  readonly named?: NamedDecision;
  /** What identity found, where it came to that. */
  readonly authentication?: Authentication;
  readonly principal?: Principal;
  readonly peer?: Peer;
  readonly inspected?: Inspected | InspectionRefused;
  readonly quota?: QuotaState;
  /** What `quota` speaks of. */
  readonly plans?: readonly ChargePlan[];
  /** What was charged: whoever makes a denial of an Allow gives it back. */
  readonly take?: Take;
  /** By which what is held can be settled; for the gateway's metering and operators, never for clients. */
  readonly reservationId?: string;
  /** The raw policy result, as evaluated. */
  readonly result?: unknown;
  /** The denial that an Allow stands in for, on a route that is observed. */
  readonly observed?: Deny;
  /** For logs only. */
  readonly cause?: string;
  readonly overBudget: boolean;
  readonly phaseMs: Readonly<Partial<Record<Phase | 'total', number>>>;
}
