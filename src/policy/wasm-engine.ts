import { RequestFault } from '../decision/errors.ts';
import type { PolicyInput } from '../decision/input.ts';
import type { Clock, Evaluation, Instant } from '../decision/ports.ts';
import { BUILTINS } from './builtins/all.ts';
import { BuiltinFailure, loggableFailure } from './builtins/builtin.ts';
import type { PolicyConfig } from './config.ts';
import { RenewedBudget } from './evaluation-budget.ts';
import { createHost, type Host } from './host.ts';
import { createInputWriter, type WriteInput } from './input-text.ts';
import { createInstancePool, type InstancePool } from './instance-pool.ts';
import { toError } from './opa-abi.ts';
import { EvaluationFault, type WasmInstance } from './opa-wasm.ts';
import type { Plan } from './plan/plan.ts';
import { readPlan } from './plan/plan-reader.ts';
import { dataText, demandEntrypoints, neededOf, quoted, refuseForbidden, refuseUnknown } from './policy-checks.ts';
import { type CompiledPolicy, type LoadedPolicy, type PolicyEngine, PolicyLoadError } from './policy-engine.ts';
import { projectedPaths, projectInput } from './projection.ts';
import { createResultReader, type ReadResult } from './result-text.ts';

export interface WasmEngineParts {
  readonly config: Pick<PolicyConfig, 'budget_ms' | 'memory_max_mb' | 'decisions'>;
  readonly clock: Clock;
  /** Cryptographic randomness, for `rand.intn` and `uuid.rfc4122`. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Gives the event loop a turn before the next slice of background work. */
  readonly pause: () => Promise<void>;
  /** Hears why a spare instance could not be made: for the operational log. */
  readonly onSpareFailure: (error: Error) => void;
}

/**
 * Evaluates policies as OPA compiles them to Wasm. Evaluations are synchronous and cannot be interrupted: one that runs
 * past `budget_ms` is counted and flagged `overBudget`, and it is for the caller to deny it. A host builtin whose work
 * would not fit into what is left of it is refused, and the fault is `policy_budget`. A policy whose `limits` make a
 * host builtin fail has no answer (strict errors); a builtin that Wasm has natively fails silently there.
 */
export function createWasmEngine({ config, clock, randomBytes, pause, onSpareFailure }: WasmEngineParts): PolicyEngine {
  const { names: needed, strict } = neededOf(config.decisions);

  return {
    load: async (policy) => {
      const plan = readPlan(policy.plan);
      refuseForbidden([...plan.builtins.keys()]);
      dataText(policy.data);
      const host = createHost({ builtins: BUILTINS, randomBytes });
      const module = await compile(policy);
      const pool = createInstancePool({
        module,
        data: policy.data,
        maximumBytes: config.memory_max_mb * 1_048_576,
        callBuiltin: host.call,
        pause,
        onBuildFailure: onSpareFailure,
      });
      try {
        checkAgreement(plan, pool.first, needed);
      } catch (error) {
        pool.close();
        throw error;
      }
      return toLoadedPolicy({ plan, pool, host, clock, strict, budgetMs: config.budget_ms });
    },
  };
}

interface Entrypoint {
  readonly id: number;
  readonly write: WriteInput;
  readonly read: ReadResult;
  /** Whether a builtin that fails is a fault. */
  readonly strict: boolean;
}

interface LoadedParts {
  readonly plan: Plan;
  readonly pool: InstancePool;
  readonly host: Host;
  readonly clock: Clock;
  readonly strict: ReadonlySet<string>;
  readonly budgetMs: number;
}

