import { contextTag, DerReader, TAG, toBits, toInteger, toOidParts } from './der.ts';
import { type AlternativeNames, NO_NAMES, readAlternativeNames } from './general-names.ts';
import { type NameConstraints, NO_CONSTRAINTS, readNameConstraints } from './name-constraints.ts';
import { fail } from './x509-error.ts';

export interface Extension {
  readonly id: readonly number[];
  readonly critical: boolean;
  readonly value: Buffer;
}

/** What the known extensions of a certificate say; what a certificate has none of is as in Go's zero values. */
export interface ExtensionData {
  keyUsage: number;
  basicConstraintsValid: boolean;
  isCa: boolean;
  /** -1 for no limit. */
  maxPathLength: number;
  names: AlternativeNames;
  constraints: NameConstraints;
  constraintsCritical: boolean;
  readonly distributionPoints: string[];
  authorityKeyId: Buffer | undefined;
  subjectKeyId: Buffer | undefined;
  requireExplicitPolicy: PathLimit;
  inhibitPolicyMapping: PathLimit;
  inhibitAnyPolicy: PathLimit;
  /** Go's numbers of those that it knows. */
  extendedUsages: readonly number[];
  unknownUsages: readonly (readonly number[])[];
  /** Object identifiers in dots. */
  policies: readonly string[] | undefined;
  policyMappings: readonly PolicyMapping[];
  readonly ocspServers: string[];
  readonly issuingUrls: string[];
  readonly unhandledCritical: (readonly number[])[];
}

/** How many certificates may follow until something is asked for or forbidden; 0 counts only where it was `set`. */
export interface PathLimit {
  readonly value: number;
  readonly set: boolean;
}

export interface PolicyMapping {
  readonly issuer: string;
  readonly subject: string;
}

/** One extension as it stands in a certificate or request. Throws an `X509Error`. */
export function readExtension(der: DerReader): Extension {
  const id = der.oid() ?? fail('x509: malformed extension OID field');
  const critical = der.peek(TAG.boolean) ? (der.boolean() ?? fail('x509: malformed extension critical field')) : false;
  const value = der.content(TAG.octetString) ?? fail('x509: malformed extension value field');
  return { id, critical, value };
}

const UNSET: PathLimit = { value: 0, set: false };

/** RFC 5280 §4.2, in their order. Throws an `X509Error`. */
export function readExtensions(extensions: readonly Extension[]): ExtensionData {
  const data: ExtensionData = {
    keyUsage: 0,
    basicConstraintsValid: false,
    isCa: false,
    maxPathLength: 0,
    names: NO_NAMES,
    constraints: NO_CONSTRAINTS,
    constraintsCritical: false,
    distributionPoints: [],
    authorityKeyId: undefined,
    subjectKeyId: undefined,
    requireExplicitPolicy: UNSET,
    inhibitPolicyMapping: UNSET,
    inhibitAnyPolicy: UNSET,
    extendedUsages: [],
    unknownUsages: [],
    policies: undefined,
    policyMappings: [],
    ocspServers: [],
    issuingUrls: [],
    unhandledCritical: [],
  };
  for (const extension of extensions) {
    const handled = READERS.get(extension.id.join('.'))?.(data, extension) ?? false;
    if (extension.critical && !handled) data.unhandledCritical.push(extension.id);
  }
  return data;
}

/** Answers whether the extension was taken account of. */
type ExtensionReader = (data: ExtensionData, extension: Extension) => boolean;

const READERS: ReadonlyMap<string, ExtensionReader> = new Map<string, ExtensionReader>([
  ['2.5.29.14', readSubjectKeyId],
  ['2.5.29.15', readKeyUsage],
  ['2.5.29.17', readNames],
  ['2.5.29.19', readBasicConstraints],
  ['2.5.29.30', readConstraints],
  ['2.5.29.31', readDistributionPoints],
  ['2.5.29.32', readPolicies],
  ['2.5.29.33', readPolicyMappings],
  ['2.5.29.35', readAuthorityKeyId],
  ['2.5.29.36', readPolicyConstraints],
  ['2.5.29.37', readExtendedUsages],
  ['2.5.29.54', readInhibitAnyPolicy],
  ['1.3.6.1.5.5.7.1.1', readAuthorityAccess],
]);

function readSubjectKeyId(data: ExtensionData, { critical, value }: Extension): boolean {
  if (critical) fail('x509: subject key identifier incorrectly marked critical');
  data.subjectKeyId = new DerReader(value).content(TAG.octetString) ?? fail('x509: invalid subject key identifier');
  return true;
}

function readAuthorityKeyId(data: ExtensionData, { critical, value }: Extension): boolean {
  if (critical) fail('x509: authority key identifier incorrectly marked critical');
  const der = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid authority key identifier');
  if (der.peek(contextTag(0))) {
    data.authorityKeyId = der.content(contextTag(0)) ?? fail('x509: invalid authority key identifier');
  }
  return true;
}

