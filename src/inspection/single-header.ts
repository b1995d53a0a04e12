import type { RequestHeaders } from '../decision/access-request.ts';
import { malformed, type Refusal } from './refusal.ts';

/**
 * The value of a header that must be single, `undefined` when it is absent. Envoy joins repeated headers with a bare
 * comma, so a comma is a repetition too: none of the headers read here may hold one.
 */
export function soleValue(headers: RequestHeaders, name: string): string | undefined | Refusal {
  const values = headers.all(name);
  const value = values[0];
  if (value === undefined) return undefined;
  if (values.length > 1 || value.includes(',')) return malformed(`\`${name}\` was sent more than once`);
  return value;
}
