import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { PolicyConfig } from '../../src/policy/config.ts';
import { createJsEngine } from '../../src/policy/js-engine.ts';
import type { PolicyEngine } from '../../src/policy/policy-engine.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { systemClock, threadCpuMs } from '../../src/telemetry/system-clock.ts';

/** Both engines as the service makes them, but for a budget that a busy machine does not use up. */
export function createEngines(decisions: PolicyConfig['decisions']): {
  readonly js: PolicyEngine;
  readonly wasm: PolicyEngine;
} {
  const config = { budget_ms: 1_000, memory_max_mb: 2_047, decisions };
  return {
    js: createJsEngine({ config, randomBytes, cpuMs: threadCpuMs }),
    wasm: createWasmEngine({
      config,
      clock: systemClock,
      randomBytes,
      pause: () => setImmediate(),
      onSpareFailure: (error) => {
        throw error;
      },
    }),
  };
}
