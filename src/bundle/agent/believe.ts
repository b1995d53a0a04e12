import { type Bundle, parseBundle } from '../bundle.ts';
import { applyDelta } from '../delta.ts';
import { BundleError, nameBundle } from '../errors.ts';
import { saysDelta } from '../signing/bundle-signature.ts';
import type { Download, LoadWish } from '../source.ts';
import type { Role } from './authority.ts';
import type { KeptArchive, KeptCopy } from './kept-copies.ts';
import type { Believed, WatchedBundle } from './watched-bundle.ts';

/** A delta for something else than what is in force: the whole bundle is wanted in its place. */
export class WrongDelta extends BundleError {
  constructor(name: string) {
    super('bundle_invalid', `bundle \`${name}\`: the delta is not for what is in force`);
  }
}

/** Whether a download says that it is a delta: whatever is wrong with it, the whole bundle may be good. */
export function isDelta(download: Download | undefined): boolean {
  try {
    return download?.signature !== undefined && saysDelta(download.signature);
  } catch {
    return false;
  }
}

/** What a source is told of the signature in force: one of a delta is never that of the whole archive. */
export function knownSignature({ claims }: Believed, signature: string): Pick<LoadWish, 'signature' | 'newerThan'> {
  return claims?.kind === 'delta' ? { newerThan: claims.version } : { signature };
}

/** What is needed of a watched bundle to believe something for it. */
export type Believer = Pick<WatchedBundle, 'authority' | 'compile' | 'read'> & { readonly name: string };

/**
 * Verifies, then unpacks and reads what was downloaded; `known` are bundles that need not be read again. Throws a
 * `BundleError`, {@link WrongDelta} where it is a delta for something else than `inForce`.
 */
export async function believe(
  one: Believer,
  download: Download,
  inForce: Believed | undefined,
  known: readonly (Believed | undefined)[] = [],
): Promise<Believed> {
  return believeAs(one, download, 'offered', inForce, known);
}

/** Believes a copy that was in force before, its archive and then each delta. Throws a `BundleError`. */
export async function believeCopy(one: Believer, { archives, etag }: KeptCopy): Promise<Believed | undefined> {
  let believed: Believed | undefined;
  for (const [at, archive] of archives.entries()) {
    believed = await believeAs(one, archive, at === archives.length - 1 ? 'kept' : 'base', believed, []);
  }
  return believed && { ...believed, kept: true, ...(etag === undefined ? {} : { etag }) };
}

async function believeAs(
  one: Believer,
  { bytes, signature, etag }: Download,
  role: Role,
  inForce: Believed | undefined,
  known: readonly (Believed | undefined)[],
): Promise<Believed> {
  const { sha256, claims } = await one.authority.verify(
    { bytes, ...(signature === undefined ? {} : { signature }) },
    role,
  );
  const newest = inForce?.claims?.version;
  if (role === 'offered' && claims !== undefined && newest !== undefined && claims.version < newest) {
    throw new BundleError(
      'bundle_untrusted',
      `its version ${claims.version} is older than ${newest}, which is in force`,
    );
  }
  const archive: KeptArchive = { sha256, bytes, ...(signature === undefined ? {} : { signature }) };
  const rest = { kept: false, ...(claims === undefined ? {} : { claims }), ...(etag === undefined ? {} : { etag }) };
  if (claims?.kind === 'delta') {
    if (inForce === undefined || claims.baseSha256 !== inForce.bundle.sha256) throw new WrongDelta(one.name);
    const bundle = applyDelta(inForce.bundle, bytes, claims.revision);
    return { ...rest, bundle, archives: [...inForce.archives, archive] };
  }
  const there = known.find((other) => other?.bundle.sha256 === sha256);
  const bundle = there?.bundle ?? (await readBundle(one, bytes, sha256));
  return { ...rest, bundle, archives: [archive] };
}

async function readBundle({ name, compile, read }: Believer, bytes: Uint8Array, sha256: string): Promise<Bundle> {
  try {
    return read === undefined ? parseBundle(name, bytes) : await read(name, bytes);
  } catch (error) {
    const fault = nameBundle(name, error, 'bundle_invalid');
    if (fault.code !== 'bundle_not_compiled' || compile === undefined) throw fault;
    return await compile(name, bytes, sha256);
  }
}
