import { Worker } from 'node:worker_threads';
import { type Bundle, parseBundle, type ReadBundle } from './bundle/bundle.ts';
import { BundleError, type BundleErrorCode } from './bundle/errors.ts';

/** What the worker is given, and what it answers. */
export interface Reading {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export type ReadingResult =
  | { readonly kind: 'read'; readonly bundle: Bundle }
  | { readonly kind: 'refused'; readonly code: BundleErrorCode; readonly message: string };

/** Archives up to this size are read here and at once: a thread takes longer to start. */
const SMALL_BYTES = 65_536;

/** Unpacks and checks archives in a thread of their own, so that requests are answered meanwhile. */
export const readBundle: ReadBundle = async (name, bytes) => {
  if (bytes.byteLength <= SMALL_BYTES) return parseBundle(name, bytes);
  const reading: Reading = { name, bytes };
  const worker = new Worker(WORKER, { workerData: reading, stdout: true, stderr: true });
  try {
    const result = await answerOf(worker);
    if (result.kind === 'refused') throw new BundleError(result.code, result.message);
    return result.bundle;
  } finally {
    await worker.terminate();
  }
};

/** Beside this file, compiled or not. */
const WORKER = new URL(`./read-worker${import.meta.url.slice(-3)}`, import.meta.url);

function answerOf(worker: Worker): Promise<ReadingResult> {
  return new Promise((resolve, reject) => {
    const refuse = (message: string, cause?: unknown): void =>
      reject(new BundleError('bundle_invalid', message, { cause }));
    worker.once('message', (result: ReadingResult) => resolve(result));
    worker.once('error', (error) => refuse(`reading it ended with: ${error.message}`, error));
    worker.once('exit', () => refuse('reading it ended without an answer'));
  });
}
