import type { AccessRequest } from '../decision/access-request.ts';
import type { NetworkConfig } from './config.ts';
import { canonicalIp } from './ip-address.ts';
import { isRefusal, malformed, type Refusal } from './refusal.ts';

/**
 * The client's address in canonical text: the gateway's direct peer, or the entry of `x-forwarded-for` that the n-th
 * trusted hop wrote. Absent when the door knows no peer; refused when what must be an address is none.
 */
export function clientAddress(request: AccessRequest, trustedHops: number): string | undefined | Refusal {
  if (trustedHops > 0) return forwardedAddress(request.headers.all('x-forwarded-for'), trustedHops);
  if (request.sourceAddress === undefined) return undefined;
  return canonicalIp(request.sourceAddress) ?? malformed('the source address is no IP address');
}

/** The same for whoever counts by address: what is no address is nobody's. */
export function createClientIp({
  trusted_hops: trustedHops,
}: NetworkConfig): (request: AccessRequest) => string | undefined {
  return (request) => {
    const address = clientAddress(request, trustedHops);
    return isRefusal(address) ? undefined : address;
  };
}

/** Falling back to another entry would let the caller choose the address, so a chain that is too short is refused. */
function forwardedAddress(values: readonly string[], trustedHops: number): string | Refusal {
  let hop = trustedHops;
  for (let i = values.length - 1; i >= 0; i--) {
    const value = values[i] ?? '';
    let end = value.length;
    while (end >= 0) {
      const comma = end === 0 ? -1 : value.lastIndexOf(',', end - 1);
      if (--hop === 0) return parseEntry(value.slice(comma + 1, end).trim());
      end = comma;
    }
  }
  return malformed('`x-forwarded-for` has fewer entries than there are trusted hops');
}

/** Some proxies append the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const WITH_PORT = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::[0-9]{1,5})?$/;

function parseEntry(entry: string): string | Refusal {
  const match = WITH_PORT.exec(entry);
  const bracketed = match?.[1];
  // RFC 3986 §3.2.2: brackets hold no IPv4 address.
  if (bracketed !== undefined && !bracketed.includes(':')) return malformed('`x-forwarded-for` names no IP address');
  return canonicalIp(bracketed ?? match?.[2] ?? entry) ?? malformed('`x-forwarded-for` names no IP address');
}
