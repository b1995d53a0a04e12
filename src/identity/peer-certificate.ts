import { hash, X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { CredentialFault } from './credential-fault.ts';
import { parsePeerNames } from './peer-certificate-names.ts';

/** What a certificate says of its bearer. That it was verified is the word of whoever handed it over. */
export interface PeerCertificate {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** RFC 2253 text as Envoy and OpenSSL write it; empty when there is no subject. */
  readonly subject: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprintSha256: string;
  /** A certificate that signs others is nobody's identity (SPIFFE X509-SVID, section 3.1). */
  readonly isCa: boolean;
}

/** Reads the one certificate of a PEM text; throws {@link CredentialFault} when it is not exactly one. */
export type ReadCertificate = (pem: string) => PeerCertificate;

/**
 * Reads certificates, and each only once while it is remembered: the cache's key is a SHA-256 over the whole text, so
 * no two texts share an entry (SECURITY row 25). What cannot be read is not remembered.
 */
export function createCertificateReader(maxEntries: number): ReadCertificate {
  const known = new LRUCache<string, PeerCertificate>({ max: maxEntries });
  return (pem) => {
    if (pem.length > MAX_LENGTH) throw new CredentialFault('the certificate of the peer is too long');
    const key = hash('sha256', pem, 'base64url');
    const before = known.get(key);
    if (before !== undefined) return before;
    const certificate = parsePeerCertificate(pem);
    known.set(key, certificate);
    return certificate;
  };
}

/** The PEM that Envoy URL-encodes (`source.certificate`, and `Cert` in XFCC). */
export function decodePem(encoded: string): string {
  if (encoded.length > MAX_LENGTH) throw new CredentialFault('the certificate of the peer is too long');
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw unreadable();
  }
}

const MAX_LENGTH = 64 * 1024;
/** One block and nothing else: OpenSSL would take the first of several and skip what stands before it. */
const ONE_PEM = /^-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----(?:\r?\n)?$/;

function parsePeerCertificate(pem: string): PeerCertificate {
  if (!ONE_PEM.test(pem)) throw unreadable();
  try {
    const certificate = new X509Certificate(pem);
    const names = parsePeerNames(certificate);
    if (names === undefined) throw new CredentialFault('the names of the peer’s certificate cannot be read');
    return Object.freeze({
      uris: Object.freeze([...names.uris]),
      dns: Object.freeze([...names.dns]),
      subject: subjectText(certificate.subject ?? ''),
      fingerprintSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      isCa: certificate.ca,
    });
  } catch (error) {
    throw error instanceof CredentialFault ? error : unreadable();
  }
}

function unreadable(): CredentialFault {
  return new CredentialFault('the certificate of the peer is not one certificate in PEM');
}

/**
 * Node prints a line per RDN, first to last, and joins those of one RDN with ` + `; RFC 2253 wants them last to first.
 * Control characters and every separator inside a value are escaped already; bytes beyond ASCII are written as OpenSSL does.
 */
function subjectText(printed: string): string {
  if (printed === '') return '';
  return printed
    .split('\n')
    .reverse()
    .join(',')
    .replaceAll(' + ', '+')
    .replaceAll(BEYOND_ASCII, (text) => Buffer.from(text).toString('hex').toUpperCase().replaceAll(/../g, '\\$&'));
}

const BEYOND_ASCII = /[^\x20-\x7e]+/g;