function readKeyUsage(data: ExtensionData, { value }: Extension): boolean {
  const content = new DerReader(value).content(TAG.bitString);
  const bits = (content && toBits(content)) ?? fail('x509: invalid key usage');
  let usage = 0;
  for (let bit = 0; bit < Math.min(9, bits.length); bit++) {
    if (((bits.bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) usage |= 1 << bit;
  }
  data.keyUsage = usage;
  return true;
}

function readNames(data: ExtensionData, { value }: Extension): boolean {
  data.names = readAlternativeNames(value);
  return Object.values(data.names).some((names) => names.length > 0);
}

function readBasicConstraints(data: ExtensionData, { value }: Extension): boolean {
  const der = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid basic constraints');
  data.isCa = der.peek(TAG.boolean) ? (der.boolean() ?? fail('x509: invalid basic constraints')) : false;
  data.maxPathLength = der.peek(TAG.integer)
    ? (toLimit(der.content(TAG.integer)) ?? fail('x509: invalid basic constraints'))
    : -1;
  data.basicConstraintsValid = true;
  return true;
}

function readConstraints(data: ExtensionData, { critical, value }: Extension): boolean {
  data.constraints = readNameConstraints(value);
  data.constraintsCritical = critical;
  return !data.constraints.unhandled;
}

function readDistributionPoints(data: ExtensionData, { value }: Extension): boolean {
  const points = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid CRL distribution points');
  while (!points.empty) {
    const point = points.open(TAG.sequence) ?? fail('x509: invalid CRL distribution point');
    if (!point.peek(contextTag(0, true))) continue;
    const name = point.open(contextTag(0, true))?.open(contextTag(0, true));
    const uris = name ?? fail('x509: invalid CRL distribution point');
    while (uris.peek(contextTag(6))) {
      const uri = uris.content(contextTag(6)) ?? fail('x509: invalid CRL distribution point');
      data.distributionPoints.push(uri.toString('utf8'));
    }
  }
  return true;
}

function readPolicies(data: ExtensionData, { value }: Extension): boolean {
  const list = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid certificate policies');
  const policies = new Set<string>();
  while (!list.empty) {
    const policy = dotted(list.open(TAG.sequence)?.content(TAG.oid)) ?? fail('x509: invalid certificate policies');
    if (policies.has(policy)) fail('x509: invalid certificate policies');
    policies.add(policy);
  }
  data.policies = [...policies];
  return true;
}

function readPolicyMappings(data: ExtensionData, { value }: Extension): boolean {
  const list = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid policy mappings extension');
  const mappings: PolicyMapping[] = [];
  while (!list.empty) {
    const pair = list.open(TAG.sequence);
    const issuer = dotted(pair?.content(TAG.oid)) ?? fail('x509: invalid policy mappings extension');
    const subject = dotted(pair?.content(TAG.oid)) ?? fail('x509: invalid policy mappings extension');
    mappings.push({ issuer, subject });
  }
  data.policyMappings = mappings;
  return true;
}

function dotted(content: Buffer | undefined): string | undefined {
  return content && toOidParts(content)?.join('.');
}

function readPolicyConstraints(data: ExtensionData, { value }: Extension): boolean {
  const der = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid policy constraints extension');
  if (der.peek(contextTag(0))) data.requireExplicitPolicy = pathLimit(der.content(contextTag(0)));
  if (der.peek(contextTag(1))) data.inhibitPolicyMapping = pathLimit(der.content(contextTag(1)));
  return true;
}

function pathLimit(content: Buffer | undefined): PathLimit {
  return { value: toLimit(content) ?? fail('x509: invalid policy constraints extension'), set: true };
}

function readInhibitAnyPolicy(data: ExtensionData, { value }: Extension): boolean {
  const limit = toLimit(new DerReader(value).content(TAG.integer));
  data.inhibitAnyPolicy = { value: limit ?? fail('x509: invalid inhibit any policy extension'), set: true };
  return true;
}

/** A whole number that is neither negative nor larger than anything counts to. */
function toLimit(content: Buffer | undefined): number | undefined {
  const value = content && toInteger(content);
  return value !== undefined && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** Extended key usages by Go's numbers for them. */
const USAGES: readonly string[] = [
  '2.5.29.37.0',
  '1.3.6.1.5.5.7.3.1',
  '1.3.6.1.5.5.7.3.2',
  '1.3.6.1.5.5.7.3.3',
  '1.3.6.1.5.5.7.3.4',
  '1.3.6.1.5.5.7.3.5',
  '1.3.6.1.5.5.7.3.6',
  '1.3.6.1.5.5.7.3.7',
  '1.3.6.1.5.5.7.3.8',
  '1.3.6.1.5.5.7.3.9',
  '1.3.6.1.4.1.311.10.3.3',
  '2.16.840.1.113730.4.1',
  '1.3.6.1.4.1.311.2.1.22',
  '1.3.6.1.4.1.311.61.1.1',
];

function readExtendedUsages(data: ExtensionData, { value }: Extension): boolean {
  const list = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid extended key usages');
  const known: number[] = [];
  const unknown: (readonly number[])[] = [];
  while (!list.empty) {
    const usage = list.oid() ?? fail('x509: invalid extended key usages');
    const number = USAGES.indexOf(usage.join('.'));
    if (number < 0) unknown.push(usage);
    else known.push(number);
  }
  data.extendedUsages = known;
  data.unknownUsages = unknown;
  return true;
}

function readAuthorityAccess(data: ExtensionData, { critical, value }: Extension): boolean {
  if (critical) fail('x509: authority info access incorrectly marked critical');
  const list = new DerReader(value).open(TAG.sequence) ?? fail('x509: invalid authority info access');
  while (!list.empty) {
    const access = list.open(TAG.sequence) ?? fail('x509: invalid authority info access');
    const method = (access.oid() ?? fail('x509: invalid authority info access')).join('.');
    if (!access.peek(contextTag(6))) continue;
    const uri = (access.content(contextTag(6)) ?? fail('x509: invalid authority info access')).toString('utf8');
    if (method === '1.3.6.1.5.5.7.48.1') data.ocspServers.push(uri);
    if (method === '1.3.6.1.5.5.7.48.2') data.issuingUrls.push(uri);
  }
  return true;
}
