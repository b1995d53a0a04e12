import type { ConformanceEngine, EngineName } from './engine.ts';
import { createWasmUnderTest } from './wasm-under-test.ts';

export function createEngine(name: EngineName): ConformanceEngine {
  switch (name) {
    case 'js':
      throw new Error('not there yet');
    case 'wasm':
      return createWasmUnderTest();
  }
}
