import type { Deny } from '../decision/decision.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { Generation, NamedDecision, Outcome } from '../decision/ports.ts';
import { quoteSafe, toSafeLine } from '../telemetry/json-line.ts';
import { parseTraceparent } from '../telemetry/tracing.ts';
import { compileAllowList } from './allow-list.ts';
import { type LoggedError, loggedCause } from './cause.ts';
import type { DecisionLogConfig } from './config.ts';
import { cut, EventCopy } from './event-copy.ts';
import { keepsLimits, type LoggedCharges, writeCharges } from './logged-charges.ts';
import { compileInput } from './logged-input.ts';
import { compileResult, writeReasons } from './logged-result.ts';
import { compileMasks, type LoggedObject, type Mask } from './mask.ts';
import { presentedCredentials } from './presented.ts';
import type { LoggedTrace } from './sampled-trace.ts';

/** One decision, as it is logged: OPA's field names where OPA has the field, then ours. */
export interface DecisionEvent {
  readonly decision_id: string;
  /** Counts every event of one process from 1; a missing number is an event that was dropped. */
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
  /** The denial that this Allow stands in for, on a route that is observed. */
  readonly observed?: { readonly code: CoreCode; readonly status: number; readonly reasons: readonly string[] };
  /** What the limits asked for, and which plan was taken. */
  readonly charges?: LoggedCharges;
  /** Present for tokens of the demo issuer. */
  readonly demo?: true;
  readonly request_id?: string;
  /** By which what is held can be settled. */
  readonly reservation_id?: string;
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly parent_span_id?: string;
  readonly input: LoggedObject;
  readonly result?: LoggedObject | boolean;
  /** JSON pointers of what was left out, or replaced by its length. */
  readonly erased: readonly string[];
  /** JSON pointers of what was replaced. */
  readonly masked: readonly string[];
  /** The policy's mask could not be asked: nothing of input and result is left. */
  readonly mask_failed?: true;
  /** Nanoseconds by step (`timer_rego_query_eval_ns` is the decision's), and whether the budget was overrun. */
  readonly metrics: { readonly [name: string]: number };
  readonly error?: LoggedError;
  /** Of the few that `decision_log.trace` chose: limits, then the decision. */
  readonly trace?: readonly LoggedTrace[];
}

export interface EventOptions {
  readonly config: Pick<DecisionLogConfig, 'input' | 'result' | 'masks'>;
  readonly labels: { readonly [name: string]: string };
  readonly instanceId: string;
  readonly nextSpanId: () => string;
}

/** What every event of a process says of itself, whatever it is about. */
export interface EventParts {
  readonly sequence: number;
  readonly instanceId: string;
  readonly labels: { readonly [name: string]: string };
}

/** An event in writing. */
export interface WrittenEvent {
  /** One line of JSON with its newline: a {@link DecisionEvent}. */
  readonly line: string;
  readonly error: LoggedError | undefined;
}

/** `trace` is what a sampled trace wrote: `,"trace":[…]`. */
export type WriteEvent = (outcome: Outcome, sequence: number, trace?: string) => WrittenEvent;

/**
 * Compiles lists and masks once; the result writes outcomes as events and throws only where an outcome does. Events are
 * written as text from the start: objects in between cost more than all else here. An event that is too long goes
 * without what callers and policies can fill, and says so.
 */
export function createWriteEvent({ config, labels: allLabels, instanceId, nextSpanId }: EventOptions): WriteEvent {
  const labels = Object.fromEntries(Object.entries(allLabels).map(([name, value]) => [name, cut(value, MAX_ID)]));
  const instance = `,"instance_id":${quoteSafe(instanceId)},"timestamp":"`;
  const labelsJson = toSafeLine(JSON.stringify(labels));
  const inputList = compileAllowList(config.input);
  const writeInput = compileInput(inputList);
  const writeResult = compileResult(compileAllowList(config.result));
  const masks = compileMasks(config.masks);
  const logsLimits = keepsLimits(inputList);

  return (outcome, sequence, rules = '') => {
    const { decisionId, decision, request, generation, named, principal, reservationId } = outcome;
    const isConstant = generation?.isPolicyConstant ?? nothingIsConstant;
    const copy = new EventCopy({ presented: presentedCredentials(outcome), isConstant });
    let input = writeInput(outcome, copy, isConstant);
    let result = writeResult(outcome.result, copy);
    const reasons = writeReasons(decision.reasons, '/reasons', copy);
    const denial = outcome.observed === undefined ? '' : writeObserved(outcome.observed, copy);
    const error = loggedCause(outcome, copy, isConstant);
    const { requestId } = request;
    const id = requestId === undefined ? undefined : copy.text(requestId, '/request_id', 'caller', MAX_ID);
    if (masks.length > 0) ({ input, result } = applyMasks(masks, input, result, copy));

    const head = `{"decision_id":${quoteSafe(decisionId)},"sequence":${sequence}${instance}${toTimestamp(outcome.at.epochMs)}"`;
    let tail = `,"metrics":${writeMetrics(outcome)}`;
    if (named !== undefined) tail += writeNamed(named);
    if (decision.kind === 'deny') tail += `,"code":"${decision.code}","status":${decision.status}`;
    tail += denial;
    if (logsLimits && outcome.plans !== undefined) tail += writeCharges(outcome, isConstant);
    if (principal?.demo === true) tail += ',"demo":true';
    if (id !== undefined) tail += `,"request_id":${quoteSafe(id)}`;
    const trace = 'unreadable' in request ? undefined : parseTraceparent(request.traceparent);
    if (reservationId !== undefined) tail += `,"reservation_id":${quoteSafe(reservationId)}`;
    if (trace !== undefined) {
      tail += `,"trace_id":"${trace.traceId}","span_id":"${nextSpanId()}","parent_span_id":"${trace.spanId}"`;
    }
    if (error !== undefined) tail += `,"error":{"code":"${error.code}","message":${quoteSafe(error.message)}}`;
    tail += '}\n';
    const bundles = generation === undefined ? '{}' : writeBundles(generation);
    const door = `,"bundles":${bundles},"door":${quoteSafe(request.door)},"decision":"${decision.kind}"`;
    const filled = `,"reasons":${reasons},"input":${input}${result === undefined ? '' : `,"result":${result}`}${rules}`;
    const noted = `,"erased":${writeTexts(copy.erased)},"masked":${writeTexts(copy.masked)}`;
    const line = `${head},"labels":${labelsJson}${door}${filled}${noted}${tail}`;
    const fits = line.length * 3 <= MAX_EVENT_BYTES || Buffer.byteLength(line) <= MAX_EVENT_BYTES;
    return { line: fits ? line : head + WITHOUT_LABELS + door + WITHOUT_THE_REST + tail, error };
  };
}

