import type { AccessRequest } from '../decision/access-request.ts';
import { malformed, type Refusal } from './refusal.ts';

/**
 * Refuses a client's header that upstreams of the CGI family, which read `_` for `-`, take for one of Sallyport's own:
 * an Allow replaces `x-sallyport-tenant`, and `x_sallyport_tenant` would stand beside it.
 */
export function ownTwinFault({ headers }: AccessRequest): Refusal | undefined {
  for (const name of headers.names()) {
    if (name.charCodeAt(0) !== LETTER_X || !name.includes('_')) continue;
    if (name.replaceAll('_', '-').startsWith('x-sallyport-')) return malformed('a header is a twin of one of ours');
  }
  return undefined;
}

const LETTER_X = 0x78;
