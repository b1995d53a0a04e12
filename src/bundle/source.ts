import { open } from 'node:fs/promises';
import { BundleError } from './errors.ts';

/** What a source gave: the bytes as they came, not yet believed. */
export interface Download {
  readonly bytes: Uint8Array;
  /** Names this version at the source; handed back, it spares an equal download. */
  readonly etag?: string;
}

/** Where one bundle comes from. */
export interface BundleSource {
  /** A `file` that cannot be had is an error at start; a `url` is asked again. */
  readonly kind: 'file' | 'url';
  /** The bundle, or `undefined` when the source says that it still is what `etag` names. Throws a `BundleError`. */
  load(etag: string | undefined, signal: AbortSignal): Promise<Download | undefined>;
}

/** A bundle on this machine, read whole. */
export function createFileSource({ path, maxBytes }: { path: string; maxBytes: number }): BundleSource {
  return {
    kind: 'file',
    load: async () => ({ bytes: await readBounded(path, maxBytes) }),
  };
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new BundleError('bundle_too_large', `\`${path}\` has ${size} bytes, more than the ${maxBytes} allowed`);
    }
    return new Uint8Array(await file.readFile());
  } catch (error) {
    if (error instanceof BundleError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new BundleError('bundle_missing', `cannot read \`${path}\` (${reason}); \`sallyport build\` makes it`, {
      cause: error,
    });
  }
}
