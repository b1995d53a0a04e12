import { formatAddress, MAPPED } from '../ip.ts';
import { ia5Text } from './asn1-text.ts';
import { contextTag, DerReader, TAG, toUnsigned } from './der.ts';
import { isDomain } from './domain-names.ts';
import { type CertificateUri, readUri } from './uri-value.ts';
import { fail } from './x509-error.ts';

/** The names that a certificate is for (RFC 5280 §4.2.1.6), of the kinds that Go reads. */
export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  /** Of 4 or 16 bytes. */
  readonly ipAddresses: readonly Buffer[];
  readonly uris: readonly CertificateUri[];
}

export const NO_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };

export const GENERAL_NAME = {
  email: contextTag(1),
  dns: contextTag(2),
  uri: contextTag(6),
  ip: contextTag(7),
} as const;

/** What the extension holds. Throws an `X509Error`. */
export function readAlternativeNames(value: Buffer): AlternativeNames {
  const names = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid subject alternative names');
  const dnsNames: string[] = [];
  const emailAddresses: string[] = [];
  const ipAddresses: Buffer[] = [];
  const uris: CertificateUri[] = [];
  while (!names.empty) {
    const { tag, content } = names.element() ?? fail('x509: invalid subject alternative name');
    switch (tag) {
      case GENERAL_NAME.email:
        emailAddresses.push(ia5Text(content) ?? fail('x509: SAN rfc822Name is malformed'));
        break;
      case GENERAL_NAME.dns:
        dnsNames.push(ia5Text(content) ?? fail('x509: SAN dNSName is malformed'));
        break;
      case GENERAL_NAME.uri:
        uris.push(checkedUri(ia5Text(content) ?? fail('x509: SAN uniformResourceIdentifier is malformed')));
        break;
      case GENERAL_NAME.ip:
        if (content.length !== 4 && content.length !== 16) {
          fail(`x509: cannot parse IP address of length ${content.length}`);
        }
        ipAddresses.push(content);
        break;
    }
  }
  return { dnsNames, emailAddresses, ipAddresses, uris };
}

function checkedUri(text: string): CertificateUri {
  const uri = readUri(text);
  if ('mistake' in uri) return fail(`x509: cannot parse URI ${JSON.stringify(text)}: ${uri.mistake}`);
  if (uri.host !== '' && !isDomain(uri.host, false)) {
    fail(`x509: cannot parse URI ${JSON.stringify(text)}: invalid domain`);
  }
  return uri;
}

/** An address as Go prints it: one of IPv4 that is mapped into IPv6 as IPv4. */
export function ipText(address: Buffer): string {
  const value = toUnsigned(address);
  if (address.length === 4) return formatAddress({ bits: 32, value });
  return value >> 32n === MAPPED >> 32n
    ? formatAddress({ bits: 32, value: value - MAPPED })
    : formatAddress({ bits: 128, value });
}
