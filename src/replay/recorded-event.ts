import type { Deny } from '../decision/decision.ts';
import { CLIENT_ANSWERS, type CoreCode } from '../decision/errors.ts';
import { isObject } from '../decision/json.ts';

/** One decision as its event tells it; `input`, `charges` and `result` are as they were written, and unchecked. */
export interface RecordedDecision {
  readonly decisionId: string;
  readonly sequence: number;
  readonly instanceId: string;
  readonly epochMs: number;
  /** `name=revision` of every bundle, joined; what events are grouped by. */
  readonly revisions: string;
  readonly decisionName: string | undefined;
  readonly door: string;
  /** On an observed route the denial, and not the Allow that stood in for it. */
  readonly answer: RecordedAnswer;
  readonly charges: unknown;
  readonly input: Fields;
  readonly result: unknown;
  /** Where something was left out or replaced, each pointer as its members. */
  readonly touched: readonly (readonly string[])[];
}

export interface RecordedAnswer {
  readonly kind: 'allow' | 'deny';
  readonly code?: CoreCode;
  readonly status?: number;
  readonly reasons: readonly string[];
}

export type Fields = { readonly [member: string]: unknown };

/** What a line of a log is. */
export type LogLine =
  | { readonly kind: 'decision'; readonly event: RecordedDecision }
  /** Denials of the anonymous that one event stands for. */
  | { readonly kind: 'aggregate'; readonly count: number; readonly numbered: Numbered }
  | { readonly kind: 'stub' | 'administrative'; readonly numbered: Numbered }
  /** A line of something else, such as the service's own log beside it on stdout. */
  | { readonly kind: 'other' }
  | { readonly kind: 'damaged' };

/** What tells one event from all others. */
export type Numbered = Pick<RecordedDecision, 'instanceId' | 'sequence'>;

/** Reads a line of a decision log. Never throws: what looks like an event and cannot be read is `damaged`. */
export function parseLogLine(line: string): LogLine {
  const value = parseJson(line);
  if (value === undefined) return { kind: EVENT_START.test(line) ? 'damaged' : 'other' };
  if (!isObject(value)) return { kind: 'other' };
  const { instance_id: instanceId, sequence, type } = value;
  if (instanceId === undefined && sequence === undefined) {
    return { kind: value['decision_id'] === undefined ? 'other' : 'damaged' };
  }
  if (typeof instanceId !== 'string' || !isCount(sequence)) return { kind: 'damaged' };
  const numbered = { instanceId, sequence };
  if (type === 'administrative') return { kind: 'administrative', numbered };
  if (type === 'aggregate') {
    const { count } = value;
    return isCount(count) ? { kind: 'aggregate', count, numbered } : { kind: 'damaged' };
  }
  if (value['dropped'] === true) return { kind: 'stub', numbered };
  if (type !== undefined) return { kind: 'damaged' };
  const event = toDecision(value, numbered);
  return event === undefined ? { kind: 'damaged' } : { kind: 'decision', event };
}

const EVENT_START = /^\s*\{"(?:decision_id|type":"(?:aggregate|administrative))"/;

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function toDecision(value: Fields, numbered: Numbered): RecordedDecision | undefined {
  const { decision_id: decisionId, timestamp, door, decision_name: decisionName, input, observed } = value;
  const epochMs = toEpochMs(timestamp);
  const answer = observed === undefined ? toAnswer(value) : toDenial(observed);
  const touched = toTouched(value['erased'], value['masked']);
  if (typeof decisionId !== 'string' || typeof door !== 'string' || epochMs === undefined) return undefined;
  if (answer === undefined || touched === undefined || !isObject(input)) return undefined;
  if (decisionName !== undefined && typeof decisionName !== 'string') return undefined;
  return {
    ...numbered,
    decisionId,
    epochMs,
    revisions: revisionsText(value['bundles']),
    decisionName,
    door,
    answer,
    charges: value['charges'],
    input,
    result: value['result'],
    touched,
  };
}

function toAnswer(value: Fields): RecordedAnswer | undefined {
  if (value['decision'] === 'allow') return { kind: 'allow', reasons: texts(value['reasons']) };
  return value['decision'] === 'deny' ? toDenial(value) : undefined;
}

function toDenial(value: unknown): RecordedAnswer | undefined {
  if (!isObject(value)) return undefined;
  const { code, status, reasons } = value;
  if (!isCode(code) || !isCount(status)) return undefined;
  return { kind: 'deny', code, status, reasons: texts(reasons) };
}

function isCode(code: unknown): code is Deny['code'] {
  return typeof code === 'string' && Object.hasOwn(CLIENT_ANSWERS, code);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

/** RFC 3339 with nine digits, of which a `Date` knows three. */
function toEpochMs(timestamp: unknown): number | undefined {
  if (typeof timestamp !== 'string') return undefined;
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z$/.exec(timestamp);
  const second = Date.parse(`${parts?.[1]}Z`);
  return Number.isNaN(second) ? undefined : second + Number(parts?.[2]) / 1e6;
}

function revisionsText(bundles: unknown): string {
  if (!isObject(bundles)) return 'none';
  const named = Object.entries(bundles).map(([name, value]) => {
    const revision = isObject(value) ? value['revision'] : undefined;
    return `${name}=${typeof revision === 'string' ? revision : '?'}`;
  });
  return named.length === 0 ? 'none' : named.sort().join(' ');
}

function toTouched(erased: unknown, masked: unknown): RecordedDecision['touched'] | undefined {
  if (!Array.isArray(erased)) return undefined;
  // An event whose mask failed has no list of what was masked: nothing was left of it.
  const pointers = [...erased, ...(Array.isArray(masked) ? masked : [])];
  if (!pointers.every((pointer) => typeof pointer === 'string')) return undefined;
  return pointers.map((pointer: string) =>
    pointer
      .slice(1)
      .split('/')
      .map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~')),
  );
}