function toLoadedPolicy({ plan, pool, host, clock, strict, budgetMs }: LoadedParts): LoadedPolicy {
  const constants = new Set(plan.strings);
  const entrypoints = new Map<string, Entrypoint>();
  const paths = new Map<string, readonly string[]>();
  for (const [name, projection] of projectInput(plan)) {
    const id = pool.first.entrypoints.get(name);
    if (id === undefined) throw new PolicyLoadError('plan_wasm_disagree', `the module has no entrypoint \`${name}\``);
    entrypoints.set(name, {
      id,
      write: createInputWriter(projection),
      read: createResultReader(),
      strict: strict.has(name),
    });
    paths.set(name, projectedPaths(projection));
  }
  const budget = new RenewedBudget({ cpuMs: () => clock.now().monotonicMs, budgetMs });
  let overruns = 0;

  function entrypointOf(name: string): Entrypoint {
    const entrypoint = entrypoints.get(name);
    if (entrypoint === undefined) throw new RequestFault('policy_error', `the policy has no entrypoint \`${name}\``);
    return entrypoint;
  }

  function evaluate(name: string, input: PolicyInput, at: Instant): Evaluation {
    return timed(entrypointOf(name), input, at);
  }

  function evaluateText(name: string, text: string, at: Instant): Evaluation {
    demandJson(text);
    return timed(entrypointOf(name), text, at);
  }

  function timed(entrypoint: Entrypoint, input: PolicyInput | string, at: Instant): Evaluation {
    const startMs = clock.now().monotonicMs;
    let overBudget = false;
    let refused = false;
    let value: unknown;
    try {
      value = answer(entrypoint, typeof input === 'string' ? input : writeInput(entrypoint.write, input), at);
    } catch (error) {
      refused = error instanceof RequestFault && error.code === 'policy_budget';
      throw error;
    } finally {
      overBudget = clock.now().monotonicMs - startMs > budgetMs;
      if (overBudget || refused) overruns++;
    }
    return { value, overBudget };
  }

  function answer(entrypoint: Entrypoint, text: string, at: Instant): unknown {
    const instance = pool.take();
    if (instance === undefined) throw new RequestFault('policy_error', 'no instance of the policy is ready');
    budget.restart();
    host.begin(at, entrypoint.strict, budget);
    let result: string;
    try {
      result = instance.evaluate(entrypoint.id, text);
    } catch (thrown) {
      const cause = toError(thrown);
      if (!(cause instanceof EvaluationFault)) pool.discard(instance);
      if (cause.cause instanceof RequestFault) throw cause.cause;
      const failed = cause.cause instanceof Error ? failureOf(cause.cause) : undefined;
      if (failed !== undefined) throw new RequestFault('policy_error', failed);
      throw new RequestFault('policy_error', messageOf(cause), { cause });
    }
    pool.watch(instance);
    return readResult(entrypoint.read, result);
  }

  return {
    entrypoints: plan.plans.map(({ name }) => name),
    evaluate,
    evaluateText,
    inputPaths: (name) => paths.get(name) ?? [],
    isPolicyConstant: (text) => constants.has(text),
    budgetOverruns: () => overruns,
    close: () => pool.close(),
  };
}

/** The module reads text that is no JSON as something, or aborts. */
function demandJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new RequestFault('policy_error', 'the recorded `input` is no JSON', { cause });
  }
}

/** A member of `input` may be a fault of its own (`malformed_request`); that one is passed on. */
function writeInput(write: WriteInput, input: PolicyInput): string {
  try {
    return write(input);
  } catch (thrown) {
    if (thrown instanceof RequestFault) throw thrown;
    const cause = toError(thrown);
    throw new RequestFault('policy_error', `\`input\` cannot be written: ${cause.message}`, { cause });
  }
}

function readResult(read: ReadResult, text: string): unknown {
  try {
    return read(text);
  } catch (thrown) {
    const cause = toError(thrown);
    throw new RequestFault('policy_error', `the result cannot be read: ${cause.message}`, { cause });
  }
}

/** What may be said of a builtin's failure, as the host threw it: ``` `name`: why ```. */
function failureOf({ message, cause }: Error): string | undefined {
  const name = /^`([^`]*)`/.exec(message)?.[1];
  if (!(cause instanceof BuiltinFailure) || name === undefined) return undefined;
  return loggableFailure(name, cause.code, message);
}

function messageOf(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

async function compile({ wasm }: CompiledPolicy): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(Uint8Array.from(wasm));
  } catch (cause) {
    throw new PolicyLoadError('invalid_wasm', '`policy.wasm` is no WebAssembly module', { cause });
  }
}

/** The module must answer for the same names as the plan that projection was made from. */
function checkAgreement(plan: Plan, instance: WasmInstance, needed: readonly string[]): void {
  refuseForbidden(instance.hostBuiltins);
  refuseUnknown(instance.hostBuiltins, BUILTINS);
  for (const name of instance.hostBuiltins) {
    if (!plan.builtins.has(name)) {
      throw new PolicyLoadError(
        'plan_wasm_disagree',
        `\`policy.wasm\` calls \`${name}\`, \`plan.json\` does not: build both anew`,
      );
    }
  }
  const inPlan = plan.plans.map(({ name }) => name).sort();
  const inModule = [...instance.entrypoints.keys()].sort();
  if (inPlan.join('\n') !== inModule.join('\n')) {
    throw new PolicyLoadError(
      'plan_wasm_disagree',
      `\`plan.json\` has the entrypoints ${quoted(inPlan)}, \`policy.wasm\` has ${quoted(inModule)}: build both anew`,
    );
  }
  demandEntrypoints(needed, inPlan);
}
