import type { CoreCode } from '../decision/errors.ts';
import type { Generation, Outcome, Phase } from '../decision/ports.ts';
import { toSafeLine } from '../telemetry/json-line.ts';
import { parseTraceparent } from '../telemetry/tracing.ts';
import { compileAllowList } from './allow-list.ts';
import { type LoggedError, loggedCause } from './cause.ts';
import type { DecisionLogConfig } from './config.ts';
import { cut, EventCopy } from './event-copy.ts';
import { compileInput } from './logged-input.ts';
import { loggedReasons, loggedResult } from './logged-result.ts';
import { compileMasks, type LoggedObject } from './mask.ts';
import { presentedCredentials } from './presented.ts';

/** One decision, as it is logged: OPA's field names where OPA has the field, then ours. */
export interface DecisionEvent {
  readonly decision_id: string;
  /** Counts every decision of one process from 1; a missing number is an event that was dropped. */
  readonly sequence: number;
  /** Differs with every start of the process, so that `sequence` has a scope. */
  readonly instance_id: string;
  /** RFC 3339 in UTC with nanosecond digits. */
  readonly timestamp: string;
  readonly labels: { readonly [name: string]: string };
  readonly bundles: { readonly [name: string]: { readonly revision: string } };
  /** The entrypoint that was asked, such as `authz/decision`. */
  readonly path?: string;
  /** Its name in config. */
  readonly decision_name?: string;
  readonly door: string;
  readonly decision: 'allow' | 'deny';
  readonly code?: CoreCode;
  readonly reasons: readonly string[];
  /** A denial's HTTP status. */
  readonly status?: number;
  /** Present for tokens of the demo issuer. */
  readonly demo?: true;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly parent_span_id?: string;
  readonly input: LoggedObject;
  readonly result?: LoggedObject | boolean;
  /** JSON pointers of what was left out, or replaced by its length. */
  readonly erased: readonly string[];
  /** JSON pointers of what was replaced. */
  readonly masked: readonly string[];
  /** Nanoseconds by step (`timer_rego_query_eval_ns` is the decision's), and whether the budget was overrun. */
  readonly metrics: { readonly [name: string]: number };
  readonly error?: LoggedError;
}

export interface EventOptions {
  readonly config: Pick<DecisionLogConfig, 'input' | 'result' | 'masks'>;
  readonly labels: { readonly [name: string]: string };
  readonly instanceId: string;
  readonly nextSpanId: () => string;
}

export type ToEvent = (outcome: Outcome, sequence: number) => DecisionEvent;

/** Compiles lists and masks once; the result turns outcomes into events and throws only where an outcome does. */
export function createToEvent({ config, labels: allLabels, instanceId, nextSpanId }: EventOptions): ToEvent {
  const labels = Object.fromEntries(Object.entries(allLabels).map(([name, value]) => [name, cut(value, MAX_ID)]));
  const loggedInput = compileInput(compileAllowList(config.input));
  const resultList = compileAllowList(config.result);
  const masks = compileMasks(config.masks);

  return (outcome, sequence) => {
    const { decisionId, decision, request, generation, named, principal } = outcome;
    const isConstant = generation?.isPolicyConstant ?? nothingIsConstant;
    const copy = new EventCopy({ presented: presentedCredentials(outcome), isConstant });
    const input = loggedInput(outcome, copy, isConstant);
    const result = loggedResult(outcome.result, resultList, copy);
    const reasons = loggedReasons(decision.reasons, '/reasons', copy);
    const error = loggedCause(outcome, copy);
    const requestId =
      request.requestId === undefined ? undefined : copy.text(request.requestId, '/request_id', 'caller', MAX_ID);
    const maskable = { input, result, erased: copy.erased, masked: copy.masked };
    for (const mask of masks) mask(maskable);

    const event: { -readonly [member in keyof DecisionEvent]: DecisionEvent[member] } = {
      decision_id: decisionId,
      sequence,
      instance_id: instanceId,
      timestamp: toTimestamp(outcome.at.epochMs),
      labels,
      bundles: bundlesOf(generation),
      door: request.door,
      decision: decision.kind,
      reasons,
      input,
      erased: copy.erased,
      masked: copy.masked,
      metrics: metricsOf(outcome),
    };
    if (named !== undefined) {
      event.path = named.decision;
      event.decision_name = named.name;
    }
    if (decision.kind === 'deny') {
      event.code = decision.code;
      event.status = decision.status;
    }
    if (principal?.demo === true) event.demo = true;
    if (requestId !== undefined) event.request_id = requestId;
    const trace = 'unreadable' in request ? undefined : parseTraceparent(request.traceparent);
    if (trace !== undefined) {
      event.trace_id = trace.traceId;
      event.span_id = nextSpanId();
      event.parent_span_id = trace.spanId;
    }
    if (result !== undefined) event.result = result;
    if (error !== undefined) event.error = error;
    return event;
  };
}

