import { parentPort, workerData } from 'node:worker_threads';
import { yieldToRequests } from './background-priority.ts';
import type { Reading, ReadingResult } from './read-bundle.ts';

// The thread that `read-bundle.ts` starts: one archive, one answer. What it needs is loaded once it has its place.
yieldToRequests();
const { parseBundle } = await import('./bundle/bundle.ts');
const { nameBundle } = await import('./bundle/errors.ts');
const { toShared } = await import('./bundle/shared-bytes.ts');

function read({ name, bytes }: Reading): ReadingResult {
  try {
    const bundle = parseBundle(name, bytes);
    const { data, plan, wasm } = bundle;
    return { kind: 'read', bundle: { ...bundle, data: toShared(data), plan: toShared(plan), wasm: toShared(wasm) } };
  } catch (error) {
    const { code, message } = nameBundle(name, error, 'bundle_invalid');
    return { kind: 'refused', code, message };
  }
}

// Nothing that is parsed here can then reach other objects through their prototype.
Object.freeze(Object.prototype);
// Only `read-bundle.ts` starts this file.
parentPort?.postMessage(read(workerData as Reading));
