import type { ConformanceEngine, EngineName } from './engine.ts';
import { createJsUnderTest } from './js-under-test.ts';
import { createWasmUnderTest } from './wasm-under-test.ts';

/** An engine as the service has it, with all that its policies may call. */
export function createEngine(name: EngineName): ConformanceEngine {
  switch (name) {
    case 'js':
      return createJsUnderTest();
    case 'wasm':
      return createWasmUnderTest();
  }
}
