import type { X509Certificate } from 'node:crypto';

/** The subject alternative names that a caller may be known by. */
export interface CertificateNames {
  readonly uris: readonly string[];
  /** Lower case. */
  readonly dns: readonly string[];
}

/**
 * Reads the SANs of a certificate; `undefined` when they cannot be read with certainty. Node prints them as one line
 * in which a name that could be mistaken for a separator is a JSON string (CVE-2021-44532): a plain split would let
 * a name smuggle in another.
 */
export function certificateNames(certificate: Pick<X509Certificate, 'subjectAltName'>): CertificateNames | undefined {
  const text = certificate.subjectAltName;
  const uris: string[] = [];
  const dns: string[] = [];
  if (text === undefined) return { uris, dns };
  let at = 0;
  while (at < text.length) {
    ENTRY.lastIndex = at;
    const match = ENTRY.exec(text);
    if (match === null) return undefined;
    const [whole, type, quoted, plain] = match;
    const value = quoted === undefined ? plain : unquote(quoted);
    if (value === undefined || !PRINTABLE.test(value)) return undefined;
    if (type === 'URI') uris.push(value);
    if (type === 'DNS') dns.push(value.toLowerCase());
    at += whole.length;
    if (at === text.length) break;
    if (!text.startsWith(SEPARATOR, at)) return undefined;
    at += SEPARATOR.length;
    if (at === text.length) return undefined;
  }
  return { uris, dns };
}

const SEPARATOR = ', ';
/** Type, colon, then a JSON string, or text up to a comma that holds no quote. */
const ENTRY = /([A-Za-z ]{1,32}):(?:("(?:[^"\\]|\\.)*")|([^",]*))/y;
const PRINTABLE = /^[\x20-\x7e]*$/;

function unquote(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
