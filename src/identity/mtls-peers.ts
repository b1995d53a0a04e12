import type { AccessRequest } from '../decision/access-request.ts';
import type { Authentication, Peer } from '../decision/principal.ts';
import type { MtlsConfig } from './config.ts';
import { CredentialFault } from './credential-fault.ts';
import { checkPrincipal, toNaming, toPeer } from './mtls-identity.ts';
import { createCertificateReader, decodePem, type PeerCertificate, type ReadCertificate } from './peer-certificate.ts';
import { parseXfcc, type XfccElement } from './xfcc.ts';

/** The mTLS identity of a request's last hop; `null` when there is none, refused when there is one that cannot hold. */
export type PeerFound = Peer | null | PeerRefused;
export type PeerRefused = Extract<Authentication, { readonly kind: 'refused' }>;

export type PeerSource = (request: AccessRequest) => PeerFound;

export function isRefusedPeer(found: PeerFound): found is PeerRefused {
  return found !== null && 'kind' in found;
}

/**
 * Finds the peer of a request: first from what a believed gateway says of its client (`source`), then, only where that
 * is a configured trusted peer, from what this one says of its own client (XFCC), and only where nothing else is known
 * from the certificate of whoever connected to the door.
 */
export function createMtlsPeers(config: MtlsConfig): PeerSource {
  const context: Context = {
    trustDomains: new Set(config.trust_domains),
    trustedPeers: new Set(config.xfcc?.trusted_peers),
    by: new Set(config.xfcc?.by),
    read: createCertificateReader(MAX_CERTIFICATES),
  };
  return (request) => {
    try {
      const direct = directPeer(request, context);
      if (direct !== undefined) return behind(direct, request, context);
      const { callerCertificate } = request;
      if (!config.from_listener || callerCertificate === undefined) return null;
      return fromCertificate(context.read(callerCertificate), context) ?? null;
    } catch (error) {
      if (error instanceof CredentialFault) return { kind: 'refused', code: error.code, cause: error.message };
      throw error;
    }
  };
}

const MAX_CERTIFICATES = 10_000;
const XFCC = 'x-forwarded-client-cert';

interface Context {
  readonly trustDomains: ReadonlySet<string>;
  /** SPIFFE IDs. */
  readonly trustedPeers: ReadonlySet<string>;
  readonly by: ReadonlySet<string>;
  readonly read: ReadCertificate;
}

/** Doors let these through only from a caller that may be believed. */
function directPeer({ sourcePrincipal, sourceCertificate }: AccessRequest, context: Context): Peer | undefined {
  if (sourceCertificate === undefined) {
    return sourcePrincipal === undefined ? undefined : toPeer(toNaming(sourcePrincipal), context.trustDomains);
  }
  const certificate = context.read(decodePem(sourceCertificate));
  if (sourcePrincipal !== undefined) checkPrincipal(sourcePrincipal, certificate);
  return fromCertificate(certificate, context);
}

function fromCertificate(certificate: PeerCertificate, { trustDomains }: Context): Peer | undefined {
  if (certificate.isCa) throw new CredentialFault('the certificate of the peer is that of a certificate authority');
  return toPeer(certificate, trustDomains);
}

/**
 * Walks XFCC from the right. INVARIANT: an element is looked at only while `peer` is a trusted one, which wrote it of
 * its own client; so what an untrusted peer says of others changes nothing, well-formed or not.
 */
function behind(direct: Peer, request: AccessRequest, context: Context): Peer | null {
  let peer = direct;
  if (!isTrusted(peer, context)) return peer;
  const elements = parseXfcc(request.headers.all(XFCC));
  for (let at = elements.length - 1; at >= 0 && isTrusted(peer, context); at -= 1) {
    const element = elements[at];
    if (element === undefined) break;
    checkBy(element, peer, context);
    peer = toElementPeer(element, context);
  }
  // A proxy speaks for its client; where it says nothing of one, the client showed no certificate.
  return isTrusted(peer, context) ? null : peer;
}

function isTrusted({ spiffeId }: Peer, { trustedPeers }: Context): boolean {
  return spiffeId !== undefined && trustedPeers.has(spiffeId);
}

function checkBy({ by }: XfccElement, { spiffeId }: Peer, context: Context): void {
  if (by.length > 0 && by.every((one) => one === spiffeId || context.by.has(one))) return;
  throw new CredentialFault('an element of `x-forwarded-client-cert` was not written by the trusted peer');
}

function toElementPeer(element: XfccElement, context: Context): Peer {
  const peer =
    element.cert === undefined
      ? toPeer({ ...element, fingerprintSha256: element.hash }, context.trustDomains)
      : fromCertificate(agreedCertificate(element, element.cert, context), context);
  if (peer === undefined) throw new CredentialFault('an element of `x-forwarded-client-cert` names nobody');
  return peer;
}

/** The certificate says more than the rest of the element, but nothing else. */
function agreedCertificate(
  { hash, uris, dns, subject }: XfccElement,
  cert: string,
  { read }: Context,
): PeerCertificate {
  const certificate = read(decodePem(cert));
  const agreed =
    (hash === undefined || hash === certificate.fingerprintSha256) &&
    uris.every((uri) => certificate.uris.includes(uri)) &&
    dns.every((name) => certificate.dns.includes(name)) &&
    (subject === undefined || subject === certificate.subject);
  if (!agreed) throw new CredentialFault('an element of `x-forwarded-client-cert` is not that of its certificate');
  return certificate;
}
