import { isObject } from '../decision/json.ts';
import type { Generation, Outcome } from '../decision/ports.ts';
import type { Authentication } from '../decision/principal.ts';
import type { Try } from '../decision/trial.ts';
import { CaseError, type CaseFault, MAX_FAULTS } from './case-error.ts';
import { type CasePath, entries, type Field, fields, flag, natural, text } from './case-fields.ts';
import { readIdentity } from './case-identity.ts';
import { givenQuota, type LimitGiven, type QuotaGiven } from './case-quota.ts';
import { readRequest } from './case-request.ts';
import { differences, type ToEvent } from './differences.ts';
import { type Expectation, readExpectation } from './expectation.ts';
import { type RequestParts, toAccessRequest } from './to-access-request.ts';

/** One request with all that the world says of it, and what must come of it. */
export interface RequestCase {
  readonly name: string;
  readonly file: string;
  /** Where it begins, from 1; absent where it was not read by lines. */
  readonly line?: number;
  readonly request: RequestParts;
  readonly authentication: Authentication;
  readonly quota: QuotaGiven;
  readonly atMs: number;
  readonly expect: Expectation;
}

/** Where cases come from: a name for faults, and the line of a path where the text was read by lines. */
export interface CaseOrigin {
  readonly file: string;
  readonly lineOf?: (path: CasePath) => number | undefined;
}

/** Reads a list of cases, strictly; throws a {@link CaseError} that names its first faults with file, line and key. */
export function parseRequestCases(value: unknown, where: string | CaseOrigin): readonly RequestCase[] {
  const origin = typeof where === 'string' ? { file: where } : where;
  const faults: CaseFault[] = [];
  const report = (path: CasePath, message: string): undefined => {
    const line = lineNear(origin, path);
    const name = nameIn(value, path[0]);
    faults.push({
      file: origin.file,
      ...(line === undefined ? {} : { line }),
      path,
      ...(name === undefined ? {} : { name }),
      message,
    });
    if (faults.length >= MAX_FAULTS) throw new CaseError(faults);
  };
  const cases: RequestCase[] = [];
  if (!Array.isArray(value)) report([], 'is not a list of cases');
  else if (value.length > MAX_CASES) report([], `there are more than ${MAX_CASES} cases; take some out`);
  else {
    const names = new Set<string>();
    for (const [index, item] of value.entries()) {
      const one = readCase({ value: item, path: [index], report }, origin);
      if (one.name.length > MAX_NAME_LENGTH) {
        report([index, 'name'], `is longer than ${MAX_NAME_LENGTH} characters`);
      }
      if (names.has(one.name)) report([index, 'name'], 'is the name of two cases');
      names.add(one.name);
      cases.push(one);
    }
  }
  if (faults.length > 0) throw new CaseError(faults);
  return cases;
}

/** In one file, or in one bundle. */
const MAX_CASES = 10_000;
/** Names are in logs. */
const MAX_NAME_LENGTH = 256;

/** What came of a case: `failures` is empty where it passed. */
export interface CaseRun {
  readonly failures: readonly string[];
  readonly outcome: Outcome;
}

/**
 * Decides a case by a generation. What it expects of the event is compared where `toEvent` writes one. `tryOnce` is all
 * that it asks: it takes nothing and waits for nobody.
 */
export async function runRequestCase(
  { request, authentication, quota, atMs, expect }: RequestCase,
  generation: Generation,
  tryOnce: Try,
  toEvent?: ToEvent,
): Promise<CaseRun> {
  const outcome = await tryOnce(
    {
      request: toAccessRequest(request),
      authentication,
      at: { epochMs: atMs, monotonicMs: MONOTONIC_MS },
      quota: givenQuota(quota),
      decisionId: CASE_DECISION_ID,
    },
    generation,
  );
  return { failures: [...unchargedLimits(quota, outcome), ...differences(expect, outcome, toEvent)], outcome };
}

