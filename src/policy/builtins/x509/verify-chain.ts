import { isIP } from 'node:net';
import { parseAddress } from '../ip.ts';
import type { Certificate } from './certificate.ts';
import { withinConstraints } from './chain-constraints.ts';
import { policiesHold } from './chain-policies.ts';
import { ipText } from './general-names.ts';
import { isSignedBy } from './signature-algorithm.ts';

export interface VerifyOptions {
  /** A name that the end's certificate has to be for; '' for any. */
  readonly dnsName: string;
  readonly atMs: number;
  /** Go's numbers of extended key usages, one of which every certificate has to allow. */
  readonly keyUsages: readonly number[];
  /** Called before each signature that is checked. */
  charge(): void;
}

/** What Go does at most. */
const MAX_SIGNATURES = 100;

const ANY_USAGE = 0;
const SERVER_AUTH = 1;
const CERTIFICATE_SIGN = 1 << 5;

/**
 * The chain from `end` over some of the intermediates to the root, the end's first; `undefined` when there is none that
 * holds (RFC 5280 §6, as Go implements it: no revocation).
 */
export function verifyChain(
  end: Certificate,
  root: Certificate,
  intermediates: readonly Certificate[],
  options: VerifyOptions,
): readonly Certificate[] | undefined {
  if (!isUsable(end, [], 'end', options.atMs)) return undefined;
  if (options.dnsName !== '' && !isFor(end, options.dnsName)) return undefined;
  const usages = options.keyUsages.length === 0 ? [SERVER_AUTH] : options.keyUsages;
  const search: Search = { root, intermediates, options, signatures: 0, found: [] };
  if (end.raw.equals(root.raw)) search.found.push([end]);
  else extend(search, [end]);
  return search.found.find(
    (chain) =>
      policiesHold(chain) && (usages.includes(ANY_USAGE) || allowsUsage(chain, usages)) && withinConstraints(chain),
  );
}

interface Search {
  readonly root: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly options: VerifyOptions;
  signatures: number;
  readonly found: (readonly Certificate[])[];
}

function extend(search: Search, chain: readonly Certificate[]): void {
  const child = chain[chain.length - 1];
  if (child === undefined) return;
  const { root, intermediates, options } = search;
  for (const [parent, kind] of [
    ...likelyParents([root], child).map((parent) => [parent, 'root'] as const),
    ...likelyParents(intermediates, child).map((parent) => [parent, 'intermediate'] as const),
  ]) {
    search.signatures++;
    if (search.signatures > MAX_SIGNATURES) return;
    if (isInChain(parent, chain)) continue;
    options.charge();
    if (!isIssuedBy(child, parent) || !isUsable(parent, chain, kind, options.atMs)) continue;
    if (kind === 'root') search.found.push([...chain, parent]);
    else extend(search, [...chain, parent]);
  }
}

/** Those of the issuer's name; first whose key has the identifier that the child names. */
function likelyParents(candidates: readonly Certificate[], child: Certificate): readonly Certificate[] {
  return candidates
    .filter((candidate) => candidate.rawSubject.equals(child.rawIssuer))
    .map((candidate) => [keyIdRank(candidate, child), candidate] as const)
    .sort(([left], [right]) => left - right)
    .map(([, candidate]) => candidate);
}

const NO_BYTES = Buffer.alloc(0);

function keyIdRank(candidate: Certificate, child: Certificate): number {
  const own = candidate.data.subjectKeyId ?? NO_BYTES;
  const wanted = child.data.authorityKeyId ?? NO_BYTES;
  if (own.equals(wanted)) return 0;
  return own.length === 0 || wanted.length === 0 ? 1 : 2;
}

/** Whether a certificate of the same subject, key and names is in the chain already. */
function isInChain(candidate: Certificate, chain: readonly Certificate[]): boolean {
  for (const certificate of chain) {
    if (!candidate.rawSubject.equals(certificate.rawSubject)) continue;
    if (!candidate.rawPublicKey.equals(certificate.rawPublicKey)) continue;
    const names = namesOf(candidate);
    const others = namesOf(certificate);
    if (names === undefined && others === undefined) return true;
    if (names === undefined || others === undefined) return false;
    if (names.equals(others)) return true;
  }
  return false;
}

function namesOf({ extensions }: Certificate): Buffer | undefined {
  return extensions.find(({ id }) => id.join('.') === '2.5.29.17')?.value;
}

function isIssuedBy(child: Certificate, parent: Certificate): boolean {
  const { data, publicKey, version } = parent;
  if (version === 3 && !data.basicConstraintsValid) return false;
  if (data.basicConstraintsValid && !data.isCa) return false;
  if (data.keyUsage !== 0 && (data.keyUsage & CERTIFICATE_SIGN) === 0) return false;
  if (publicKey.key === undefined) return false;
  return isSignedBy(child.signatureAlgorithm, publicKey.key, publicKey.algorithm, child.rawTbs, child.signature);
}

function isUsable(
  certificate: Certificate,
  chain: readonly Certificate[],
  kind: 'end' | 'intermediate' | 'root',
  atMs: number,
): boolean {
  const { data, notBefore, notAfter } = certificate;
  if (data.unhandledCritical.length > 0) return false;
  if (atMs < notBefore.epochMs || atMs > notAfter.epochMs) return false;
  if (kind === 'intermediate' && (!data.basicConstraintsValid || !data.isCa)) return false;
  return !data.basicConstraintsValid || data.maxPathLength < 0 || chain.length - 1 <= data.maxPathLength;
}

/** Whether one of the usages is allowed by all certificates; one without extended usages allows them all. */
function allowsUsage(chain: readonly Certificate[], usages: readonly number[]): boolean {
  return usages.some((usage) =>
    chain.every(({ data: { extendedUsages, unknownUsages } }) => {
      if (extendedUsages.length === 0 && unknownUsages.length === 0) return true;
      return extendedUsages.includes(ANY_USAGE) || extendedUsages.includes(usage);
    }),
  );
}

/** Whether a certificate is for this host: an address by its addresses, a name by its names, wildcards included. */
function isFor({ data }: Certificate, host: string): boolean {
  const literal = /^\[.+\]$/.test(host) ? host.slice(1, -1) : host;
  if (isIP(literal) !== 0 && !literal.includes('%')) {
    const wanted = parseAddress(literal);
    return data.names.ipAddresses.some((address) => {
      const own = parseAddress(ipText(address));
      return wanted !== undefined && own?.bits === wanted.bits && own.value === wanted.value;
    });
  }
  const name = lowerAscii(host);
  const valid = isHostName(name, false);
  const labels = withoutLastDot(name).split('.');
  return data.names.dnsNames.some((pattern) =>
    valid && isHostName(pattern, true) ? matchesPattern(lowerAscii(pattern), labels) : isSame(pattern, name),
  );
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function withoutLastDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

const LABEL = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

function isHostName(name: string, pattern: boolean): boolean {
  const host = pattern ? name : withoutLastDot(name);
  if (host === '*') return false;
  return host.split('.').every((label, at) => (pattern && at === 0 && label === '*') || LABEL.test(label));
}

function matchesPattern(pattern: string, labels: readonly string[]): boolean {
  const parts = pattern.split('.');
  return parts.length === labels.length && parts.every((part, at) => (at === 0 && part === '*') || part === labels[at]);
}

function isSame(pattern: string, name: string): boolean {
  return pattern !== '' && pattern !== '.' && lowerAscii(pattern) === name;
}
