import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';

/** What a port of the operations answers: an HTTP status, and either a body or why there is none. */
export type OperationAnswer =
  | { readonly status: 200; readonly body: object }
  | {
      readonly status: number;
      /** A stable code. */
      readonly reason: string;
      /** For people; never holds what was sent. */
      readonly detail: string;
      /** Which field of the request is at fault. */
      readonly field?: string;
    };

/** Sends the body as JSON, or the fault as problem details (RFC 9457). */
export function sendAnswer(response: Response, answer: OperationAnswer): void {
  response.set('cache-control', 'no-store');
  if ('body' in answer) {
    response.status(answer.status).json(answer.body);
    return;
  }
  const { status, reason, detail, field } = answer;
  const title = STATUS_CODES[status] ?? 'Error';
  if (status === 503) response.set('retry-after', '1');
  response
    .status(status)
    .set('content-type', 'application/problem+json')
    .send(JSON.stringify({ status, title, reason, detail, ...(field === undefined ? {} : { field }) }));
}
