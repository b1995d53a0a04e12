import { parentPort, workerData } from 'node:worker_threads';
import { yieldToRequests } from './background-priority.ts';
import type { Examination } from './examine.ts';

// The thread that `examine.ts` starts: one set of bundles, one answer. What it needs is loaded once it has its place.
yieldToRequests();
const { examineSet, failed } = await import('./examine-set.ts');
const { movedParts } = await import('./prepared-set.ts');
// Nothing that is parsed here can then reach other objects through their prototype.
Object.freeze(Object.prototype);
try {
  // Only `examine.ts` starts this file.
  const result = await examineSet(workerData as Examination);
  parentPort?.postMessage(result, result.kind === 'passed' ? movedParts(result.prepared) : []);
} catch (error) {
  parentPort?.postMessage(failed(error instanceof Error ? error.message : String(error)));
}
