import { CHARGE_KEYS } from '../decision/charge-terms.ts';
import type { CoreCode } from '../decision/errors.ts';
import type { Outcome } from '../decision/ports.ts';
import { VERDICT_KEYS } from '../decision/verdict-shapes.ts';
import type { EventCopy } from './event-copy.ts';

/** OPA's `error` member: the core code, and what the log may say about why. */
export interface LoggedError {
  readonly code: CoreCode;
  readonly message: string;
}

/**
 * The cause of a denial as it may be logged: without this request's credentials, and, where a policy may have written
 * it, without names that are no constants of it, and without anything that the body, the query, a header or a claim
 * says too.
 */
export function loggedCause(
  outcome: Outcome,
  copy: EventCopy,
  isConstant: (text: string) => boolean,
): LoggedError | undefined {
  const { decision, cause } = outcome;
  if (decision.kind === 'allow' || cause === undefined) return undefined;
  const said = NAMED_BY_POLICY.has(decision.code) ? withoutMadeNames(cause, outcome, copy, isConstant) : cause;
  const message = copy.text(said, '/error/message', 'caller');
  if (!WRITTEN_BY_POLICY.has(decision.code) || !repeatsRequest(message, outcome)) {
    return { code: decision.code, message };
  }
  copy.erase('/error/message');
  return { code: decision.code, message: 'the cause repeats what the caller sent' };
}

/** A fault of our own is also worth a line in the operational log; a caller's ordinary denial is not. */
export function isFault(code: CoreCode): boolean {
  return FAULTS.has(code);
}

/** Codes whose cause may quote what a policy made, or what was thrown while it ran. */
const WRITTEN_BY_POLICY: ReadonlySet<CoreCode> = new Set<CoreCode>([
  'policy_denied',
  'unsupported_by_door',
  'policy_error',
  'policy_budget',
  'invalid_verdict',
  'invalid_charges',
  'quota_missing',
  'unperformed_obligation',
  'internal',
]);

/** Codes whose cause names a member, header or dimension that the policy made, out of anything it could read. */
const NAMED_BY_POLICY: ReadonlySet<CoreCode> = new Set<CoreCode>([
  'invalid_verdict',
  'invalid_charges',
  'unsupported_by_door',
]);

/** Replaces what is quoted unless the policy or Sallyport itself has the word; `quoted` left no backtick within. */
function withoutMadeNames(
  cause: string,
  { request, named }: Outcome,
  copy: EventCopy,
  isConstant: (text: string) => boolean,
): string {
  return cause.replace(QUOTED, (whole, name: string) => {
    const known = name === request.door || name === named?.limits || OWN_WORDS.has(name) || isConstant(name);
    if (known) return whole;
    copy.erase('/error/message');
    return `\`dynamic:${name.length}\``;
  });
}

const QUOTED = /`([^`]*)`/g;

const OWN_WORDS: ReadonlySet<string> = new Set([
  ...VERDICT_KEYS,
  ...CHARGE_KEYS,
  ...['allowed', 'http_status', 'dynamic_metadata', 'response_headers_to_add', 'request_headers_to_remove'],
  ...['query_parameters_to_set', 'query_parameters_to_remove', 'upstream_headers', 'limits', 'plans'],
  ...['reserve.ttl_seconds', 'reserve.on_expiry', 'reserve.at_least', 'reserve.learned'],
  ...['weights', 'prices'].flatMap((key) => ['input', 'cached', 'output'].map((sort) => `${key}.${sort}`)),
  ...['rate', 'window', 'requests', 'tokens', 'nano_usd', 'Europe/Berlin', 'UTC'],
]);

const FAULTS: ReadonlySet<CoreCode> = new Set<CoreCode>([
  'issuer_unavailable',
  'invalid_charges',
  'quota_missing',
  'quota_unavailable',
  'unknown_decision',
  'undefined_verdict',
  'invalid_verdict',
  'unperformed_obligation',
  'policy_error',
  'policy_budget',
  'no_bundle',
  'unsupported_by_door',
  'deadline',
  'overloaded',
  'internal',
]);

/** Whether a run of 16 characters stands in the request too; requests too large to search count as if one did. */
function repeatsRequest(message: string, outcome: Outcome): boolean {
  const { request } = outcome;
  if ('unreadable' in request) return false;
  const { bytes } = request.body;
  const texts = textsOfCaller(outcome);
  if (texts === undefined || bytes.length > MAX_SEARCHED) return true;
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + WINDOW <= message.length; at += RUN - WINDOW + 1) {
    const window = message.slice(at, at + WINDOW);
    if (texts.includes(window) || body.includes(window)) return true;
  }
  return false;
}

const MAX_SEARCHED = 64 * 1024;
/** A run of 16 holds a whole window of 8 at some multiple of 9. */
const RUN = 16;
const WINDOW = 8;

/** Query, header values and claims in one text, `undefined` when that would be too long. */
function textsOfCaller({ request, principal }: Outcome): string | undefined {
  if ('unreadable' in request) return '';
  const queryAt = request.target.indexOf('?');
  const texts = [queryAt === -1 ? '' : request.target.slice(queryAt)];
  for (const name of request.headers.names()) texts.push(...request.headers.all(name));
  collectTexts(principal?.claims, texts);
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  return length > MAX_SEARCHED ? undefined : texts.join('\n');
}

function collectTexts(value: unknown, texts: string[]): void {
  if (typeof value === 'string') texts.push(value);
  else if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) collectTexts(member, texts);
  }
}
