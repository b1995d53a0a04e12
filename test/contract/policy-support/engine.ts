import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { INPUT_MEMBERS, type PolicyInput } from '../../../src/decision/input.ts';
import type { JsonValue } from '../../../src/decision/json.ts';
import type { Clock, Instant } from '../../../src/decision/ports.ts';
import type { PolicyConfig } from '../../../src/policy/config.ts';
import { createJsEngine } from '../../../src/policy/js-engine.ts';
import type { PolicyEngine } from '../../../src/policy/policy-engine.ts';
import { createWasmEngine } from '../../../src/policy/wasm-engine.ts';
import { createManualClock } from '../../support/manual-clock.ts';

export const AT: Instant = { epochMs: Date.UTC(2026, 10, 2, 12), monotonicMs: 1_000 };

export interface EngineSettings {
  readonly clock?: Clock;
  readonly config?: Partial<Pick<PolicyConfig, 'budget_ms' | 'memory_max_mb' | 'decisions'>>;
}

/** What makes an engine for the behaviour suite. */
export type CreateEngine = (settings?: EngineSettings) => PolicyEngine;

export const createWasmEngineForTest: CreateEngine = ({ clock = createManualClock(), config = {} } = {}) =>
  createWasmEngine({
    config: { budget_ms: 5, memory_max_mb: 1_024, decisions: {}, ...config },
    clock,
    randomBytes,
    pause: () => setImmediate(),
    onSpareFailure: (error) => {
      throw error;
    },
  });

/** Its budget is counted on the same clock as the other's. */
export const createJsEngineForTest: CreateEngine = ({ clock = createManualClock(), config = {} } = {}) =>
  createJsEngine({
    config: { budget_ms: 5, decisions: {}, ...config },
    randomBytes,
    cpuMs: () => clock.now().monotonicMs,
  });

/** Members as given; all others are absent. */
export function policyInput(members: { readonly [name: string]: JsonValue | undefined }): PolicyInput {
  // Each member of the type is filled from the same list of names.
  return Object.fromEntries(INPUT_MEMBERS.map((name) => [name, () => members[name]])) as unknown as PolicyInput;
}
