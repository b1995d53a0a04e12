import type { Certificate } from './certificate.ts';
import { isDomain, type Mailbox, readMailbox } from './domain-names.ts';
import type { IpRange } from './name-constraints.ts';
import { uriDomain } from './uri-value.ts';

/**
 * Whether the names of every certificate of a chain, the end's first, are within what the authorities above it may
 * issue for (RFC 5280 §4.2.1.10). Names that cannot be read are not.
 */
export function withinConstraints(chain: readonly Certificate[]): boolean {
  return chain.every((certificate, at) => {
    const above = chain.slice(at + 1).filter(isConstraining);
    if (above.length === 0 || !hasNames(certificate)) return true;
    const names = readNames(certificate);
    return names !== undefined && above.every((authority) => isWithin(names, authority));
  });
}

function isConstraining({ extensions }: Certificate): boolean {
  return extensions.some(({ id }) => id.join('.') === '2.5.29.30');
}

function hasNames({ extensions }: Certificate): boolean {
  return extensions.some(({ id }) => id.join('.') === '2.5.29.17');
}

interface Names {
  readonly domains: readonly string[];
  readonly mailboxes: readonly Mailbox[];
  readonly addresses: readonly Buffer[];
  readonly uriDomains: readonly string[];
}

function readNames({ data }: Certificate): Names | undefined {
  const mailboxes = data.names.emailAddresses.map(readMailbox);
  const uriDomains = data.names.uris.map(uriDomain);
  const known = { mailboxes: mailboxes.filter(isKnown), uriDomains: uriDomains.filter(isKnown) };
  if (known.mailboxes.length < mailboxes.length || known.uriDomains.length < uriDomains.length) return undefined;
  const domains = data.names.dnsNames;
  if (![...domains, ...known.uriDomains].every((domain) => isDomain(domain, false))) return undefined;
  return { domains, addresses: data.names.ipAddresses, ...known };
}

function isKnown<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function isWithin(names: Names, { data }: Certificate): boolean {
  const { permitted, excluded } = data.constraints;
  return (
    areAllowed(names.addresses, permitted.ipRanges, excluded.ipRanges, isWithinRange) &&
    areAllowed(names.domains, permitted.dnsDomains, excluded.dnsDomains, isWithinDomain) &&
    areAllowed(names.uriDomains, permitted.uriDomains, excluded.uriDomains, isWithinDomain) &&
    areAllowed(names.mailboxes, permitted.emailAddresses, excluded.emailAddresses, isWithinMailboxes)
  );
}

/** Whether names of one kind are each within one of what is permitted, if anything is, and nothing that is excluded. */
function areAllowed<Name, Constraint>(
  names: readonly Name[],
  permitted: readonly Constraint[],
  excluded: readonly Constraint[],
  matches: (name: Name, constraint: Constraint, excluding: boolean) => boolean,
): boolean {
  return names.every(
    (name) =>
      (permitted.length === 0 || permitted.some((constraint) => matches(name, constraint, false))) &&
      !excluded.some((constraint) => matches(name, constraint, true)),
  );
}

function isWithinRange(address: Buffer, { ip, mask }: IpRange): boolean {
  return address.length === ip.length && address.every((byte, at) => ((byte ^ (ip[at] ?? 0)) & (mask[at] ?? 0)) === 0);
}

/**
 * Whether a domain is the constraint's or below it; below it only, where that begins with a dot. A wildcard is outside
 * as soon as one name that it stands for is.
 */
function isWithinDomain(name: string, constraint: string, excluding: boolean): boolean {
  const domain = name.toLowerCase();
  const limit = constraint.toLowerCase();
  if (limit === '' || (domain.endsWith(limit) && isLabelStart(domain, limit))) return true;
  return (
    excluding && domain.startsWith('*') && withoutFirstLabel(domain) === withoutFirstLabel(limit) && limit.includes('.')
  );
}

function isLabelStart(domain: string, limit: string): boolean {
  return (
    limit.startsWith('.') || domain.length === limit.length || domain.charAt(domain.length - limit.length - 1) === '.'
  );
}

function withoutFirstLabel(domain: string): string {
  const dot = domain.indexOf('.');
  return dot < 0 ? '' : domain.slice(dot);
}

function isWithinMailboxes(mailbox: Mailbox, constraint: string, excluding: boolean): boolean {
  if (!constraint.includes('@')) return isWithinDomain(mailbox.domain, constraint, excluding);
  const exact = readMailbox(constraint);
  return (
    exact !== undefined && exact.local === mailbox.local && exact.domain.toLowerCase() === mailbox.domain.toLowerCase()
  );
}
