import type { Value } from '../../values/value.ts';
import { readAsn1Text } from './asn1-text.ts';
import { DerReader, TAG } from './der.ts';
import { fail, X509Error } from './x509-error.ts';

/** One attribute of a name. Its value is a text in certificates, and may be anything in requests. */
export interface NameAttribute {
  readonly type: readonly number[];
  readonly value: Value;
}

/** The attributes of a certificate's name (RFC 5280 §4.1.2.4). Throws an `X509Error`. */
export function readName(whole: Buffer): readonly NameAttribute[] {
  const names = new DerReader(whole).open(TAG.sequence) ?? fail('x509: invalid RDNSequence');
  const attributes: NameAttribute[] = [];
  while (!names.empty) {
    const set = names.open(TAG.set) ?? fail('x509: invalid RDNSequence');
    while (!set.empty) {
      const attribute = set.open(TAG.sequence) ?? fail('x509: invalid RDNSequence: invalid attribute');
      const type = attribute.oid() ?? fail('x509: invalid RDNSequence: invalid attribute type');
      const element = attribute.element() ?? fail('x509: invalid RDNSequence: invalid attribute value');
      attributes.push({ type, value: nameText(element.tag, element.content) });
    }
  }
  return attributes;
}

function nameText(tag: number, content: Buffer): string {
  try {
    return readAsn1Text(tag, content);
  } catch (error) {
    const why = error instanceof X509Error ? error.message : String(error);
    return fail(`x509: invalid RDNSequence: invalid attribute value: ${why}`);
  }
}

/** The lists of a name by the last number of their attributes' type, 2.5.4.x (RFC 4519). */
const LISTS: ReadonlyMap<number, string> = new Map([
  [6, 'Country'],
  [7, 'Locality'],
  [8, 'Province'],
  [9, 'StreetAddress'],
  [10, 'Organization'],
  [11, 'OrganizationalUnit'],
  [17, 'PostalCode'],
]);

/** A name as the policy sees it. */
export function nameValue(attributes: readonly NameAttribute[]): Value {
  const lists = new Map<string, string[]>();
  let commonName = '';
  let serialNumber = '';
  for (const { type, value } of attributes) {
    if (typeof value !== 'string' || type.length !== 4 || type.slice(0, 3).join('.') !== '2.5.4') continue;
    const kind = type[3] ?? 0;
    if (kind === 3) commonName = value;
    if (kind === 5) serialNumber = value;
    const list = LISTS.get(kind);
    if (list !== undefined) lists.set(list, [...(lists.get(list) ?? []), value]);
  }
  return {
    CommonName: commonName,
    ExtraNames: null,
    Names: attributes.length === 0 ? null : attributes.map(({ type, value }) => ({ Type: type, Value: value })),
    SerialNumber: serialNumber,
    ...Object.fromEntries([...LISTS.values()].map((list) => [list, lists.get(list) ?? null])),
  };
}