/** The longest line that an event makes, in bytes, its newline included. */
export const MAX_EVENT_BYTES = 16 * 1024;

/** One line of JSON with its newline; a longer event goes without what callers and policies can fill, and says so. */
export function toEventLine(event: DecisionEvent): string {
  const line = `${toSafeLine(JSON.stringify(event))}\n`;
  if (line.length * 3 <= MAX_EVENT_BYTES || Buffer.byteLength(line) <= MAX_EVENT_BYTES) return line;
  const { result: _, ...rest } = event;
  const short: DecisionEvent = { ...rest, labels: {}, reasons: [], input: {}, erased: ERASED_FROM_LONG, masked: [] };
  return `${toSafeLine(JSON.stringify(short))}\n`;
}

/** RFC 3339 with nine digits; what the clock does not resolve is zero. */
export function toTimestamp(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second !== formatted.second) {
    // Throws for a time that no date has; the cache is then left as it was.
    formatted = { text: new Date(second * 1000).toISOString().slice(0, -4), second };
  }
  return `${formatted.text}${String(Math.floor((epochMs - second * 1000) * 1e6)).padStart(9, '0')}Z`;
}

/** Formatting a date costs more than the rest of a timestamp, and thousands of events share a second. */
let formatted = { second: 0, text: '1970-01-01T00:00:00.' };

const ERASED_FROM_LONG = ['/labels', '/reasons', '/input', '/result'];
const MAX_ID = 128;

/** Without a generation there is no policy whose constants a text could be. */
function nothingIsConstant(): boolean {
  return false;
}

/** The same for every request of a generation. */
const BUNDLES = new WeakMap<Generation, DecisionEvent['bundles']>();

function bundlesOf(generation: Generation | undefined): DecisionEvent['bundles'] {
  if (generation === undefined) return {};
  const known = BUNDLES.get(generation);
  if (known !== undefined) return known;
  const bundles: { [name: string]: { revision: string } } = Object.create(null);
  for (const [name, revision] of generation.revisions) bundles[name] = { revision };
  BUNDLES.set(generation, bundles);
  return bundles;
}

/** OPA's names where OPA times the same thing. */
const TIMERS: readonly (readonly [Phase | 'total', string])[] = [
  ['identify', 'timer_identify_ns'],
  ['inspect', 'timer_inspect_ns'],
  ['meter', 'timer_meter_ns'],
  ['decide', 'timer_rego_query_eval_ns'],
  ['total', 'timer_server_handler_ns'],
];

function metricsOf({ phaseMs, overBudget }: Outcome): DecisionEvent['metrics'] {
  const metrics: { [name: string]: number } = {};
  for (const [phase, name] of TIMERS) {
    const ms = phaseMs[phase];
    if (ms !== undefined) metrics[name] = Math.round(ms * 1e6);
  }
  if (overBudget) metrics['counter_policy_budget_overruns'] = 1;
  return metrics;
}
