import type { X509Certificate } from 'node:crypto';

/** The subject alternative names that say who a peer is. */
export interface PeerNames {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
}

/**
 * Reads the URI and DNS SANs of a certificate; `undefined` when they cannot be told apart with certainty. Node prints
 * all SANs as one line and writes a name that could be taken for a separator as a JSON string (CVE-2021-44532), so a
 * name that is neither plain nor such a string is believed by nobody.
 */
export function parsePeerNames({ subjectAltName }: Pick<X509Certificate, 'subjectAltName'>): PeerNames | undefined {
  const uris: string[] = [];
  const dns: string[] = [];
  let rest = subjectAltName ?? '';
  while (rest !== '') {
    const match = NAME.exec(rest);
    if (match === null) return undefined;
    const [whole, type, json, plain = ''] = match;
    const name = json === undefined ? plain : readJson(json);
    if (name === undefined) return undefined;
    if (type === 'URI') uris.push(name);
    if (type === 'DNS') dns.push(name);
    rest = rest.slice(whole.length);
    if (rest === '') break;
    if (!rest.startsWith(', ') || rest.length === 2) return undefined;
    rest = rest.slice(2);
  }
  return { uris, dns };
}

const NAME = /^([A-Za-z ]{1,32}):(?:("(?:[^"\\]|\\.)*")|([^",]*))/;

function readJson(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
