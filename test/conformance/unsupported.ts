import { readFileSync } from 'node:fs';
import type { EngineName } from './engine.ts';

/** Why some cases do not pass on an engine. */
export interface UnsupportedGroup {
  /** `refused`: the engine does not take the policy, and says so. `differs`: OPA's own Wasm has the same other answer. */
  readonly kind: 'refused' | 'differs';
  readonly reason: string;
  readonly cases: readonly string[];
}

/** The checked-in list. */
export function readUnsupported(): Readonly<Record<EngineName, readonly UnsupportedGroup[]>> {
  // The file is ours, and the suite's test reads every field of it.
  return JSON.parse(readFileSync(new URL('./unsupported.json', import.meta.url), 'utf8')) as Readonly<
    Record<EngineName, readonly UnsupportedGroup[]>
  >;
}
