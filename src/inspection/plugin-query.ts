import { RequestFault } from '../decision/errors.ts';
import { percentDecode } from './percent-decoding.ts';

/** Values of each name in order of arrival; without a prototype, because callers choose the names. */
export interface FormValues {
  readonly [name: string]: readonly string[];
}

/** opa-envoy-plugin's `parsed_query` of a target. Throws `malformed_request` where the plugin denies. */
export function parsePluginQuery(target: string): FormValues {
  const query = target.indexOf('?');
  return parseForm(query < 0 ? '' : target.slice(query + 1));
}

/**
 * Go's `url.ParseQuery`, stricter than WHATWG's: a `;` or a bad escape anywhere is `malformed_request`; empty pieces
 * are skipped; `k` and `k=` are both the empty text.
 */
export function parseForm(text: string): FormValues {
  // An own `__proto__` needs an object without the inherited accessor.
  const values: { [name: string]: string[] } = Object.create(null);
  // One more than may be: the rest of a longer text is not even split.
  const pieces = text.split('&', MAX_PIECES + 1);
  if (pieces.length > MAX_PIECES) throw new RequestFault('malformed_request', 'a query or form has too many fields');
  for (const piece of pieces) {
    if (piece === '') continue;
    if (piece.includes(';')) throw new RequestFault('malformed_request', 'a query or form holds `;`');
    const equals = piece.indexOf('=');
    const name = percentDecode(equals < 0 ? piece : piece.slice(0, equals), true);
    const value = percentDecode(equals < 0 ? '' : piece.slice(equals + 1), true);
    if (name === undefined || value === undefined) {
      throw new RequestFault('malformed_request', 'a query or form has a bad percent escape');
    }
    const known = values[name];
    if (known === undefined) values[name] = [value];
    else known.push(value);
  }
  return values;
}

/** Go's own bound since 1.25.6 (`urlmaxqueryparams`). */
const MAX_PIECES = 10_000;
