import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import { isObject } from '../decision/json.ts';
import { parseRegoText, type RegoValue, toRegoText } from './rego-value.ts';

/**
 * An evaluation that has no answer because a host builtin failed. It ran to its end all the same, with `undefined` in
 * that place, so the instance is as good as before.
 */
export class EvaluationFault extends Error {
  override readonly name = 'EvaluationFault';
}

/**
 * One policy in one Wasm memory. After a throw of anything but {@link EvaluationFault} its
 * memory is in no known state: discard it.
 */
export interface WasmInstance {
  readonly entrypoints: ReadonlyMap<string, number>;
  /** The builtins that the module leaves to its host. */
  readonly hostBuiltins: readonly string[];
  /** Evaluates on JSON text; answers the JSON text of the result set, `[]` when undefined. Throws `Error`s only. */
  evaluate(entrypoint: number, input: string): string;
  readonly memoryBytes: () => number;
  /** The first byte behind the data, and so behind all that outlives an evaluation. */
  readonly dataEnd: number;
  /** Where the data begins: below lies only what the module itself sets up. */
  readonly dataStart: number;
}

/** Answers a builtin for the module; `undefined` is Rego's. What it throws ends as an {@link EvaluationFault}. */
export type CallBuiltin = (name: string, args: readonly RegoValue[]) => RegoValue | undefined;

export interface WasmInstanceParts {
  readonly module: WebAssembly.Module;
  readonly initialPages: number;
  readonly maximumPages: number;
  readonly callBuiltin: CallBuiltin;
}

/** Loads the data by parsing it; blocks for its duration. */
export function createWasmInstance(parts: WasmInstanceParts, data: Uint8Array): WasmInstance {
  const { policy, exports } = instantiate(parts);
  translateThrown(() => policy.setData(copyOf(data)));
  return toInstance(policy, exports);
}

/**
 * A second instance with the data of a healthy one, copied in slices with a pause between them. Evaluations do not
 * write to the data, so the source may go on answering meanwhile.
 */
export async function cloneWasmInstance(
  parts: WasmInstanceParts,
  source: WasmInstance,
  pause: () => Promise<void>,
): Promise<WasmInstance> {
  const from = SOURCES.get(source);
  if (from === undefined) throw new Error('not an instance of this engine');
  const { policy, exports } = instantiate({
    ...parts,
    initialPages: Math.min(parts.maximumPages, Math.max(parts.initialPages, pagesOf(source.dataEnd + WORK_BYTES))),
  });
  if (policy.baseHeapPtr !== from.baseHeapPtr) throw new Error('two instances of one module differ');
  const target = new Uint8Array(policy.mem.buffer);
  for (let at = from.baseHeapPtr; at < from.dataHeapPtr; at += COPY_SLICE_BYTES) {
    const end = Math.min(at + COPY_SLICE_BYTES, from.dataHeapPtr);
    // The view is made anew because the source's memory may have grown, which detaches older ones.
    target.set(new Uint8Array(from.mem.buffer, at, end - at), at);
    await pause();
  }
  policy.dataAddr = from.dataAddr;
  policy.dataHeapPtr = from.dataHeapPtr;
  return toInstance(policy, exports);
}

/** Pages of 64 KiB that hold so many bytes. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / 65_536);
}

/** Room for the module, the input, and what an evaluation makes of it. */
export const WORK_BYTES = 16 * 1_048_576;

const COPY_SLICE_BYTES = 4 * 1_048_576;

/** The SDK's own view of a policy in memory. */
interface Policy {
  readonly mem: WebAssembly.Memory;
  dataAddr: number;
  readonly baseHeapPtr: number;
  dataHeapPtr: number;
  readonly entrypoints: unknown;
  setData(json: ArrayBuffer): void;
}

interface Sdk {
  readonly LoadedPolicy: new (instance: WebAssembly.Instance, memory: WebAssembly.Memory, minorVersion: number) => Policy;
}

// Its ESM entry hides the class, and the typings of its CommonJS entry describe neither; `Sdk` is what it has in 1.10.0.
const sdk = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as Sdk;

const SOURCES = new WeakMap<WasmInstance, Policy>();

/** The part of OPA's ABI that is used here (docs/wasm.md). */
interface Exports {
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

/** A memory with views that are renewed when it has grown. */
interface Memory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: () => Buffer;
}

function createMemory(initial: number, maximum: number): Memory {
  const memory = new WebAssembly.Memory({ initial, maximum });
  let view = Buffer.from(memory.buffer);
  return {
    memory,
    bytes: () => {
      // A detached view has no bytes left.
      if (view.length === 0) view = Buffer.from(memory.buffer);
      return view;
    },
  };
}

interface Instantiated {
  readonly policy: Policy;
  readonly exports: InstanceExports;
}

interface InstanceExports {
  readonly memory: Memory;
  readonly functions: Exports;
  readonly hostBuiltins: readonly string[];
  /** Why a host builtin failed since the last call, `undefined` when none did. */
  readonly takeFault: () => unknown;
}

/**
 * The SDK's own import object is not used: it looks up six builtins of its own before the host's (`sprintf` of another
 * dialect, regular expressions that backtrack), hands arguments over as JSON, where a set is a list and a large number
 * another one, and reads abort texts byte by byte.
 */
