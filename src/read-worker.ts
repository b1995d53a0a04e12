import { parentPort, workerData } from 'node:worker_threads';
import { type Bundle, parseBundle } from './bundle/bundle.ts';
import { nameBundle } from './bundle/errors.ts';
import type { Reading, ReadingResult } from './read-bundle.ts';

/** The thread that `read-bundle.ts` starts: one archive, one answer. */
function read({ name, bytes }: Reading): { readonly result: ReadingResult; readonly moved: readonly ArrayBuffer[] } {
  try {
    const bundle = parseBundle(name, bytes);
    const own = { ...bundle, data: toOwn(bundle.data), plan: toOwn(bundle.plan), wasm: toOwn(bundle.wasm) };
    return { result: { kind: 'read', bundle: own }, moved: [own.data.buffer, own.plan.buffer, own.wasm.buffer] };
  } catch (error) {
    const { code, message } = nameBundle(name, error, 'bundle_invalid');
    return { result: { kind: 'refused', code, message }, moved: [] };
  }
}

type Owned = Pick<Bundle, 'data'>['data'] & { readonly buffer: ArrayBuffer };

/** Bytes that share their memory with no others, so that they can be handed over instead of copied. */
function toOwn(bytes: Uint8Array): Owned {
  const own = new Uint8Array(bytes.byteLength);
  own.set(bytes);
  return own;
}

// Nothing that is parsed here can then reach other objects through their prototype.
Object.freeze(Object.prototype);
// Only `read-bundle.ts` starts this file.
const { result, moved } = read(workerData as Reading);
parentPort?.postMessage(result, [...moved]);
