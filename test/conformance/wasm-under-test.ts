import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { BuiltinFailure } from '../../src/policy/builtins/builtin.ts';
import { createHost } from '../../src/policy/host.ts';
import { createWasmInstance, EvaluationFault, type WasmInstance } from '../../src/policy/opa-wasm.ts';
import { RegoSet } from '../../src/policy/values/set.ts';
import { parseRegoText } from '../../src/policy/values/text.ts';
import { pagesOf } from '../../src/policy/wasm-memory.ts';
import type { ConformanceCase } from './conformance-case.ts';
import type { ConformanceEngine, Outcome } from './engine.ts';
import { createBudget, isJson, refusalOf, SLEEP, underTest } from './surroundings.ts';

/** OPA's Wasm modules with our host builtins. What is native in Wasm fails in silence there. */
export function createWasmUnderTest(): ConformanceEngine {
  const { at, randomBytes } = underTest();
  const builtins = new Map([...BUILTINS, SLEEP]);
  const host = createHost({ builtins, randomBytes });
  /** The builtin that failed, for the text of its error. */
  let failed: string | undefined;

  function instanceOf(subject: ConformanceCase): WasmInstance {
    const data = Buffer.from(subject.data);
    const parts = {
      module: new WebAssembly.Module(subject.wasm()),
      // The cases are small, and a large memory costs more to make than most of them to run.
      initialPages: pagesOf(2 * MEGABYTE),
      maximumPages: pagesOf(256 * MEGABYTE),
      callBuiltin: (name: string, args: Parameters<typeof host.call>[1]) => {
        try {
          return host.call(name, args);
        } catch (error) {
          failed = name;
          throw error;
        }
      },
    };
    return createWasmInstance(parts, data);
  }

  function toError(thrown: unknown): Outcome {
    for (let error = thrown; error instanceof Error; error = error.cause) {
      if (error instanceof BuiltinFailure) {
        return { kind: 'error', code: error.code, text: `${failed}: ${error.message}` };
      }
    }
    const message = String(thrown);
    // What OPA says of these is not in the module.
    if (CONFLICT.test(message)) return { kind: 'error', code: 'eval_conflict_error', text: undefined };
    const cause = thrown instanceof EvaluationFault ? ` (${String(thrown.cause)})` : '';
    return { kind: 'error', code: 'engine', text: `${message}${cause}` };
  }

  return {
    name: 'wasm',
    silentFailures: true,
    evaluate: (subject, strict) => {
      const { input } = subject;
      if (input !== undefined && !isJson(input)) return { kind: 'refused', reason: 'the input is no JSON' };
      try {
        const instance = instanceOf(subject);
        const refused = refusalOf(instance.hostBuiltins, builtins);
        if (refused !== undefined) return refused;
        host.begin(at, strict, createBudget());
        const results = parseRegoText(instance.evaluate(0, input));
        if (!(results instanceof RegoSet)) throw new Error('the engine gave no result set');
        return { kind: 'results', results: results.list() };
      } catch (error) {
        return toError(error);
      }
    },
  };
}

const MEGABYTE = 1_048_576;

const CONFLICT = /var assignment conflict|object insert conflict/;
