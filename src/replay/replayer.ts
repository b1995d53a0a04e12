import type { DoorCapabilities } from '../decision/access-request.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { Generation, Inspected, InspectionRefused, NamedDecision } from '../decision/ports.ts';
import type { Authentication } from '../decision/principal.ts';
import type { Try } from '../decision/trial.ts';
import { type Answer, answerOf } from './answer.ts';
import { ignoranceOfDimensions } from './charge-dimensions.ts';
import { type Ignorance, ignoranceOf, ignorancesOf, type LogsPath } from './known-input.ts';
import { chargesOf } from './recorded-charges.ts';
import type { RecordedDecision } from './recorded-event.ts';
import { recordedAuthentication, recordedRequest } from './recorded-request.ts';
import { type Routed, recordedRoute, refusedForRoute } from './recorded-route.ts';
import type { RouteTable } from './route-table.ts';

/** What decides recorded requests once more. */
export interface ReplayBundle {
  readonly generation: Generation;
  readonly routes: RouteTable;
}

export interface ReplayerOptions {
  /** The core, with nobody asked. */
  readonly tryOnce: Try;
  readonly decisions: ReadonlyMap<string, NamedDecision>;
  readonly logs: LogsPath;
  readonly capabilities: (door: string) => DoorCapabilities;
}

/** `core`: refused before any policy was asked, which no policy changes. */
export type Replayed =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'core' }
  /** The core refused it for its route, and by this route table would not: what the policy then says is not known. */
  | { readonly kind: 'routed' }
  /** Each path once. */
  | { readonly kind: 'unknown'; readonly ignorances: readonly Ignorance[] };

/** Decides what an event recorded by other policies: the same caller, moment and levels of limits. Never throws. */
export type Replay = (event: RecordedDecision, bundle: ReplayBundle) => Promise<Replayed>;

export function createReplay({ tryOnce, decisions, logs, capabilities }: ReplayerOptions): Replay {
  return async (event, bundle) => {
    const { code } = event.answer;
    if (code !== undefined && !OF_POLICY.has(code) && !isOfQuota(event, code)) return refused(event, bundle, logs);
    const named = decisions.get(event.decisionName ?? 'default');
    if (named === undefined) return notTold('policy.decisions');
    const authentication = recordedAuthentication(event);
    const masked = ignoranceOf(event, 'identity.kind', NOTHING_SETTLED, logs);
    if (masked !== undefined) return { kind: 'unknown', ignorances: [masked] };
    if (authentication === undefined) return notTold('identity.kind');

    const routed = recordedRoute(event, { routes: bundle.routes, named, authentication, logs });
    if (routed.kind === 'unknown') return { kind: 'unknown', ignorances: [routed.ignorance] };
    const ignorances = allIgnorances(event, bundle.generation, named, routed, logs);
    if (ignorances.length > 0) return { kind: 'unknown', ignorances };
    return redecide(event, bundle.generation, { named, authentication, inspected: routed.inspected });
  };

  async function redecide(event: RecordedDecision, generation: Generation, found: Found): Promise<Replayed> {
    let ignorance: Ignorance | undefined;
    const { named, authentication, inspected } = found;
    const outcome = await tryOnce(
      {
        request: recordedRequest(event, capabilities(event.door)),
        authentication,
        at: { epochMs: event.epochMs, monotonicMs: 0 },
        quota: chargesOf(event, (found) => {
          ignorance ??= found;
        }),
        decisionId: event.decisionId,
      },
      {
        ...generation,
        inspect: () => inspected,
        evaluate: (entrypoint, input, at) => {
          const evaluation = generation.evaluate(entrypoint, input, at);
          if (entrypoint === named.limits) {
            ignorance ??= ignoranceOfDimensions(evaluation.value, (path) =>
              ignoranceOf(event, path, ROUTE_SETTLED, logs),
            );
          }
          return evaluation;
        },
      },
    );
    if (ignorance !== undefined) return { kind: 'unknown', ignorances: [ignorance] };
    const toReason = (reason: string): string => asLogged(reason, generation);
    return { kind: 'answered', answer: answerOf(outcome, toReason) };
  }
}

interface Found {
  readonly named: NamedDecision;
  readonly authentication: Authentication;
  readonly inspected: Inspected | InspectionRefused;
}

const NOTHING_SETTLED = { route: false, readsBody: true };
const ROUTE_SETTLED = { route: true, readsBody: true };

/** What policies and their limits come to. All other codes are the core's own, before or beside them. */
const OF_POLICY: ReadonlySet<CoreCode> = new Set<CoreCode>([
  'policy_denied',
  'undefined_verdict',
  'invalid_verdict',
  'unperformed_obligation',
  'policy_error',
  'unsupported_by_door',
  'invalid_charges',
  'quota_missing',
  'quota_exceeded',
  'cost_exceeds_limit',
]);

/** A store that had no answer, and not a service that was too busy to ask. */
function isOfQuota(event: RecordedDecision, code: CoreCode): boolean {
  return (code === 'quota_unavailable' || code === 'overloaded') && event.charges !== undefined;
}

function refused(event: RecordedDecision, { routes }: ReplayBundle, logs: LogsPath): Replayed {
  const now = refusedForRoute(event, routes, logs);
  if (now === undefined) return { kind: 'core' };
  return now.kind === 'refused' ? { kind: 'answered', answer: { ...now.answer, charged: [] } } : { kind: 'routed' };
}

function notTold(path: string): Replayed {
  return { kind: 'unknown', ignorances: [{ why: 'not_told', path }] };
}

/** Every path that limits and decision may read and the event does not tell. */
function allIgnorances(
  event: RecordedDecision,
  { inputPaths }: Generation,
  { limits, decision }: NamedDecision,
  routed: Routed,
  logs: LogsPath,
): readonly Ignorance[] {
  if (routed.inspected.kind === 'refused') return [];
  const found = new Map<string, Ignorance>();
  for (const entrypoint of limits === undefined ? [decision] : [limits, decision]) {
    for (const path of inputPaths(entrypoint)) {
      for (const one of ignorancesOf(event, path, routed.settled, logs)) found.set(one.path, one);
    }
  }
  return [...found.values()];
}

/** A reason as events have it: a constant of the policy, cut, or else its length. */
function asLogged(reason: string, { isPolicyConstant }: Generation): string {
  if (!isPolicyConstant(reason)) return `dynamic:${reason.length}`;
  return reason.length <= MAX_REASON ? reason : `${reason.slice(0, MAX_REASON - 1)}…`;
}

const MAX_REASON = 128;
