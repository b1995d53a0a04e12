import { numberOfBigInt } from '../../values/number.ts';
import type { PlainObject, Value } from '../../values/value.ts';
import type { Certificate } from './certificate.ts';
import { nameValue } from './distinguished-name.ts';
import type { Extension } from './extensions.ts';
import { type AlternativeNames, ipText } from './general-names.ts';
import type { IpRange, NameSubtrees } from './name-constraints.ts';

/** A certificate as OPA shows it: the fields of Go's `x509.Certificate` as JSON. */
export function certificateValue(certificate: Certificate): PlainObject {
  const { data, publicKey } = certificate;
  return {
    ...constraintValues('Permitted', data.constraints.permitted),
    ...constraintValues('Excluded', data.constraints.excluded),
    ...alternativeNameValues(data.names),
    AuthorityKeyId: base64OrNull(data.authorityKeyId),
    BasicConstraintsValid: data.basicConstraintsValid,
    CRLDistributionPoints: listOrNull(data.distributionPoints),
    ExtKeyUsage: listOrNull(data.extendedUsages),
    Extensions: extensionValues(certificate.extensions),
    ExtraExtensions: null,
    InhibitAnyPolicy: data.inhibitAnyPolicy.value,
    InhibitAnyPolicyZero: isSetToZero(data.inhibitAnyPolicy),
    InhibitPolicyMapping: data.inhibitPolicyMapping.value,
    InhibitPolicyMappingZero: isSetToZero(data.inhibitPolicyMapping),
    IsCA: data.isCa,
    Issuer: nameValue(certificate.issuer),
    IssuingCertificateURL: listOrNull(data.issuingUrls),
    KeyUsage: data.keyUsage,
    MaxPathLen: data.maxPathLength,
    MaxPathLenZero: data.basicConstraintsValid && data.maxPathLength === 0,
    NotAfter: certificate.notAfter.text,
    NotBefore: certificate.notBefore.text,
    OCSPServer: listOrNull(data.ocspServers),
    PermittedDNSDomainsCritical: data.constraintsCritical,
    Policies: listOrNull(data.policies ?? []),
    PolicyIdentifiers: data.policies?.map((policy) => policy.split('.').map(Number)).filter(isSmall) ?? null,
    PolicyMappings: listOrNull(
      data.policyMappings.map(({ issuer, subject }) => ({ IssuerDomainPolicy: issuer, SubjectDomainPolicy: subject })),
    ),
    PublicKey: publicKey.value,
    PublicKeyAlgorithm: publicKey.algorithm,
    Raw: base64(certificate.raw),
    RawIssuer: base64(certificate.rawIssuer),
    RawSubject: base64(certificate.rawSubject),
    RawSubjectPublicKeyInfo: base64(certificate.rawPublicKey),
    RawTBSCertificate: base64(certificate.rawTbs),
    RequireExplicitPolicy: data.requireExplicitPolicy.value,
    RequireExplicitPolicyZero: isSetToZero(data.requireExplicitPolicy),
    SerialNumber: numberOfBigInt(certificate.serialNumber),
    Signature: base64(certificate.signature),
    SignatureAlgorithm: certificate.signatureAlgorithm.number,
    Subject: nameValue(certificate.subject),
    SubjectKeyId: base64OrNull(data.subjectKeyId),
    UnhandledCriticalExtensions: listOrNull(data.unhandledCritical),
    UnknownExtKeyUsage: listOrNull(data.unknownUsages),
    Version: certificate.version,
  };
}

/** The same with `URIStrings`, which OPA adds where it parses certificates. */
export function extendedCertificateValue(certificate: Certificate): PlainObject {
  const uris = certificate.data.names.uris.map(({ text }) => text);
  return { ...certificateValue(certificate), URIStrings: listOrNull(uris) };
}

/** Alternative names by Go's fields. */
export function alternativeNameValues(names: AlternativeNames): PlainObject {
  return {
    DNSNames: listOrNull(names.dnsNames),
    EmailAddresses: listOrNull(names.emailAddresses),
    IPAddresses: listOrNull(names.ipAddresses.map(ipText)),
    URIs: listOrNull(names.uris.map(({ value }) => value)),
  };
}

export function extensionValues(extensions: readonly Extension[]): Value {
  return listOrNull(
    extensions.map(({ critical, id, value }) => ({ Critical: critical, Id: id, Value: base64(value) })),
  );
}

/** Go writes a list that was never begun as `null`. */
export function listOrNull(list: readonly Value[]): Value {
  return list.length === 0 ? null : list;
}

export function base64(bytes: Buffer): string {
  return bytes.toString('base64');
}

function base64OrNull(bytes: Buffer | undefined): Value {
  return bytes === undefined ? null : base64(bytes);
}

function constraintValues(prefix: string, names: NameSubtrees): PlainObject {
  return {
    [`${prefix}DNSDomains`]: listOrNull(names.dnsDomains),
    [`${prefix}EmailAddresses`]: listOrNull(names.emailAddresses),
    [`${prefix}IPRanges`]: listOrNull(names.ipRanges.map(rangeValue)),
    [`${prefix}URIDomains`]: listOrNull(names.uriDomains),
  };
}

function rangeValue({ ip, mask }: IpRange): Value {
  return { IP: ipText(ip), Mask: base64(mask) };
}

function isSetToZero({ value, set }: { readonly value: number; readonly set: boolean }): boolean {
  return set && value === 0;
}

function isSmall(policy: readonly number[]): boolean {
  return policy.every((part) => part < 2 ** 31);
}
