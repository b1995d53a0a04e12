import { isObject } from '../decision/json.ts';
import { BundleError } from './errors.ts';

/** The entrypoints that a plan (OPA's intermediate representation) was made for, sorted. */
export function planEntrypoints(plan: unknown): readonly string[] {
  const plans = isObject(plan) && isObject(plan['plans']) ? plan['plans']['plans'] : undefined;
  if (!Array.isArray(plans)) throw new BundleError('bundle_invalid', '`plan.json` has no list of plans');
  return plans
    .map((one: unknown) => {
      const name = isObject(one) ? one['name'] : undefined;
      if (typeof name !== 'string') throw new BundleError('bundle_invalid', '`plan.json` has a plan without a name');
      return name;
    })
    .sort();
}

/**
 * The entrypoints that a policy module says it has, sorted: the module's own `entrypoints` export, run in an instance
 * that is dropped at once (OPA's Wasm ABI 1.2; nothing of the policy is evaluated).
 */
export function wasmEntrypoints(wasm: Uint8Array): readonly string[] {
  try {
    return namesOf(instantiate(wasm));
  } catch (error) {
    if (error instanceof BundleError) throw error;
    throw new BundleError('bundle_invalid', '`policy.wasm` is not a policy module that OPA compiled', { cause: error });
  }
}

interface PolicyModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  entrypoints(): number;
  opa_json_dump(value: number): number;
}

/** The part of the WebAssembly JavaScript API that is used here; TypeScript has it only together with the DOM. */
interface WasmApi {
  readonly Memory: new (size: { readonly initial: number; readonly maximum: number }) => PolicyModule['memory'];
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly [name: string]: unknown } };
}

// Every JavaScript engine that runs Node has it (https://webassembly.github.io/spec/js-api).
const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

function instantiate(wasm: Uint8Array): PolicyModule {
  const memory = new Memory({ initial: 8, maximum: 1024 });
  const builtin = (): never => {
    throw new BundleError('bundle_invalid', '`policy.wasm` calls a builtin before it is asked anything');
  };
  const opa_abort = (): never => {
    throw new BundleError('bundle_invalid', '`policy.wasm` aborts when it is asked for its entrypoints');
  };
  const { exports } = new Instance(new Module(wasm), {
    env: {
      memory,
      opa_abort,
      opa_println: () => 0,
      opa_builtin0: builtin,
      opa_builtin1: builtin,
      opa_builtin2: builtin,
      opa_builtin3: builtin,
      opa_builtin4: builtin,
    },
  });
  const { entrypoints, opa_json_dump } = exports;
  if (typeof entrypoints !== 'function' || typeof opa_json_dump !== 'function') {
    throw new BundleError('bundle_invalid', "`policy.wasm` does not export OPA's functions");
  }
  return {
    memory,
    entrypoints: () => Number(entrypoints()),
    opa_json_dump: (value) => Number(opa_json_dump(value)),
  };
}

function namesOf(module: PolicyModule): readonly string[] {
  const start = module.opa_json_dump(module.entrypoints());
  const bytes = new Uint8Array(module.memory.buffer);
  const end = bytes.indexOf(0, start);
  const names: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.slice(start, end)));
  if (!isObject(names)) throw new BundleError('bundle_invalid', '`policy.wasm` names no entrypoints');
  return Object.keys(names).sort();
}
