import { createHash, timingSafeEqual } from 'node:crypto';
import { BundleError } from '../errors.ts';
import { FORM, readClaims, refused } from './claim-members.ts';
import type { BundleClaims } from './claims.ts';
import { MAX_JWS_LENGTH, splitJws, verifyJws } from './jws.ts';
import type { Signer } from './signer.ts';
import type { TrustKeys } from './trust-keys.ts';

/** Who may have signed, and what it must be for. */
export interface ExpectedBundle {
  readonly keys: TrustKeys;
  readonly scope: string;
  readonly name: string;
}

/**
 * Verifies the JWS that stands beside an archive and holds the archive against it, byte for byte, without unpacking
 * anything. Neither time nor versions are judged here: see the high-water mark. Throws `bundle_untrusted`.
 */
export function verifyBundleSignature(
  bytes: Uint8Array,
  jws: string,
  expected: ExpectedBundle,
  kind: BundleClaims['kind'] = 'bundle',
): BundleClaims {
  const claims = toBundleClaims(verifyJws(jws, TYPES[kind], expected.keys));
  if (claims.kind !== kind) throw refused(`is of the kind \`${claims.kind}\`, not \`${kind}\``);
  const { sha256, sizeBytes } = claims;
  if (sha256 === undefined || sizeBytes === undefined) throw refused('lacks `sha256` or `size`');
  if ((kind === 'delta') !== (claims.baseSha256 !== undefined)) throw refused('has `base_sha256` in the wrong place');
  if (kind === 'delta' && claims.revision === '') throw refused('is for a delta and lacks `revision`');
  requireMeantHere(claims, expected);
  if (sizeBytes !== bytes.length) throw refused(`has ${sizeBytes} bytes, and this file has ${bytes.length}`);
  const actual = createHash('sha256').update(bytes).digest();
  if (!timingSafeEqual(Buffer.from(sha256, 'hex'), actual)) {
    throw new BundleError(
      'bundle_untrusted',
      `its SHA-256 is \`${actual.toString('hex')}\`, not the one that was signed`,
    );
  }
  return claims;
}

/** The same for what may be a whole bundle or a delta: the type in the signature says which, and is signed too. */
export function verifyArchiveSignature(bytes: Uint8Array, jws: string, expected: ExpectedBundle): BundleClaims {
  return verifyBundleSignature(bytes, jws, expected, saysDelta(jws) ? 'delta' : 'bundle');
}

/** Whether a signature says that it is of a delta; it proves nothing. Throws where it is no JWS. */
export function saysDelta(jws: string): boolean {
  return splitJws(jws, MAX_JWS_LENGTH).header['typ'] === TYPES.delta;
}

/** The version that a signature claims, before it is believed; 0 where it claims none. */
export function claimedVersion(jws: string): number {
  try {
    const { version } = splitJws(jws, MAX_JWS_LENGTH).payload;
    return typeof version === 'number' ? version : 0;
  } catch {
    return 0;
  }
}

/** Signs an archive as it is: the claims get its digest and size. */
export function signBundle(
  bytes: Uint8Array,
  claims: Omit<BundleClaims, 'sha256' | 'sizeBytes'>,
  signer: Signer,
): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return signer.sign(TYPES[claims.kind], fromBundleClaims({ ...claims, sha256, sizeBytes: bytes.length }));
}

/** Refuses what was signed for another bundle or scope. */
export function requireMeantHere(claims: BundleClaims, { scope, name }: Pick<ExpectedBundle, 'scope' | 'name'>): void {
  if (claims.name !== name) throw refused(`is the bundle \`${claims.name}\`, not \`${name}\``);
  if (claims.scope !== scope) throw refused(`is for the scope \`${claims.scope}\`, not \`${scope}\``);
}

/** The claims of a payload, as it travels. `kind` is `bundle` and `revision` empty where it does not say. */
export function toBundleClaims(payload: { readonly [name: string]: unknown }): BundleClaims {
  const read = readClaims(payload, MEMBERS);
  const kind = read.optionalText('kind', /^(?:bundle|delta)$/) === 'delta' ? 'delta' : 'bundle';
  const sha256 = read.optionalText('sha256', FORM.sha256);
  const sizeBytes = read.optionalWhole('size');
  const baseSha256 = read.optionalText('base_sha256', FORM.sha256);
  const issuedAtEpochS = read.whole('iat');
  const notBeforeEpochS = read.optionalWhole('nbf') ?? issuedAtEpochS;
  const expiresEpochS = read.whole('exp');
  if (expiresEpochS <= notBeforeEpochS) throw refused('expires before it begins');
  const version = read.whole('version', 1);
  const minRollbackVersion = read.whole('min_rollback_version');
  if (minRollbackVersion > version) throw refused('has a `min_rollback_version` above its own version');
  return {
    kind,
    name: read.text('name', FORM.bundle),
    scope: read.text('scope', FORM.scope),
    version,
    revision: read.optionalText('revision', FORM.revision) ?? '',
    issuedAtEpochS,
    notBeforeEpochS,
    expiresEpochS,
    minRollbackVersion,
    security: read.flag('security'),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(baseSha256 === undefined ? {} : { baseSha256 }),
  };
}

/** The payload of claims, as it travels; {@link toBundleClaims} reads it back. */
export function fromBundleClaims(claims: BundleClaims): { readonly [name: string]: string | number | boolean } {
  const { sha256, sizeBytes, baseSha256, revision } = claims;
  return {
    kind: claims.kind,
    name: claims.name,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
    scope: claims.scope,
    version: claims.version,
    ...(revision === '' ? {} : { revision }),
    iat: claims.issuedAtEpochS,
    nbf: claims.notBeforeEpochS,
    exp: claims.expiresEpochS,
    min_rollback_version: claims.minRollbackVersion,
    ...(claims.security ? { security: true } : {}),
    ...(baseSha256 === undefined ? {} : { base_sha256: baseSha256 }),
  };
}

const TYPES = { bundle: 'sallyport-bundle+jws', delta: 'sallyport-delta+jws' } as const;

const MEMBERS = new Set([
  'kind',
  'name',
  'sha256',
  'size',
  'scope',
  'version',
  'revision',
  'iat',
  'nbf',
  'exp',
  'min_rollback_version',
  'security',
  'base_sha256',
]);
