import { isObject } from '../decision/json.ts';

/** The part of OPA's ABI that is used here (docs/wasm.md): addresses and counts of bytes are 32-bit integers. */
export interface OpaExports {
  opa_heap_ptr_set(address: number): void;
  opa_malloc(bytes: number): number;
  opa_json_parse(address: number, bytes: number): number;
  opa_value_parse(address: number, bytes: number): number;
  opa_json_dump(value: number): number;
  opa_value_dump(value: number): number;
  opa_eval_ctx_new(): number;
  opa_eval_ctx_set_input(context: number, value: number): void;
  opa_eval_ctx_set_data(context: number, value: number): void;
  opa_eval_ctx_set_entrypoint(context: number, entrypoint: number): void;
  opa_eval_ctx_get_result(context: number): number;
  eval(context: number): number;
  builtins(): number;
}

/** A module's exports; throws when it is none of OPA's, or of an ABI before 1.2. */
export function opaExports({ exports }: WebAssembly.Instance): OpaExports {
  const version = exports['opa_wasm_abi_version'];
  const minor = exports['opa_wasm_abi_minor_version'];
  if (!(version instanceof WebAssembly.Global) || !(minor instanceof WebAssembly.Global)) {
    throw new Error('the module names no OPA ABI version');
  }
  if (version.value !== 1 || typeof minor.value !== 'number' || minor.value < 2) {
    throw new Error('the module is not of OPA ABI version 1.2 or a later 1.x');
  }
  for (const name of NEEDED_EXPORTS) {
    if (typeof exports[name] !== 'function') throw new Error(`the module does not export \`${name}\``);
  }
  // Each of them was just seen to be a function; their signatures are the ABI's.
  return exports as unknown as OpaExports;
}

const NEEDED_EXPORTS = [
  'opa_heap_ptr_set',
  'opa_heap_ptr_get',
  'opa_malloc',
  'opa_json_parse',
  'opa_value_parse',
  'opa_json_dump',
  'opa_value_dump',
  'opa_eval_ctx_new',
  'opa_eval_ctx_set_input',
  'opa_eval_ctx_set_data',
  'opa_eval_ctx_set_entrypoint',
  'opa_eval_ctx_get_result',
  'eval',
  'builtins',
  'entrypoints',
] as const;

/** A list of names with their numbers, as the module gives its entrypoints and builtins. */
export function idsByName(json: string): Map<string, number> {
  const ids: unknown = JSON.parse(json);
  if (!isObject(ids)) throw new Error('the policy module lists no names');
  const found = new Map<string, number>();
  for (const [name, id] of Object.entries(ids)) {
    if (typeof id !== 'number') throw new Error('the policy module lists a name without a number');
    found.set(name, id);
  }
  return found;
}

/** Whatever was thrown, as an error. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  if (typeof thrown === 'string') return new Error(`policy engine: ${thrown}`);
  const message = isObject(thrown) ? thrown['message'] : undefined;
  return new Error(`policy engine: ${typeof message === 'string' ? message : 'failed without saying why'}`);
}
