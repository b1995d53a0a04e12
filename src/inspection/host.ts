import type { AccessRequest } from '../decision/access-request.ts';
import { canonicalIp } from './ip-address.ts';
import { malformed, type Refusal } from './refusal.ts';

/**
 * The host in one spelling: lower case, no port, no trailing dot, IPv6 literals in brackets by RFC 5952. Absent when
 * the request named none; refused when it is malformed or when two headers name different hosts.
 */
export function canonicalHost(request: AccessRequest): string | undefined | Refusal {
  const host = parseHost(request.host);
  if (typeof host === 'object') return host;
  for (const name of NAMES) {
    const values = request.headers.all(name);
    if (values.length === 0) continue;
    if (values.length > 1) return malformed(`\`${name}\` was sent more than once`);
    const other = values[0] ?? '';
    if (other === request.host) continue;
    if (parseHost(other) !== host) return malformed(`\`${name}\` names another host than the request`);
  }
  return host;
}

const NAMES = ['host', ':authority'];
const MAX_HOST = 255;
/** A registered name or IPv4 address and an optional port; no userinfo, no list, no escapes. */
const NAMED = /^([A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*)\.?(?::([0-9]{1,5}))?$/;
const BRACKETED = /^\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?$/;

function parseHost(authority: string): string | undefined | Refusal {
  if (authority === '') return undefined;
  if (authority.length > MAX_HOST + 6) return malformed('the host is longer than 255 characters');
  const bracketed = authority.startsWith('[');
  const match = (bracketed ? BRACKETED : NAMED).exec(authority);
  const name = match?.[1];
  if (name === undefined || Number(match?.[2] ?? 0) > 65535) return malformed('the host is malformed');
  if (!bracketed) return name.toLowerCase();
  const address = canonicalIp(name);
  if (address === undefined) return malformed('the host is malformed');
  return address.includes(':') ? `[${address}]` : address;
}
