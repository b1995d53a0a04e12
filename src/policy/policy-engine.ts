import type { Evaluate, EvaluateText } from '../decision/ports.ts';
import type { PreparedPolicy } from './prepared-policy.ts';
import type { Value } from './values/value.ts';

/** What a bundle holds for an engine: the plan, its Wasm twin, and the data, all built from the same sources. */
export interface CompiledPolicy {
  /** `plan.json`. */
  readonly plan: Uint8Array;
  /** `policy.wasm`. */
  readonly wasm: Uint8Array;
  /** `data.json`: one JSON object, as text. */
  readonly data: Uint8Array;
  /** What was made of the plan already, in another thread; made of it at load otherwise. */
  readonly prepared?: PreparedPolicy;
  /** The same data as a value, where somebody has read them already. */
  readonly dataValue?: Value;
}

/** A policy that answers; one per generation. `close` lets go of its memory, later evaluations are faults. */
export interface LoadedPolicy {
  readonly entrypoints: readonly string[];
  /** Synchronous. Every failure is a `RequestFault` `policy_error`; what it was is the fault's message and cause. */
  readonly evaluate: Evaluate;
  readonly evaluateText: EvaluateText;
  /** Paths of `input` that an entrypoint can read, dotted, sorted; `[]` for an unknown entrypoint or none read. */
  readonly inputPaths: (entrypoint: string) => readonly string[];
  readonly isPolicyConstant: (text: string) => boolean;
  /** Evaluations so far that took longer than `budget_ms`; whether they were ended is for the engine to say. */
  readonly budgetOverruns: () => number;
  readonly close: () => void;
}

export interface PolicyEngine {
  /** Rejects with {@link PolicyLoadError}; nothing of a policy that was refused stays loaded. */
  load(policy: CompiledPolicy): Promise<LoadedPolicy>;
}

export type PolicyLoadCode =
  | 'unknown_builtin'
  | 'forbidden_builtin'
  | 'missing_entrypoint'
  | 'plan_wasm_disagree'
  | 'invalid_plan'
  | 'invalid_wasm'
  | 'invalid_data'
  | 'memory_exceeded';

/** Why a policy was refused; the text names the thing. */
export class PolicyLoadError extends Error {
  override readonly name = 'PolicyLoadError';
  readonly code: PolicyLoadCode;

  constructor(code: PolicyLoadCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Builtins that reach out of the policy, or at keys and the process itself: refused at load, whoever built the bundle. */
export const FORBIDDEN_BUILTINS: ReadonlySet<string> = new Set([
  'http.send',
  'net.lookup_ip_addr',
  'opa.runtime',
  'rego.parse_module',
  'providers.aws.sign_req',
]);
