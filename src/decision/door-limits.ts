import type { AccessRequest } from './access-request.ts';
import type { Allow } from './decision.ts';
import { quoted } from './errors.ts';

/** What of an Allow the request's door cannot carry out, in words for the log; `undefined` when it can all of it. */
export function unsupportedByDoor(allow: Allow, { door, capabilities }: AccessRequest): string | undefined {
  const { queryChanges, upstreamHeaders } = capabilities;
  if (!queryChanges && (allow.querySet.length > 0 || allow.queryRemove.length > 0)) {
    return `the door \`${door}\` cannot change the query`;
  }
  if (upstreamHeaders === 'all') return undefined;
  const unlisted = allow.setHeaders.find(([name]) => !upstreamHeaders.has(name));
  if (unlisted !== undefined) {
    return `the door \`${door}\` does not list ${quoted(unlisted[0])} among its \`upstream_headers\``;
  }
  // One answer carries both kinds there, so a name can only mean one of them.
  const ambiguous = allow.responseHeaders.find(([name]) => upstreamHeaders.has(name));
  if (ambiguous === undefined) return undefined;
  return `the door \`${door}\` sends ${quoted(ambiguous[0])} to the upstream, so it cannot be a response header`;
}
