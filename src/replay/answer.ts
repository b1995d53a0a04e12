import { type Decision, OWNED_HEADERS } from '../decision/decision.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { Outcome } from '../decision/ports.ts';
import { fieldsOf } from './known-input.ts';
import { type ChargedLimit, chargedBy } from './recorded-charges.ts';
import type { RecordedDecision } from './recorded-event.ts';

/** What a request was, or would be, told, and what it was charged. */
export interface Answer {
  readonly kind: 'allow' | 'deny';
  readonly code?: CoreCode;
  readonly status?: number;
  readonly reasons: readonly string[];
  /** `null`: none; `undefined`: not known. */
  readonly upstream: string | null | undefined;
  readonly charged: readonly ChargedLimit[];
}

/** What one answer has that another has not; `reasons` are for events only, no client sees them. */
export type Change = 'allow_to_deny' | 'deny_to_allow' | 'status' | 'upstream' | 'reasons';

/** What an event says that was answered. */
export function recordedAnswer(event: RecordedDecision): Answer {
  const { kind, code, status, reasons } = event.answer;
  const upstream = fieldsOf(event.result)?.['upstream'];
  return {
    kind,
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { status }),
    reasons,
    // A text that is no constant of the policy is logged by its length.
    upstream: typeof upstream === 'string' && !/^dynamic:\d+$/.test(upstream) ? upstream : undefined,
    charged: chargedBy(event),
  };
}

/** What an outcome answers; `toReason` writes a reason as an event would have it. */
export function answerOf(outcome: Outcome, toReason: (reason: string) => string): Answer {
  const { decision, plans, quota } = outcome;
  const reasons = decision.reasons.slice(0, MAX_REASONS).map(toReason);
  if (decision.kind === 'deny') {
    return { kind: 'deny', code: decision.code, status: decision.status, reasons, upstream: null, charged: [] };
  }
  const taken = quota?.taken === true && quota.plan !== undefined ? (plans?.[quota.plan] ?? []) : [];
  const charged = taken.map(({ terms: { name, unit, cost } }) => ({ name, unit, cost }));
  return { kind: 'allow', reasons, upstream: upstreamOf(decision), charged };
}

/** As many as an event has. */
const MAX_REASONS = 16;

function upstreamOf(decision: Extract<Decision, { readonly kind: 'allow' }>): string | null {
  return decision.setHeaders.find(([name]) => name === OWNED_HEADERS.upstream)?.[1] ?? null;
}

/** `undefined` when the two are the same. */
export function changeOf(before: Answer, after: Answer): Change | undefined {
  if (before.kind !== after.kind) return before.kind === 'allow' ? 'allow_to_deny' : 'deny_to_allow';
  if (before.code !== after.code || before.status !== after.status) return 'status';
  const isKnown = before.upstream !== undefined && after.upstream !== undefined;
  if (after.kind === 'allow' && isKnown && before.upstream !== after.upstream) return 'upstream';
  return sameTexts(before.reasons, after.reasons) ? undefined : 'reasons';
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, at) => text === other[at]);
}

/** An answer in few words: `allow`, `deny 403 policy_denied (tier)`. */
export function answerText({ kind, code, status, reasons, upstream }: Answer, change: Change): string {
  if (change === 'upstream') return `upstream ${upstream ?? 'none'}`;
  const why = reasons.length === 0 ? '' : ` (${reasons.join(', ')})`;
  return kind === 'allow' ? `allow${change === 'reasons' ? why : ''}` : `deny ${status} ${code}${why}`;
}
