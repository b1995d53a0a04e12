import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseBundle } from '../bundle/bundle.ts';
import { makeDelta } from '../bundle/delta-make.ts';
import { BundleError } from '../bundle/errors.ts';
import { signBundle, toBundleClaims } from '../bundle/signing/bundle-signature.ts';
import { MAX_JWS_LENGTH, splitJws } from '../bundle/signing/jws.ts';
import { openSigner } from '../bundle/signing/key-folder.ts';
import { replaceFile } from './bundle-files.ts';

export interface DeltaPlan {
  /** What agents have. */
  readonly baseFile: string;
  /** What they are to have; its signature beside it says what the delta leads to. */
  readonly targetFile: string;
  readonly keyPath: string;
  readonly out: string;
}

export interface WrittenDelta {
  readonly bytes: number;
  readonly sha256: string;
  readonly version: number;
  readonly revision: string;
}

/** Makes the delta between two bundles, signs it as leading to the second one, and writes both files. */
export async function writeDelta({ baseFile, targetFile, keyPath, out }: DeltaPlan): Promise<WrittenDelta> {
  const signer = await openSigner(keyPath);
  const [baseBytes, targetBytes, jws] = await Promise.all([
    readBytes(baseFile),
    readBytes(targetFile),
    readBytes(`${targetFile}.jws`),
  ]);
  const { payload } = splitJws(Buffer.from(jws).toString().trim(), MAX_JWS_LENGTH);
  const { sha256: signed, sizeBytes: _, ...claims } = toBundleClaims(payload);
  const base = parseBundle(claims.name, baseBytes);
  const target = parseBundle(claims.name, targetBytes);
  if (signed !== target.sha256) {
    throw new BundleError('bundle_untrusted', `\`${targetFile}.jws\` is the signature of another file`);
  }
  const bytes = makeDelta(base, target);
  const signature = signBundle(bytes, { ...claims, kind: 'delta', baseSha256: base.sha256 }, signer);
  await replaceFile(`${out}.jws`, `${signature}\n`);
  await replaceFile(out, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes: bytes.length, sha256, version: claims.version, revision: claims.revision };
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(file));
  } catch (cause) {
    throw new BundleError('bundle_missing', `cannot read \`${file}\``, { cause });
  }
}