/** A limit of the case that nothing charges says nothing, which its author did not mean. */
function unchargedLimits(quota: QuotaGiven, { plans = [] }: Outcome): readonly string[] {
  if (quota === 'unavailable') return [];
  const charged = new Set(plans.flat().map(({ terms }) => terms.name));
  return [...quota.keys()]
    .filter((name) => !charged.has(name))
    .map((name) => `\`quota.${name}\`: no plan of this request charges it`);
}

/** Every decision of a case has this id, so that answers are equal from run to run. */
export const CASE_DECISION_ID = '00000000-0000-4000-8000-000000000000';
const MONOTONIC_MS = 1_000_000;

/** When a case is decided that does not say: the same on every day. */
const DEFAULT_TIME_MS = Date.UTC(2026, 0, 1, 12);

function readCase(field: Field, { file, lineOf }: CaseOrigin): RequestCase {
  const given = fields(field, [
    'name',
    'request',
    'identity',
    'peer',
    'network',
    'quota',
    'decision_name',
    'time',
    'expect',
  ]);
  const missing = (name: string): Field => {
    field.report([...field.path, name], 'is missing');
    return { value: {}, path: [...field.path, name], report: () => undefined };
  };
  const line = lineOf?.(field.path);
  const name = text(given.name ?? missing('name'));
  if (given.name !== undefined && name === '') given.name.report(given.name.path, 'is empty');
  return {
    name,
    file,
    ...(line === undefined ? {} : { line }),
    request: readRequest(
      given.request ?? missing('request'),
      given.network,
      given.decision_name === undefined ? undefined : text(given.decision_name),
    ),
    authentication: readIdentity(given.identity, given.peer),
    quota: given.quota === undefined ? new Map() : readQuota(given.quota),
    atMs: given.time === undefined ? DEFAULT_TIME_MS : readTime(given.time),
    expect: readExpectation(given.expect ?? missing('expect')),
  };
}

function readQuota(field: Field): QuotaGiven {
  if (field.value === 'unavailable') return 'unavailable';
  return new Map(entries(field).map(([name, limit]) => [name, readLimit(limit)]));
}

function readLimit(field: Field): LimitGiven {
  switch (field.value) {
    case 'exceeded':
      return { exceeded: true };
    case 'unavailable':
      return { unavailable: true };
    case 'shadow':
      return { shadow: true };
    case 'untouched':
      return {};
  }
  if (!isObject(field.value)) {
    field.report(field.path, 'is none of `untouched`, `exceeded`, `unavailable`, `shadow` and no object');
    return {};
  }
  const given = fields(field, ['remaining', 'exceeded', 'shadow', 'wait_ms', 'reset_ms']);
  return {
    ...(given.remaining === undefined ? {} : { remaining: natural(given.remaining) }),
    ...(given.exceeded === undefined ? {} : { exceeded: flag(given.exceeded) }),
    ...(given.shadow === undefined ? {} : { shadow: flag(given.shadow) }),
    ...(given.wait_ms === undefined ? {} : { waitMs: natural(given.wait_ms) }),
    ...(given.reset_ms === undefined ? {} : { resetMs: natural(given.reset_ms) }),
  };
}

function readTime(field: Field): number {
  const written = text(field);
  const epochMs = RFC_3339.test(written) ? Date.parse(written) : Number.NaN;
  if (!Number.isNaN(epochMs)) return epochMs;
  field.report(field.path, 'is no time; write it as `2026-01-01T12:00:00Z`');
  return DEFAULT_TIME_MS;
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** A key that is missing stands where the object stands that lacks it. */
function lineNear({ lineOf }: CaseOrigin, path: CasePath): number | undefined {
  if (lineOf === undefined) return undefined;
  for (let length = path.length; length > 0; length -= 1) {
    const line = lineOf(path.slice(0, length));
    if (line !== undefined) return line;
  }
  return lineOf([]);
}

function nameIn(value: unknown, index: string | number | undefined): string | undefined {
  const item: unknown = Array.isArray(value) && typeof index === 'number' ? value[index] : undefined;
  return isObject(item) && typeof item['name'] === 'string' ? item['name'] : undefined;
}
