import { isObject } from '../decision/json.ts';
import type { Generation, Instant } from '../decision/ports.ts';
import { toSafeLine } from '../telemetry/json-line.ts';
import { MAX_EVENT_BYTES } from './event.ts';
import { type MaskableEvent, maskAt } from './mask.ts';

/** `data.system.log` of the policy that decided, as OPA knows it; it can take from an event and add nothing. */
export const MASK_ENTRYPOINT = 'system/log/mask';
export const DROP_ENTRYPOINT = 'system/log/drop';

/** What becomes of an event. `failed`: the mask could not be asked, so that nothing of input and result is left. */
export type Masked =
  | { readonly kind: 'kept' | 'masked' | 'failed'; readonly line: string }
  | { readonly kind: 'dropped' };

/** Asks the policy of a generation about an event's line. Never throws. */
export function maskByPolicy(line: string, generation: Generation, at: Instant): Masked {
  const { mask, drop } = entrypointsOf(generation, at);
  if (!mask && !drop) return { kind: 'kept', line };
  if (drop && isDropped(line, generation, at)) return { kind: 'dropped' };
  if (!mask) return { kind: 'kept', line };
  const rules = rulesOf(line, generation, at);
  if (rules === undefined) return { kind: 'failed', line: withoutContent(line) };
  return rules.length === 0 ? { kind: 'kept', line } : applied(line, rules, generation.isPolicyConstant);
}

interface Entrypoints {
  readonly mask: boolean;
  readonly drop: boolean;
}

const ENTRYPOINTS = new WeakMap<Generation['evaluateText'], Entrypoints>();

function entrypointsOf(generation: Generation, at: Instant): Entrypoints {
  // Copies of a generation share their functions.
  const known = ENTRYPOINTS.get(generation.evaluateText);
  if (known !== undefined) return known;
  const found = {
    mask: hasEntrypoint(MASK_ENTRYPOINT, generation, at),
    drop: hasEntrypoint(DROP_ENTRYPOINT, generation, at),
  };
  ENTRYPOINTS.set(generation.evaluateText, found);
  return found;
}

/** One that reads nothing of its input shows only by its answer; only the lack of it is told apart from other faults. */
function hasEntrypoint(entrypoint: string, generation: Generation, at: Instant): boolean {
  if (generation.inputPaths(entrypoint).length > 0) return true;
  try {
    return generation.evaluateText(entrypoint, '{}', at).value !== undefined;
  } catch (error) {
    return !(error instanceof Error && /has (?:no|the) entrypoint/.test(error.message));
  }
}

/** A policy that cannot say drops nothing. */
function isDropped(line: string, generation: Generation, at: Instant): boolean {
  try {
    const { value, overBudget } = generation.evaluateText(DROP_ENTRYPOINT, line, at);
    return value === true && !overBudget;
  } catch {
    return false;
  }
}

interface Rule {
  readonly path: string;
  readonly op: 'erase' | 'replace';
  readonly value: unknown;
}

/** `undefined` when the policy cannot say, or says what is no mask: then nothing may stay. */
function rulesOf(line: string, generation: Generation, at: Instant): readonly Rule[] | undefined {
  try {
    const { value, overBudget } = generation.evaluateText(MASK_ENTRYPOINT, line, at);
    if (overBudget) return undefined;
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.length > MAX_RULES) return undefined;
    const rules: Rule[] = [];
    for (const one of value) {
      const rule = toRule(one);
      if (rule === undefined) return undefined;
      rules.push(rule);
    }
    return rules;
  } catch {
    return undefined;
  }
}

const MAX_RULES = 256;

function toRule(value: unknown): Rule | undefined {
  if (typeof value === 'string') return reaches(value) ? { path: value, op: 'erase', value: undefined } : undefined;
  if (!isObject(value)) return undefined;
  const { op, path } = value;
  if (typeof path !== 'string' || !reaches(path)) return undefined;
  if (op === 'remove') return { path, op: 'erase', value: undefined };
  return op === 'upsert' ? { path, op: 'replace', value: value['value'] } : undefined;
}

/** As in OPA: `/input`, `/result`, or what is below them. */
function reaches(path: string): boolean {
  return path.length <= MAX_PATH && /^\/(?:input|result)(?:\/|$)/.test(path);
}

const MAX_PATH = 1024;

function applied(line: string, rules: readonly Rule[], isConstant: (text: string) => boolean): Masked {
  const event = parseEvent(line);
  if (event === undefined) return { kind: 'failed', line: withoutContent(line) };
  const before = event.erased.length + event.masked.length;
  for (const { path, op, value } of rules) {
    // What the policy made of something could be something else that the allow-list left out.
    if (op === 'replace' && path !== '/input' && isPlain(value, isConstant)) maskAt(event, path, { value });
    else maskAt(event, path, 'erase');
  }
  if (event.erased.length + event.masked.length === before) return { kind: 'kept', line };
  const written = `${toSafeLine(JSON.stringify(event))}\n`;
  return Buffer.byteLength(written) <= MAX_EVENT_BYTES
    ? { kind: 'masked', line: written }
    : { kind: 'failed', line: withoutContent(line) };
}

function isPlain(value: unknown, isConstant: (text: string) => boolean): boolean {
  return value === null || typeof value === 'boolean' || (typeof value === 'string' && isConstant(value));
}

/** The line was written by us as an event; `undefined` stands for a fault of ours. */
function parseEvent(line: string): MaskableEvent | undefined {
  const event: unknown = JSON.parse(line);
  if (!isObject(event) || !isObject(event['input'])) return undefined;
  if (!Array.isArray(event['erased']) || !Array.isArray(event['masked'])) return undefined;
  // The members that masks reach were looked at, or are as `event.ts` wrote them.
  return event as unknown as MaskableEvent;
}

/** The event without input and result, which says so. */
function withoutContent(line: string): string {
  const { result: _, ...event } = JSON.parse(line) as { readonly [member: string]: unknown };
  const erased = ['/input', '/result'];
  return `${toSafeLine(JSON.stringify({ ...event, input: {}, erased, mask_failed: true }))}\n`;
}
