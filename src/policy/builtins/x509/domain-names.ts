/** Whether a domain is one that a certificate may name; a constraint may begin with a dot, and both may be empty. */
export function isDomain(domain: string, constraint: boolean): boolean {
  if (domain === '') return true;
  const labels = constraint && domain.startsWith('.') ? domain.slice(1) : domain;
  // Nothing but visible ASCII, no empty label.
  return labels === '' ? false : /^[!-~]+$/.test(labels) && labels.split('.').every((label) => label !== '');
}

export interface Mailbox {
  readonly local: string;
  readonly domain: string;
}

const ATOM = /^(?:[0-9A-Za-z!#$%&'*+\-/=?^_`{|}~.]|\\[\s\S])+/;
const QUOTED = /^"((?:\\[^\n\r]|[^\t\n\r"\\])*)"/;

/** `local@domain` in ASCII (RFC 2821 §4.1.2), `undefined` for anything else. */
export function readMailbox(text: string): Mailbox | undefined {
  const quoted = QUOTED.exec(text);
  const found = quoted?.[0] ?? ATOM.exec(text)?.[0];
  if (found === undefined || (quoted !== null && found.includes('\0')) || text.charAt(found.length) !== '@')
    return undefined;
  const local = (quoted?.[1] ?? found).replace(/\\([\s\S])/g, '$1');
  if (quoted === null && (local.startsWith('.') || local.endsWith('.') || local.includes('..'))) return undefined;
  const domain = text.slice(found.length + 1);
  return isDomain(domain, false) ? { local, domain } : undefined;
}
