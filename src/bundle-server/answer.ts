import { STATUS_CODES } from 'node:http';
import type { Request, Response } from 'express';
import type { BodyFault } from '../listener/request-body.ts';

/** What is answered beside archives: an HTTP status, and either a body or why there is none. */
export type Answer =
  | { readonly status: 200 | 201; readonly body: object }
  | {
      readonly status: number;
      /** A stable code. */
      readonly reason: string;
      /** For people; never holds a token. */
      readonly detail: string;
    };

export function refusal(status: number, reason: string, detail: string): Answer {
  return { status, reason, detail };
}

/** Why a request's body is not taken. */
export function bodyRefusal({ status, detail }: BodyFault): Answer {
  const reason = status === 413 ? 'too_large' : status === 408 ? 'too_slow' : 'bad_request';
  return refusal(status, reason, detail);
}

/** Sends the body as JSON, or the fault as problem details (RFC 9457). */
export function sendAnswer(response: Response, answer: Answer): void {
  response.set('cache-control', 'no-store');
  // What was not read of a request's body is not waited for.
  if (!response.req.complete && hasBody(response.req)) response.set('connection', 'close');
  if ('body' in answer) {
    response.status(answer.status).json(answer.body);
    return;
  }
  const { status, reason, detail } = answer;
  if (status === 503 || status === 429) response.set('retry-after', '1');
  if (status === 401) response.set('www-authenticate', 'Bearer');
  response
    .status(status)
    .set('content-type', 'application/problem+json')
    .send(JSON.stringify({ status, title: STATUS_CODES[status] ?? 'Error', reason, detail }));
}

/** Whether its headers announce a body. */
export function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
