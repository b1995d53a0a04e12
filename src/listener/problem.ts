import type { Deny } from '../decision/decision.ts';
import { titleOf } from '../decision/errors.ts';
import type { HeaderPairs } from '../decision/header-changes.ts';

/**
 * The body of a denial: the verdict's own, else RFC 9457 problem details that say nothing of tokens, models, tenants,
 * rules or the policy. A door that answers with another status passes the Deny with that status.
 */
export function problemBody(decision: Deny, decisionId: string): string {
  if (decision.body !== undefined) return decision.body;
  const { status, reason, exceeded } = decision;
  if (exceeded === undefined)
    return JSON.stringify({ status, title: titleOf(reason), reason, decision_id: decisionId });
  const { violated, openAi } = exceeded;
  return JSON.stringify({
    type: QUOTA_EXCEEDED,
    status,
    title: titleOf(reason),
    reason,
    decision_id: decisionId,
    ...(violated.length === 0 ? {} : { 'violated-policies': violated }),
    ...(openAi ? { error: OPENAI_ERROR } : {}),
  });
}

/** The problem type of draft-ietf-httpapi-ratelimit-headers-11 §5.1. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

/** What clients of OpenAI's API read in a 429. */
const OPENAI_ERROR = {
  message: 'Rate limit reached: wait before the next request.',
  type: 'rate_limit_error',
  param: null,
  code: 'rate_limit_exceeded',
};

/**
 * The headers of a denial: the decision's own, with the content type of {@link problemBody} and, on a 401, the
 * challenge that RFC 9110 §11.6.1 demands.
 */
export function denialHeaders(decision: Deny): HeaderPairs {
  const { body, status } = decision;
  // The type of our own body is ours to say; that of a verdict's body is the verdict's.
  const headers = body === undefined ? without(decision.headers, CONTENT_TYPE) : [...decision.headers];
  if (body === undefined) headers.push([CONTENT_TYPE, 'application/problem+json']);
  else if (!has(headers, CONTENT_TYPE)) headers.push([CONTENT_TYPE, 'text/plain']);
  if (status === 401 && !has(headers, CHALLENGE)) headers.push([CHALLENGE, 'Bearer']);
  return headers;
}

const CONTENT_TYPE = 'content-type';
const CHALLENGE = 'www-authenticate';

function has(headers: HeaderPairs, name: string): boolean {
  return headers.some(([other]) => other === name);
}

function without(headers: HeaderPairs, name: string): (readonly [string, string])[] {
  return headers.filter(([other]) => other !== name);
}
