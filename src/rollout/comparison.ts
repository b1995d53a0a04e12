import type { ChargePlan } from '../decision/charges.ts';
import { type Decision, OWNED_HEADERS } from '../decision/decision.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { HeaderPairs } from '../decision/header-changes.ts';
import type { Outcome } from '../decision/ports.ts';

/** What differs between two decisions of one request. */
export interface Comparison {
  /** The gravest that differs, `same` when nothing does. */
  readonly result: ComparisonResult;
  readonly stable: Side;
  readonly candidate: Side;
  /** Every part that differs. */
  readonly parts: readonly ComparedPart[];
}

export const COMPARISON_RESULTS = ['same', 'error', 'allow_to_deny', 'deny_to_allow', 'changed'] as const;

export type ComparisonResult = (typeof COMPARISON_RESULTS)[number];

export type ComparedPart = 'decision' | 'code' | 'status' | 'reasons' | 'headers' | 'upstream' | 'charges' | 'budget';

/** One side, without anything that a caller sent. */
export interface Side {
  readonly decision: 'allow' | 'deny';
  readonly code?: CoreCode;
  readonly status?: number;
  /** Constants of the policy only. */
  readonly reasons: readonly string[];
}

/**
 * Compares what the bundle in force and the candidate said; `undefined` where one of them said nothing, because something
 * around it failed. `exact`: both were decided the same way, so that headers can be compared too.
 */
export function compareOutcomes(stable: Outcome, candidate: Outcome, exact: boolean): Comparison | undefined {
  const before = toSide(stable);
  const after = toSide(candidate);
  if (isOutside(before)) return undefined;
  const late = after.code === 'deadline' && (exact || candidate.overBudget);
  if (isOutside(after) && !late) return undefined;
  const parts = differingParts(stable, candidate, before, after, exact);
  const failed = (late || isFailure(after)) && !isFailure(before);
  return { result: resultOf(failed, before, after, parts), stable: before, candidate: after, parts };
}

/** Codes by which the policy itself failed, whatever was asked. */
const FAILURES: ReadonlySet<CoreCode> = new Set([
  'invalid_charges',
  'quota_missing',
  'undefined_verdict',
  'invalid_verdict',
  'unperformed_obligation',
  'policy_error',
  'policy_budget',
  'unsupported_by_door',
  'internal',
] as const);

/** Codes by which nothing is said of a policy. */
const OUTSIDE: ReadonlySet<CoreCode> = new Set([
  'invalid_credential',
  'issuer_unavailable',
  'too_many_refusals',
  'quota_unavailable',
  'overloaded',
  'deadline',
  'no_bundle',
  'unknown_decision',
] as const);

/** Whether a decision looks like a failure of the policy that made it. */
export function isSuspect({ decision, overBudget }: Outcome): boolean {
  return overBudget || (decision.kind === 'deny' && FAILURES.has(decision.code));
}

function isFailure({ code }: Side): boolean {
  return code !== undefined && FAILURES.has(code);
}

function isOutside({ code }: Side): boolean {
  return code !== undefined && OUTSIDE.has(code);
}

/** What a denial that is only observed would have been. */
function decided({ decision, observed }: Outcome): Decision {
  return observed ?? decision;
}

function toSide(outcome: Outcome): Side {
  const decision = decided(outcome);
  const isConstant = outcome.generation?.isPolicyConstant;
  const reasons = decision.reasons.filter((reason) => isConstant?.(reason) === true).slice(0, 4);
  if (decision.kind === 'allow') return { decision: 'allow', reasons };
  return { decision: 'deny', code: decision.code, status: decision.status, reasons };
}

function resultOf(failed: boolean, before: Side, after: Side, parts: readonly ComparedPart[]): ComparisonResult {
  if (failed) return 'error';
  if (before.decision !== after.decision) return after.decision === 'deny' ? 'allow_to_deny' : 'deny_to_allow';
  return parts.length === 0 ? 'same' : 'changed';
}

function differingParts(
  stable: Outcome,
  candidate: Outcome,
  before: Side,
  after: Side,
  exact: boolean,
): readonly ComparedPart[] {
  const parts: ComparedPart[] = [];
  if (before.decision !== after.decision) parts.push('decision');
  if (before.code !== after.code) parts.push('code');
  if (before.status !== after.status) parts.push('status');
  if (!isSame(sorted(before.reasons), sorted(after.reasons))) parts.push('reasons');
  const [old, now] = [decided(stable), decided(candidate)];
  if (upstreamOf(old) !== upstreamOf(now)) parts.push('upstream');
  if (exact && before.decision === after.decision && !isSame(headersOf(old), headersOf(now))) parts.push('headers');
  if (!isSame(chargesOf(stable.plans), chargesOf(candidate.plans))) parts.push('charges');
  if (exact && stable.overBudget !== candidate.overBudget) parts.push('budget');
  return parts;
}

function upstreamOf(decision: Decision): string | undefined {
  if (decision.kind === 'deny') return undefined;
  return decision.setHeaders.find(([name]) => name === OWNED_HEADERS.upstream)?.[1];
}

/** All headers and queries that a decision changes. */
function headersOf(decision: Decision): readonly (HeaderPairs | readonly string[])[] {
  if (decision.kind === 'deny') return [decision.headers];
  const { setHeaders, removeHeaders, responseHeaders, querySet, queryRemove } = decision;
  return [setHeaders, removeHeaders, responseHeaders, querySet, queryRemove];
}

function chargesOf(plans: readonly ChargePlan[] | undefined): unknown {
  return plans?.map((plan) => plan.map(({ terms, key }) => [terms, key]));
}

function sorted(texts: readonly string[]): readonly string[] {
  return [...texts].sort();
}

/** Off the reply path: as text, which is what both would be sent as. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
