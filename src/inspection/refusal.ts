import type { CoreCode } from '../decision/errors.ts';

/** A request that ends in inspection, as a value: refusals are frequent, and a thrown error costs a stack trace. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly code: CoreCode;
  /** For logs: names the fault, never the content. */
  readonly cause: string;
}

export function refuse(code: CoreCode, cause: string): Refusal {
  return { kind: 'refusal', code, cause };
}

export function malformed(cause: string): Refusal {
  return refuse('malformed_request', cause);
}

/** Tells a refusal from what was asked for. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refusal';
}
