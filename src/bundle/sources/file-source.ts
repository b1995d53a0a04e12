import { readBoundedFile, UnfitFile } from '../bounded-file.ts';
import { BundleError } from '../errors.ts';
import type { BundleSource } from '../source.ts';

export interface FileSourceOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** Whether the signature in `FILE.jws` is wanted too, where there is one. */
  readonly signed?: boolean;
}

/** A bundle on this machine, read whole. */
export function createFileSource({ path, maxBytes, signed = false }: FileSourceOptions): BundleSource {
  return {
    kind: 'file',
    load: async () => {
      const bytes = await readBounded(path, maxBytes);
      const signature = signed ? await readSignature(`${path}.jws`) : undefined;
      return signature === undefined ? { bytes } : { bytes, signature };
    },
  };
}

/** A JWS has some hundred bytes. */
export const MAX_SIGNATURE_BYTES = 16 * 1024;

/** Reads a file of at most `maxBytes`; throws a `BundleError`. */
async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    // Where config points may be a link, as in a mounted volume of Kubernetes.
    return await readBoundedFile(path, { maxBytes, followLinks: true });
  } catch (error) {
    if (error instanceof UnfitFile) {
      throw new BundleError(error.isTooLarge ? 'bundle_too_large' : 'bundle_missing', error.message, { cause: error });
    }
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new BundleError('bundle_missing', `cannot read \`${path}\` (${reason}); \`sallyport build\` makes it`, {
      cause: error,
    });
  }
}

/** That there is none is for the trust to judge. */
async function readSignature(path: string): Promise<string | undefined> {
  try {
    return Buffer.from(await readBounded(path, MAX_SIGNATURE_BYTES))
      .toString('latin1')
      .trim();
  } catch (error) {
    const { cause } = error as Error;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw error;
  }
}
