import { type CertificateTime, readTime } from './asn1-time.ts';
import { contextTag, DerReader, TAG } from './der.ts';
import { type NameAttribute, readName } from './distinguished-name.ts';
import { type Extension, type ExtensionData, readExtension, readExtensions } from './extensions.ts';
import { type PublicKey, readPublicKey } from './public-key.ts';
import { type SignatureAlgorithm, signatureAlgorithm } from './signature-algorithm.ts';
import { fail } from './x509-error.ts';

/** An X.509 certificate, as strictly read as Go reads it. */
export interface Certificate {
  readonly raw: Buffer;
  readonly rawTbs: Buffer;
  readonly rawIssuer: Buffer;
  readonly rawSubject: Buffer;
  readonly rawPublicKey: Buffer;
  /** Counted from 1. */
  readonly version: number;
  readonly serialNumber: bigint;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Buffer;
  readonly issuer: readonly NameAttribute[];
  readonly subject: readonly NameAttribute[];
  readonly notBefore: CertificateTime;
  readonly notAfter: CertificateTime;
  readonly publicKey: PublicKey;
  readonly extensions: readonly Extension[];
  readonly data: ExtensionData;
}

/** Certificates in DER, one behind the other; `charge` is called before each. Throws an `X509Error`. */
export function readCertificates(der: Buffer, charge: () => void): readonly Certificate[] {
  const certificates: Certificate[] = [];
  let rest = der;
  while (rest.length > 0) {
    charge();
    const certificate = readOne(rest);
    certificates.push(certificate);
    rest = rest.subarray(certificate.raw.length);
  }
  return certificates;
}

/** Exactly one certificate in DER. Throws an `X509Error`. */
export function readCertificate(der: Buffer): Certificate {
  const certificate = readOne(der);
  return certificate.raw.length === der.length ? certificate : fail('x509: trailing data');
}

/** RFC 5280 §4.1. */
function readOne(der: Buffer): Certificate {
  const outer = new DerReader(der).element(TAG.sequence) ?? fail('x509: malformed certificate');
  const input = new DerReader(outer.content);
  const rawTbs = input.element(TAG.sequence) ?? fail('x509: malformed tbs certificate');
  const tbs = new DerReader(rawTbs.content);
  const version = readVersion(tbs);
  const serialNumber = tbs.integer() ?? fail('x509: malformed serial number');
  if (serialNumber < 0n) fail('x509: negative serial number');
  const inner = tbs.content(TAG.sequence) ?? fail('x509: malformed signature algorithm identifier');
  const identifier = input.content(TAG.sequence) ?? fail('x509: malformed algorithm identifier');
  if (!identifier.equals(inner)) fail("x509: inner and outer signature algorithm identifiers don't match");
  const algorithm = readAlgorithm(inner);
  const rawIssuer = (tbs.element(TAG.sequence) ?? fail('x509: malformed issuer')).whole;
  const issuer = readName(rawIssuer);
  const validity = tbs.open(TAG.sequence) ?? fail('x509: malformed validity');
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  const rawSubject = (tbs.element(TAG.sequence) ?? fail('x509: malformed issuer')).whole;
  const subject = readName(rawSubject);
  const rawPublicKey = (tbs.element(TAG.sequence) ?? fail('x509: malformed spki')).whole;
  const publicKey = readPublicKey(rawPublicKey);
  const extensions = version > 1 ? readExtensionList(tbs, version) : [];
  const data = readExtensions(extensions);
  const signature = input.bitString() ?? fail('x509: malformed signature');
  return {
    raw: outer.whole,
    rawTbs: rawTbs.whole,
    rawIssuer,
    rawSubject,
    rawPublicKey,
    version,
    serialNumber,
    signatureAlgorithm: algorithm,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    extensions,
    data,
  };
}

function readVersion(tbs: DerReader): number {
  const tag = contextTag(0, true);
  if (!tbs.peek(tag)) return 1;
  const explicit = tbs.open(tag);
  const version = explicit?.integer();
  if (version === undefined || !explicit?.empty || version < 0n) return fail('x509: malformed version');
  return version > 2n ? fail('x509: invalid version') : Number(version) + 1;
}

/** What an AlgorithmIdentifier without its tag names. */
export function readAlgorithm(content: Buffer): SignatureAlgorithm {
  const der = new DerReader(content);
  const oid = der.oid() ?? fail('x509: malformed OID');
  const parameters = der.empty ? Buffer.alloc(0) : (der.element() ?? fail('x509: malformed parameters')).whole;
  return signatureAlgorithm(oid, parameters);
}

function readExtensionList(tbs: DerReader, version: number): readonly Extension[] {
  if (tbs.peek(contextTag(1)) && tbs.element() === undefined) fail('x509: malformed issuerUniqueID');
  if (tbs.peek(contextTag(2)) && tbs.element() === undefined) fail('x509: malformed subjectUniqueID');
  if (version !== 3 || !tbs.peek(contextTag(3, true))) return [];
  const list = tbs.open(contextTag(3, true))?.open(TAG.sequence) ?? fail('x509: malformed extensions');
  const extensions = new Map<string, Extension>();
  while (!list.empty) {
    const extension = readExtension(list.open(TAG.sequence) ?? fail('x509: malformed extension'));
    const id = extension.id.join('.');
    if (extensions.has(id)) fail(`x509: certificate contains duplicate extension with OID "${id}"`);
    extensions.set(id, extension);
  }
  return [...extensions.values()];
}
