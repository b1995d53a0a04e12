import { createRequire } from 'node:module';
import { idsByName, type OpaExports, opaExports, toError } from './opa-abi.ts';
import { parseRegoText, toRegoText } from './values/text.ts';
import type { Value } from './values/value.ts';
import { createWasmMemory, pagesOf, type WasmMemory } from './wasm-memory.ts';

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
  /**
   * Evaluates on JSON text, or without an input; answers the result set in the form of `parseRegoText`. Throws `Error`s
   * only.
   */
  evaluate(entrypoint: number, input: string | undefined): string;
  readonly memoryBytes: () => number;
  /** The first byte behind the data, and so behind all that outlives an evaluation. */
  readonly dataEnd: number;
  /** Where the data begins: below lies only what the module itself sets up. */
  readonly dataStart: number;
}

/** Answers a builtin for the module; `undefined` is Rego's. What it throws ends as an {@link EvaluationFault}. */
export type CallBuiltin = (name: string, args: readonly Value[]) => Value | undefined;

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

/** Room for the module, the input, and what an evaluation makes of it. */
export const WORK_BYTES = 16 * 1_048_576;

const COPY_SLICE_BYTES = 1_048_576;

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
  readonly LoadedPolicy: new (
    instance: WebAssembly.Instance,
    memory: WebAssembly.Memory,
    minorVersion: number,
  ) => Policy;
}

// Its ESM entry hides the class, and the typings of its CommonJS entry describe neither; `Sdk` is what it has in 1.10.0.
const sdk = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as Sdk;

const SOURCES = new WeakMap<WasmInstance, Policy>();

interface Instantiated {
  readonly policy: Policy;
  readonly exports: InstanceExports;
}

interface InstanceExports {
  readonly memory: WasmMemory;
  readonly functions: OpaExports;
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
  const memory = createWasmMemory(initialPages, maximumPages);
  const names: string[] = [];
  let functions: OpaExports | undefined;
  let fault: unknown;

  const call = (id: number, ...values: readonly number[]): number => {
    const name = names[id];
    if (functions === undefined || name === undefined) throw new Error(`the policy calls an unknown builtin \`${id}\``);
    // The answer is lost already: what is left of the evaluation costs as little as can be.
    if (fault !== undefined) return 0;
    const dumps: number[] = [];
    for (const value of values) dumps.push(functions.opa_value_dump(value));
    let text: string;
    try {
      const args: Value[] = [];
      for (const dump of dumps) args.push(parseRegoText(memory.readText(dump, 'strict')));
      const result = callBuiltin(name, args);
      if (result === undefined) return 0;
      text = toRegoText(result);
    } catch (error) {
      // Thrown through the module it would cost the instance; so the module sees `undefined`, and the caller the fault.
      fault = error;
      return 0;
    }
    return writeParsed(memory, functions, text, 'opa_value_parse');
  };

  const instance = new WebAssembly.Instance(module, {
    env: {
      memory: memory.memory,
      opa_abort: (address: number) => {
        throw new Error(`the policy engine aborted: ${memory.readText(address)}`);
      },
      opa_println: () => undefined,
      opa_builtin0: (id: number) => call(id),
      opa_builtin1: (id: number, _context: number, a: number) => call(id, a),
      opa_builtin2: (id: number, _context: number, a: number, b: number) => call(id, a, b),
      opa_builtin3: (id: number, _context: number, a: number, b: number, c: number) => call(id, a, b, c),
      opa_builtin4: (id: number, _context: number, a: number, b: number, c: number, d: number) => call(id, a, b, c, d),
    },
  });
  functions = opaExports(instance);
  const hostBuiltins: string[] = [];
  for (const [name, id] of idsByName(memory.readText(functions.opa_json_dump(functions.builtins())))) {
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
    memoryBytes: memory.byteLength,
    dataStart: policy.baseHeapPtr,
    dataEnd,
    evaluate: (entrypoint, input) => {
      functions.opa_heap_ptr_set(dataEnd);
      const inputAddress = input === undefined ? undefined : writeParsed(memory, functions, input, 'opa_json_parse');
      const context = functions.opa_eval_ctx_new();
      if (inputAddress !== undefined) functions.opa_eval_ctx_set_input(context, inputAddress);
      functions.opa_eval_ctx_set_data(context, policy.dataAddr);
      functions.opa_eval_ctx_set_entrypoint(context, entrypoint);
      if (functions.eval(context) !== 0) throw new Error('the policy engine failed');
      const fault = takeFault();
      if (fault !== undefined) throw new EvaluationFault('a host builtin failed', { cause: fault });
      return memory.readText(functions.opa_value_dump(functions.opa_eval_ctx_get_result(context)));
    },
  };
  SOURCES.set(instance, policy);
  return instance;
}

/** Copies text into the memory and parses it there; a result of 0 would be taken for `undefined`, so it is an error. */
function writeParsed(
  memory: WasmMemory,
  functions: OpaExports,
  text: string,
  parse: 'opa_json_parse' | 'opa_value_parse',
): number {
  const length = Buffer.byteLength(text);
  const address = functions.opa_malloc(length);
  memory.writeText(text, address, length);
  const parsed = functions[parse](address, length);
  if (parsed === 0) throw new Error('the policy engine cannot parse a value');
  return parsed;
}

/** The SDK throws texts and bare objects; from here on there are only errors. */
function translateThrown<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw toError(thrown);
  }
}

/** The SDK tells JSON text from a value by its type, `ArrayBuffer`. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}