/** The longest line that an event makes, in bytes, its newline included. */
export const MAX_EVENT_BYTES = 16 * 1024;

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

const WITHOUT_LABELS = ',"labels":{}';
const WITHOUT_THE_REST = ',"reasons":[],"input":{},"erased":["/labels","/reasons","/input","/result"],"masked":[]';
const MAX_ID = 128;

/** What is left of an event that the policy drops. */
export function writeStub({ decisionId, decision, at }: Outcome, sequence: number, instanceId: string): string {
  const head = `{"decision_id":${quoteSafe(decisionId)},"sequence":${sequence},"instance_id":${quoteSafe(instanceId)}`;
  return `${head},"timestamp":"${toTimestamp(at.epochMs)}","decision":"${decision.kind}","dropped":true}\n`;
}

function writeObserved({ code, status, reasons }: Deny, copy: EventCopy): string {
  const written = writeReasons(reasons, '/observed/reasons', copy);
  return `,"observed":{"code":"${code}","status":${status},"reasons":${written}}`;
}

/** Without a generation there is no policy whose constants a text could be. */
function nothingIsConstant(): boolean {
  return false;
}

function writeTexts(texts: readonly string[]): string {
  return texts.length === 0 ? '[]' : `[${texts.map(quoteSafe).join(',')}]`;
}

/** Masks look into events, so what they may touch is read back from its text. */
function applyMasks(masks: readonly Mask[], input: string, result: string | undefined, copy: EventCopy): Masked {
  const { erased, masked } = copy;
  const event = {
    input: JSON.parse(input),
    result: result === undefined ? result : JSON.parse(result),
    erased,
    masked,
  };
  for (const mask of masks) mask(event);
  return {
    input: toSafeLine(JSON.stringify(event.input)),
    result: result === undefined ? result : toSafeLine(JSON.stringify(event.result)),
  };
}

interface Masked {
  readonly input: string;
  readonly result: string | undefined;
}

/** The same for every request of a generation, or of a decision. */
const writeBundles = onceEach(({ revisions }: Generation) => {
  const members = [...revisions].map(([name, revision]) => `${quoteSafe(name)}:{"revision":${quoteSafe(revision)}}`);
  return `{${members.join(',')}}`;
});
const writeNamed = onceEach(
  ({ decision, name }: NamedDecision) => `,"path":${quoteSafe(decision)},"decision_name":${quoteSafe(name)}`,
);

function onceEach<Key extends object>(write: (key: Key) => string): (key: Key) => string {
  const known = new WeakMap<Key, string>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const written = write(key);
    known.set(key, written);
    return written;
  };
}

/** OPA's names where OPA times the same thing. Read by name: by a list of names they cost half a microsecond more. */
function writeMetrics({ phaseMs, overBudget }: Outcome): string {
  const { identify, inspect, meter, decide, total } = phaseMs;
  let json = '';
  if (identify !== undefined) json += `,"timer_identify_ns":${nanoseconds(identify)}`;
  if (inspect !== undefined) json += `,"timer_inspect_ns":${nanoseconds(inspect)}`;
  if (meter !== undefined) json += `,"timer_meter_ns":${nanoseconds(meter)}`;
  if (decide !== undefined) json += `,"timer_rego_query_eval_ns":${nanoseconds(decide)}`;
  if (total !== undefined) json += `,"timer_server_handler_ns":${nanoseconds(total)}`;
  if (overBudget) json += ',"counter_policy_budget_overruns":1';
  return `{${json.slice(1)}}`;
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
