import type { Peer } from '../decision/principal.ts';
import { CredentialFault } from './credential-fault.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import { claimsSpiffe, parseSpiffeId } from './spiffe-id.ts';

/** The names of one certificate, each by its kind. */
export interface PeerNaming {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  readonly subject?: string | undefined;
  readonly fingerprintSha256?: string | undefined;
}

/**
 * The peer that names make. A SPIFFE ID must be the only URI (SPIFFE X509-SVID, section 2), name a workload and belong
 * to a configured trust domain, else this throws {@link CredentialFault}: it is never read as less than it claims to
 * be. Other URIs say nothing. `undefined` when the names name nobody.
 */
export function toPeer(naming: PeerNaming, trustDomains: ReadonlySet<string>): Peer | undefined {
  const { uris, dns, subject, fingerprintSha256 } = naming;
  const spiffe = uris.some(claimsSpiffe) ? readSpiffeId(uris, trustDomains) : undefined;
  const dnsSans = dns.map(readDnsName);
  const named = spiffe !== undefined || dnsSans.length > 0;
  const shownSubject = named || subject === undefined || subject === '' ? undefined : readSubject(subject);
  if (!named && shownSubject === undefined && fingerprintSha256 === undefined) return undefined;
  return {
    ...(spiffe === undefined ? {} : { spiffeId: spiffe.id, trustDomain: spiffe.trustDomain }),
    dnsSans,
    ...(shownSubject === undefined ? {} : { subject: shownSubject }),
    ...(fingerprintSha256 === undefined ? {} : { fingerprintSha256 }),
  };
}

/** Tells apart what Envoy puts in `source.principal`: the first URI SAN, else the first DNS SAN, else the subject. */
export function toNaming(principal: string): PeerNaming {
  if (claimsSpiffe(principal)) return { uris: [principal], dns: [] };
  if (URI.test(principal)) throw new CredentialFault('the principal of the peer is a URI and no SPIFFE ID');
  // A subject always has an `=` and a DNS name never has.
  if (principal.includes('=')) return { uris: [], dns: [], subject: principal };
  return { uris: [], dns: [principal] };
}

/** Throws {@link CredentialFault} unless Envoy would name the bearer of the certificate by this principal. */
export function checkPrincipal(principal: string, { uris, dns, subject }: PeerCertificate): void {
  const named = uris[0] ?? dns[0] ?? subject;
  if (named !== principal) throw new CredentialFault('the principal of the peer is not that of its certificate');
}

function readSpiffeId(
  uris: readonly string[],
  trustDomains: ReadonlySet<string>,
): { readonly id: string; readonly trustDomain: string } {
  const [uri = '', ...others] = uris;
  if (others.length > 0) throw new CredentialFault('the certificate of the peer has a SPIFFE ID beside another URI');
  const spiffe = parseSpiffeId(uri);
  if (spiffe === undefined) throw new CredentialFault('the SPIFFE ID of the peer is malformed');
  if (spiffe.path === '') throw new CredentialFault('the SPIFFE ID of the peer names no workload');
  if (!trustDomains.has(spiffe.trustDomain)) {
    throw new CredentialFault('the SPIFFE ID of the peer is of a trust domain that is not configured');
  }
  return spiffe;
}

/** A wildcard is a name too, and compared as it is written: it stands for nothing but itself. */
const DNS_NAME = /^(?=.{1,253}$)(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62}){0,126}$/;
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const MAX_SUBJECT = 1024;

function readDnsName(name: string): string {
  const lower = name.toLowerCase();
  if (!DNS_NAME.test(lower)) throw new CredentialFault('a DNS name of the peer is malformed');
  return lower;
}

/** So that no subject can be taken for a SPIFFE ID or a DNS name, wherever it is read. */
function readSubject(subject: string): string {
  if (subject.length > MAX_SUBJECT || !subject.includes('=') || URI.test(subject)) {
    throw new CredentialFault('the subject of the peer is malformed');
  }
  return subject;
}
