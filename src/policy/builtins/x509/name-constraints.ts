import { isIP } from 'node:net';
import { ia5Text } from './asn1-text.ts';
import { contextTag, DerReader, TAG } from './der.ts';
import { isDomain, readMailbox } from './domain-names.ts';
import { GENERAL_NAME } from './general-names.ts';
import { fail } from './x509-error.ts';

export interface IpRange {
  readonly ip: Buffer;
  readonly mask: Buffer;
}

/** Names that an authority may issue for, or may not. */
export interface NameSubtrees {
  readonly dnsDomains: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly ipRanges: readonly IpRange[];
  readonly uriDomains: readonly string[];
}

export interface NameConstraints {
  readonly permitted: NameSubtrees;
  readonly excluded: NameSubtrees;
  /** Whether there are names of other kinds among them. */
  readonly unhandled: boolean;
}

const NO_SUBTREES: NameSubtrees = { dnsDomains: [], emailAddresses: [], ipRanges: [], uriDomains: [] };

export const NO_CONSTRAINTS: NameConstraints = { permitted: NO_SUBTREES, excluded: NO_SUBTREES, unhandled: false };

/** RFC 5280 §4.2.1.10. Throws an `X509Error`. */
export function readNameConstraints(value: Buffer): NameConstraints {
  const outer = new DerReader(value);
  const trees = outer.open(TAG.sequence);
  const permitted = trees?.content(contextTag(0, true));
  const excluded = trees?.content(contextTag(1, true));
  if (trees === undefined || !outer.empty || !trees.empty) return fail('x509: invalid NameConstraints extension');
  if ((permitted?.length ?? 0) === 0 && (excluded?.length ?? 0) === 0) {
    return fail('x509: empty name constraints extension');
  }
  const may = readSubtrees(permitted);
  const mayNot = readSubtrees(excluded);
  return { permitted: may.subtrees, excluded: mayNot.subtrees, unhandled: may.unhandled || mayNot.unhandled };
}

function readSubtrees(content: Buffer | undefined): { readonly subtrees: NameSubtrees; readonly unhandled: boolean } {
  const dnsDomains: string[] = [];
  const emailAddresses: string[] = [];
  const ipRanges: IpRange[] = [];
  const uriDomains: string[] = [];
  let unhandled = false;
  const list = new DerReader(content ?? Buffer.alloc(0));
  while (!list.empty) {
    const name = list.open(TAG.sequence)?.element() ?? fail('x509: invalid NameConstraints extension');
    switch (name.tag) {
      case GENERAL_NAME.dns:
        dnsDomains.push(domainConstraint(constraintText(name.content), 'dnsName'));
        break;
      case GENERAL_NAME.email:
        emailAddresses.push(emailConstraint(constraintText(name.content)));
        break;
      case GENERAL_NAME.ip:
        ipRanges.push(ipConstraint(name.content));
        break;
      case GENERAL_NAME.uri:
        uriDomains.push(uriConstraint(constraintText(name.content)));
        break;
      default:
        unhandled = true;
    }
  }
  return { subtrees: { dnsDomains, emailAddresses, ipRanges, uriDomains }, unhandled };
}

function constraintText(content: Buffer): string {
  return (
    ia5Text(content) ??
    fail(
      `x509: invalid constraint value: x509: ${JSON.stringify(content.toString('latin1'))} cannot be encoded as an IA5String`,
    )
  );
}

function domainConstraint(domain: string, kind: string): string {
  return isDomain(domain, true) ? domain : fail(`x509: failed to parse ${kind} constraint ${JSON.stringify(domain)}`);
}

function emailConstraint(constraint: string): string {
  if (!constraint.includes('@')) return domainConstraint(constraint, 'rfc822Name');
  return readMailbox(constraint) === undefined
    ? fail(`x509: failed to parse rfc822Name constraint ${JSON.stringify(constraint)}`)
    : constraint;
}

function uriConstraint(domain: string): string {
  if (isIP(domain) !== 0) {
    fail(`x509: failed to parse URI constraint ${JSON.stringify(domain)}: cannot be IP address`);
  }
  return domainConstraint(domain, 'URI');
}

const MASK = /^1*0*$/;

function ipConstraint(value: Buffer): IpRange {
  const size = value.length / 2;
  if (size !== 4 && size !== 16) return fail(`x509: IP constraint contained value of length ${value.length}`);
  const mask = value.subarray(size);
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  if (!MASK.test(bits)) fail(`x509: IP constraint contained invalid mask ${mask.toString('hex')}`);
  return { ip: value.subarray(0, size), mask };
}
