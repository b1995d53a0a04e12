import { numberOfBigInt } from '../../values/number.ts';
import type { PlainObject, Value } from '../../values/value.ts';
import { readAsn1Text } from './asn1-text.ts';
import { readTime } from './asn1-time.ts';
import { readAlgorithm } from './certificate.ts';
import { alternativeNameValues, base64, extensionValues, listOrNull } from './certificate-value.ts';
import { contextTag, type DerElement, DerReader, TAG, toBits, toBoolean, toInteger, toOid } from './der.ts';
import { type NameAttribute, nameValue } from './distinguished-name.ts';
import { type Extension, readExtension } from './extensions.ts';
import { NO_NAMES, readAlternativeNames } from './general-names.ts';
import { readPublicKey } from './public-key.ts';
import { fail } from './x509-error.ts';

/**
 * A certificate request (PKCS #10, RFC 2986) as OPA shows it: the fields of Go's `x509.CertificateRequest` as JSON.
 * Throws an `X509Error`.
 */
export function certificateRequestValue(der: Buffer): PlainObject {
  const reader = new DerReader(der);
  const outer = reader.element(TAG.sequence) ?? malformed(der);
  if (!reader.empty) fail('asn1: syntax error: trailing data');
  const input = new DerReader(outer.content);
  const rawTbs = input.element(TAG.sequence) ?? malformed();
  const tbs = new DerReader(rawTbs.content);
  const version = tbs.integer() ?? malformed();
  const rawSubject = tbs.element(TAG.sequence) ?? malformed();
  const rawKey = tbs.element(TAG.sequence) ?? malformed();
  const attributes = readAttributes(tbs.content(contextTag(0, true)) ?? malformed());
  const algorithm = readAlgorithm(input.content(TAG.sequence) ?? malformed());
  const signature = input.bitString() ?? malformed();
  const publicKey = readPublicKey(rawKey.whole);
  const subject = readAnyName(rawSubject.content);
  const extensions = requestedExtensions(attributes);
  const names = extensions.find(({ id }) => id.join('.') === '2.5.29.17');
  return {
    ...alternativeNameValues(names === undefined ? NO_NAMES : readAlternativeNames(names.value)),
    Attributes: listOrNull(attributes.map(attributeValue).filter((attribute) => attribute !== undefined)),
    Extensions: extensionValues(extensions),
    ExtraExtensions: null,
    PublicKey: publicKey.value,
    PublicKeyAlgorithm: publicKey.algorithm,
    Raw: base64(outer.whole),
    RawSubject: base64(rawSubject.whole),
    RawSubjectPublicKeyInfo: base64(rawKey.whole),
    RawTBSCertificateRequest: base64(rawTbs.whole),
    Signature: base64(signature),
    SignatureAlgorithm: algorithm.number,
    Subject: nameValue(subject),
    Version: numberOfBigInt(version),
  };
}

function malformed(der?: Buffer): never {
  // Go says so of another tag, and the other of a length beyond the end.
  return der?.[0] === TAG.sequence
    ? fail('asn1: syntax error: data truncated')
    : fail("asn1: structure error: tags don't match");
}

interface Attribute {
  readonly type: readonly number[];
  /** The elements of its set. */
  readonly values: readonly DerElement[];
}

/** Attributes that are none are passed over, as by Go. */
function readAttributes(list: Buffer): readonly Attribute[] {
  const attributes: Attribute[] = [];
  for (const { tag, content } of elements(list)) {
    const der = new DerReader(content);
    const type = tag === TAG.sequence ? der.oid() : undefined;
    const values = type && der.content(TAG.set);
    const parts = values && parseElements(values);
    if (type !== undefined && parts !== undefined) attributes.push({ type, values: parts });
  }
  return attributes;
}

function elements(content: Buffer): readonly DerElement[] {
  return parseElements(content) ?? malformed();
}

function parseElements(content: Buffer): readonly DerElement[] | undefined {
  const list: DerElement[] = [];
  for (const der = new DerReader(content); !der.empty; ) {
    const element = der.element();
    if (element === undefined) return undefined;
    list.push(element);
  }
  return list;
}

/** An attribute whose values are lists of pairs, the only ones that Go shows. */
function attributeValue({ type, values }: Attribute): Value | undefined {
  const lists: Value[] = [];
  for (const value of values) {
    if (value.tag !== TAG.sequence) return undefined;
    const pairs: Value[] = [];
    for (const pair of elements(value.content)) {
      const der = pair.tag === TAG.sequence ? new DerReader(pair.content) : undefined;
      const id = der?.oid();
      const element = der?.element();
      if (id === undefined || element === undefined) return undefined;
      pairs.push({ Type: id, Value: anyValue(element) });
    }
    lists.push(pairs);
  }
  return { Type: type, Value: lists };
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

function requestedExtensions(attributes: readonly Attribute[]): readonly Extension[] {
  const extensions = new Map<string, Extension>();
  for (const { type, values } of attributes) {
    const [first] = values;
    if (type.join('.') !== EXTENSION_REQUEST || first === undefined) continue;
    if (first.tag !== TAG.sequence) malformed();
    for (const { tag, content } of elements(first.content)) {
      if (tag !== TAG.sequence) malformed();
      const extension = readExtension(new DerReader(content));
      const id = extension.id.join('.');
      if (extensions.has(id)) fail('x509: certificate request contains duplicate requested extensions');
      extensions.set(id, extension);
    }
  }
  return [...extensions.values()];
}

/** A name whose values need not be texts. */
function readAnyName(content: Buffer): readonly NameAttribute[] {
  return elements(content).flatMap((set) => {
    if (set.tag !== TAG.set) return malformed();
    return elements(set.content).map((pair) => {
      const der = new DerReader(pair.content);
      const type = (pair.tag === TAG.sequence ? der.oid() : undefined) ?? malformed();
      return { type, value: anyValue(der.element() ?? malformed()) };
    });
  });
}

const MAX_INT64 = 2n ** 63n - 1n;

/** What Go's ASN.1 reader makes of a value of any type; `null` for types that it does not know. */
function anyValue({ tag, content, whole }: DerElement): Value {
  switch (tag) {
    case TAG.boolean:
      return toBoolean(content) ?? fail('asn1: syntax error: invalid boolean');
    case TAG.integer: {
      const value = toInteger(content);
      if (value === undefined) return fail('asn1: structure error: integer not minimally-encoded');
      return value > MAX_INT64 || value < -MAX_INT64 - 1n
        ? fail('asn1: structure error: integer too large')
        : numberOfBigInt(value);
    }
    case TAG.bitString: {
      const bits = toBits(content) ?? fail('asn1: syntax error: invalid padding bits in BIT STRING');
      return { BitLength: bits.length, Bytes: base64(bits.bytes) };
    }
    case TAG.octetString:
      return base64(content);
    case TAG.oid:
      return toOid(content) ?? fail('asn1: structure error: base 128 integer too large');
    case TAG.utcTime:
    case TAG.generalizedTime:
      return readTime(new DerReader(whole)).text;
    case TAG.printableString:
    case TAG.numericString:
    case TAG.ia5String:
    case TAG.t61String:
    case TAG.utf8String:
    case TAG.bmpString:
      return readAsn1Text(tag, content);
    default:
      return null;
  }
}
