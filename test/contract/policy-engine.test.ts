import { describePolicyEngine } from './policy-engine.suite.ts';
import { createWasmEngineForTest } from './policy-support/engine.ts';

describePolicyEngine('wasm', createWasmEngineForTest);
