import { createHash } from 'node:crypto';
import { isObject } from '../../decision/json.ts';
import type { ArchiveFiles } from '../archive.ts';
import { BundleError } from '../errors.ts';
import { type ExpectedBundle, fromBundleClaims, requireMeantHere, toBundleClaims } from './bundle-signature.ts';
import { readCanonicalArchive } from './canonical-form.ts';
import { decodeUtf8 } from './canonical-json.ts';
import { memberOf, refused } from './claim-members.ts';
import type { BundleClaims } from './claims.ts';
import { type JwsParts, knownKey, splitJws, verifyParts } from './jws.ts';
import type { Signer } from './signer.ts';
import { isStructured, toStructuredText } from './structured-text.ts';
import type { TrustKey, TrustKeys } from './trust-keys.ts';

/** Where OPA keeps the signature of a bundle. */
export const SIGNATURES_FILE = '.signatures.json';

/**
 * Verifies the signature that OPA's own scheme leaves inside an archive, with our claims in it (`opa sign --claims-file`).
 * That scheme covers the contents of members only, so the archive has to be in canonical form: every byte of it then
 * follows from what was signed, but for the signature itself. Throws a `BundleError`.
 */
export async function verifyOpaSignature(bytes: Uint8Array, expected: ExpectedBundle): Promise<BundleClaims> {
  const files = await readCanonicalArchive(bytes);
  const parts = splitJws(tokenOf(files.get(SIGNATURES_FILE)), MAX_TOKEN_LENGTH);
  requireHeader(parts);
  verifyWithAny(parts, expected.keys);
  const { files: listed, keyid: _keyId, iss: _issuer, ...payload } = parts.payload;
  const claims = toBundleClaims(payload);
  if (claims.kind !== 'bundle') throw refused('is no whole bundle');
  if (claims.sha256 !== undefined || claims.sizeBytes !== undefined || claims.baseSha256 !== undefined) {
    throw refused('has a claim about the archive that it lies in');
  }
  requireMeantHere(claims, expected);
  requireFiles(listed, files);
  return claims;
}

/**
 * The same members, signed as OPA signs: structured ones rewritten in the form that OPA hashes, the claims in a JWT in
 * `.signatures.json`. A signature that was there is replaced.
 */
export function signForOpa(
  files: ArchiveFiles,
  claims: Omit<BundleClaims, 'sha256' | 'sizeBytes' | 'baseSha256'>,
  signer: Signer,
): ArchiveFiles {
  const canonical = toSignedForm(files);
  canonical.delete(SIGNATURES_FILE);
  const listed = [...canonical]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, content]) => ({ name, hash: sha256(content), algorithm: ALGORITHM }));
  const token = signer.signToken({ files: listed, ...fromBundleClaims(claims) });
  return canonical.set(SIGNATURES_FILE, Buffer.from(signaturesText(token)));
}

/** The members as {@link verifyOpaSignature} wants them; a signature in them stays good, because OPA hashes meaning. */
export function toSignedForm(files: ArchiveFiles): Map<string, Uint8Array> {
  return new Map(
    [...files].map(([name, content]) => {
      if (name === SIGNATURES_FILE) return [name, Buffer.from(signaturesText(looseTokenOf(content)))];
      return [name, isStructured(name) ? toStructuredText(name, content) : content];
    }),
  );
}

/** 4096 members with names of 255 bytes, in base64. */
const MAX_TOKEN_LENGTH = 2 ** 21;
const ALGORITHM = 'SHA-256';

/** As `opa sign` writes it. */
function signaturesText(token: string): string {
  return `{\n "signatures": [\n  "${token}"\n ]\n}`;
}

function tokenOf(content: Uint8Array | undefined): string {
  if (content === undefined) {
    throw new BundleError('bundle_untrusted', `it has no \`${SIGNATURES_FILE}\`, which \`signature: opa\` demands`);
  }
  const token = looseTokenOf(content);
  if (decodeUtf8(content) !== signaturesText(token)) {
    throw new BundleError(
      'bundle_untrusted',
      `\`${SIGNATURES_FILE}\` is not as \`opa sign\` writes it; \`sallyport build --repack\` does`,
    );
  }
  return token;
}

/** The one token of the file, however it is laid out. */
function looseTokenOf(content: Uint8Array): string {
  const text = decodeUtf8(content) ?? '';
  const token = /^\s*\{\s*"signatures"\s*:\s*\[\s*"([\w.-]+)"\s*\]\s*\}\s*$/.exec(text)?.[1];
  if (token === undefined) throw new BundleError('bundle_untrusted', `\`${SIGNATURES_FILE}\` does not hold one token`);
  return token;
}

function requireHeader({ header }: JwsParts): void {
  if (Object.keys(header).some((member) => member !== 'alg' && member !== 'kid' && member !== 'typ')) {
    throw new BundleError('bundle_untrusted', 'the header of its signature has more than `alg`, `kid` and `typ`');
  }
  if (header['typ'] !== 'JWT') throw new BundleError('bundle_untrusted', 'its signature is not of the type `JWT`');
}

/** `opa sign` names no key, so without a kid each configured key of that algorithm is tried. */
function verifyWithAny(parts: JwsParts, keys: TrustKeys): void {
  const kid = memberOf(parts.header, 'kid') ?? memberOf(parts.payload, 'keyid');
  if (kid !== undefined) {
    verifyParts(parts, knownKey(kid, keys));
    return;
  }
  const candidates = [...keys.values()].filter(({ alg }) => alg === parts.header['alg']);
  if (candidates.length === 0) throw new BundleError('bundle_untrusted', 'no key in `trust.keys` is for its algorithm');
  let refusal: unknown;
  for (const key of candidates) {
    refusal = refusalOf(parts, key);
    if (refusal === undefined) return;
  }
  throw refusal;
}

function refusalOf(parts: JwsParts, key: TrustKey): unknown {
  try {
    verifyParts(parts, key);
    return undefined;
  } catch (error) {
    // The next key may have made it; the last refusal is thrown.
    return error;
  }
}

/** Every member is listed with the digest of its bytes, and nothing else is listed. */
function requireFiles(listed: unknown, files: ArchiveFiles): void {
  if (!Array.isArray(listed)) throw refused('has no list of `files`');
  const left = new Map(files);
  left.delete(SIGNATURES_FILE);
  for (const entry of listed) {
    if (!isObject(entry) || Object.keys(entry).sort().join() !== 'algorithm,hash,name') {
      throw refused('lists a file in another way than OPA does');
    }
    const { name, hash, algorithm } = entry;
    if (algorithm !== ALGORITHM) throw refused(`lists a file by another digest than ${ALGORITHM}`);
    const content = typeof name === 'string' ? left.get(name) : undefined;
    if (typeof name !== 'string' || content === undefined) throw refused('lists a file that is not there, or twice');
    if (sha256(content) !== hash) {
      const form = isStructured(name)
        ? ', or is not in the form that OPA hashes (`sallyport build --repack` writes it)'
        : '';
      throw new BundleError('bundle_untrusted', `member \`${name}\` was changed after it was signed${form}`);
    }
    left.delete(name);
  }
  for (const name of left.keys())
    throw new BundleError('bundle_untrusted', `member \`${name.slice(0, 120)}\` was not signed`);
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
