import { describePolicyEngine } from './policy-engine.suite.ts';
import { createJsEngineForTest, createWasmEngineForTest } from './policy-support/engine.ts';

describePolicyEngine('wasm', createWasmEngineForTest, { runsModule: true, interrupts: false });
describePolicyEngine('js', createJsEngineForTest, { runsModule: false, interrupts: true });
