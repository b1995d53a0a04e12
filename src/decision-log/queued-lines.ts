import type { Outcome } from '../decision/ports.ts';
import type { DecisionLogMetrics } from '../telemetry/decision-log-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type AdministrativeEvent, writeAdministrative } from './administrative.ts';
import { type Aggregate, writeAggregate } from './aggregates.ts';
import { isFault } from './cause.ts';
import type { DecisionLogConfig } from './config.ts';
import { createWriteEvent, type EventParts, writeStub } from './event.ts';
import type { Lane } from './lane.ts';
import { maskByPolicy } from './rego-mask.ts';

/** What waits to become a line. */
export type Queued = { readonly lane: Lane; readonly sequence: number } & (
  | { readonly outcome: Outcome }
  | { readonly aggregate: Aggregate }
  | { readonly event: AdministrativeEvent; readonly epochMs: number }
);

export interface QueuedLinesOptions {
  readonly config: Pick<DecisionLogConfig, 'input' | 'result' | 'masks'>;
  readonly parts: Omit<EventParts, 'sequence'>;
  readonly nextSpanId: () => string;
  readonly metrics: { readonly decisionLog?: DecisionLogMetrics };
  readonly logger: Pick<Logger, 'limited'>;
  /** What `createSampledTrace` makes; nothing is traced without it. */
  readonly sampledTrace?: (outcome: Outcome) => string;
}

/** Makes lines, off the reply path: writes events, and asks the policy that decided what of them may stay. */
export function createQueuedLines(options: QueuedLinesOptions): (queued: Queued) => string {
  const { config, parts, nextSpanId, metrics, logger, sampledTrace } = options;
  const writeEvent = createWriteEvent({ config, ...parts, nextSpanId });

  const ofOutcome = (outcome: Outcome, sequence: number): string => {
    const { line, error } = writeEvent(outcome, sequence, sampledTrace?.(outcome));
    reportFault(logger, outcome, error?.message);
    if (outcome.generation === undefined) return line;
    const masked = maskByPolicy(line, outcome.generation, outcome.at);
    if (masked.kind === 'dropped') {
      metrics.decisionLog?.droppedByPolicy();
      return writeStub(outcome, sequence, parts.instanceId);
    }
    if (masked.kind === 'failed') {
      metrics.decisionLog?.maskFailed();
      logger.limited(
        'decision-log-mask',
        'error',
        {},
        'data.system.log.mask failed: events go without input and result',
      );
    }
    return masked.line;
  };
  return (queued) => {
    const { sequence } = queued;
    if ('outcome' in queued) return ofOutcome(queued.outcome, sequence);
    if ('event' in queued) return writeAdministrative(queued.event, queued.epochMs, { ...parts, sequence });
    const { code, count, door } = queued.aggregate;
    if (isFault(code)) logger.limited(`denied-${code}`, 'warn', { code, count, door }, 'denied by a fault');
    return writeAggregate(queued.aggregate, { ...parts, sequence });
  };
}

/** A denial that is the service's own fault is named in the operational log too, as often as a limit allows. */
function reportFault(logger: Pick<Logger, 'limited'>, outcome: Outcome, cause: string | undefined): void {
  const { decision, decisionId, request } = outcome;
  if (decision.kind === 'allow' || !isFault(decision.code)) return;
  const { code } = decision;
  const fields = { code, decision_id: decisionId, door: request.door, cause };
  logger.limited(`denied-${code}`, 'warn', fields, 'denied by a fault');
}