function instantiate({ module, initialPages, maximumPages, callBuiltin }: WasmInstanceParts): Instantiated {
  const memory = createMemory(initialPages, maximumPages);
  const names: string[] = [];
  let functions: Exports | undefined;
  let fault: unknown;

  const call = (id: number, ...values: readonly number[]): number => {
    const name = names[id];
    if (functions === undefined || name === undefined) throw new Error(`the policy calls an unknown builtin \`${id}\``);
    const dumps = values.map(functions.opa_value_dump);
    let text: string;
    try {
      const args: RegoValue[] = [];
      for (const dump of dumps) args.push(parseRegoText(readText(memory, dump, 'strict')));
      const result = callBuiltin(name, args);
      if (result === undefined) return 0;
      text = toRegoText(result);
    } catch (error) {
      // Thrown through the module it would cost the instance; so the module sees `undefined`, and the caller the fault.
      fault ??= error;
      return 0;
    }
    return writeParsed(memory, functions, text, 'opa_value_parse');
  };

  const instance = new WebAssembly.Instance(module, {
    env: {
      memory: memory.memory,
      opa_abort: (address: number) => {
        throw new Error(`the policy engine aborted: ${readText(memory, address)}`);
      },
      opa_println: () => undefined,
      opa_builtin0: (id: number) => call(id),
      opa_builtin1: (id: number, _context: number, a: number) => call(id, a),
      opa_builtin2: (id: number, _context: number, a: number, b: number) => call(id, a, b),
      opa_builtin3: (id: number, _context: number, a: number, b: number, c: number) => call(id, a, b, c),
      opa_builtin4: (id: number, _context: number, a: number, b: number, c: number, d: number) => call(id, a, b, c, d),
    },
  });
  checkExports(instance);
  // `checkExports` has seen that each of them is a function; their signatures are the ABI's.
  functions = instance.exports as unknown as Exports;
  const hostBuiltins: string[] = [];
  for (const [name, id] of idsByName(readText(memory, functions.opa_json_dump(functions.builtins())))) {
    names[id] = name;
    hostBuiltins.push(name);
  }
  const policy = translateThrown(() => new sdk.LoadedPolicy(instance, memory.memory, 2));
  const takeFault = (): unknown => {
    const taken = fault;
    fault = undefined;
    return taken;
  };
  return { policy, exports: { memory, functions, hostBuiltins, takeFault } };
}

function toInstance(policy: Policy, { memory, functions, hostBuiltins, takeFault }: InstanceExports): WasmInstance {
  const dataEnd = policy.dataHeapPtr;
  const instance: WasmInstance = {
    entrypoints: idsByName(JSON.stringify(policy.entrypoints)),
    hostBuiltins,
    memoryBytes: () => memory.memory.buffer.byteLength,
    dataStart: policy.baseHeapPtr,
    dataEnd,
    evaluate: (entrypoint, input) => {
      functions.opa_heap_ptr_set(dataEnd);
      const inputAddress = writeParsed(memory, functions, input, 'opa_json_parse');
      const context = functions.opa_eval_ctx_new();
      functions.opa_eval_ctx_set_input(context, inputAddress);
      functions.opa_eval_ctx_set_data(context, policy.dataAddr);
      functions.opa_eval_ctx_set_entrypoint(context, entrypoint);
      if (functions.eval(context) !== 0) throw new Error('the policy engine failed');
      const fault = takeFault();
      if (fault !== undefined) throw new EvaluationFault('a host builtin failed', { cause: fault });
      return readText(memory, functions.opa_json_dump(functions.opa_eval_ctx_get_result(context)));
    },
  };
  SOURCES.set(instance, policy);
  return instance;
}

/** Copies text into the memory and parses it there; a result of 0 would be taken for `undefined`, so it is an error. */
function writeParsed(
  memory: Memory,
  functions: Exports,
  text: string,
  parse: 'opa_json_parse' | 'opa_value_parse',
): number {
  const length = Buffer.byteLength(text);
  const address = functions.opa_malloc(length);
  memory.bytes().write(text, address, length, 'utf8');
  const parsed = functions[parse](address, length);
  if (parsed === 0) throw new Error('the policy engine cannot parse a value');
  return parsed;
}

/**
 * A C string as text. Bytes that are no UTF-8 become U+FFFD, as they do in OPA's own JSON; `strict` refuses them, since
 * two different texts would look the same.
 */
function readText(memory: Memory, address: number, mode?: 'strict'): string {
  const bytes = memory.bytes();
  const start = address >>> 0;
  const end = bytes.indexOf(0, start);
  if (end < 0) throw new Error('the policy engine answered with an endless text');
  const text = bytes.toString('utf8', start, end);
  if (mode === 'strict' && text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) {
    throw new Error('a builtin of the host was given bytes that are no UTF-8');
  }
  return text;
}

function idsByName(json: string): Map<string, number> {
  const ids: unknown = JSON.parse(json);
  if (!isObject(ids)) throw new Error('the policy module lists no names');
  const found = new Map<string, number>();
  for (const [name, id] of Object.entries(ids)) {
    if (typeof id !== 'number') throw new Error('the policy module lists a name without a number');
    found.set(name, id);
  }
  return found;
}

function checkExports({ exports }: WebAssembly.Instance): void {
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
}

/** The SDK throws texts and bare objects; from here on there are only errors. */
function translateThrown<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw toError(thrown);
  }
}

/** Whatever was thrown, as an error. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  if (typeof thrown === 'string') return new Error(`policy engine: ${thrown}`);
  const message = isObject(thrown) ? thrown['message'] : undefined;
  return new Error(`policy engine: ${typeof message === 'string' ? message : 'failed without saying why'}`);
}

/** The SDK tells JSON text from a value by its type, `ArrayBuffer`. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}
