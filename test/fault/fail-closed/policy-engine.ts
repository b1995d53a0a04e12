import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { parseBundle } from '../../../src/bundle/bundle.ts';
import type { Generation } from '../../../src/decision/ports.ts';
import type { LoadedPolicy } from '../../../src/policy/policy-engine.ts';
import { createWasmEngine } from '../../../src/policy/wasm-engine.ts';
import { generation, inspected, NAMED } from '../../support/core.ts';
import { buildPolicyBundle } from '../../support/policy-bundle.ts';
import { systemClock } from '../../support/system-ports.ts';
import { ROOT } from '../../support/tools.ts';
import type { Fault, Trials } from './matrix.ts';
import { askCore, createSkewedClock } from './world.ts';

const DECISION = { decision: 'failing/decision', limits: 'failing/limits', result: 'sallyport' } as const;
const SOURCE = join(ROOT, 'test/fault/fail-closed/fixtures/policy');

/** Compiled once: it takes longer than all the trials together. */
const bundle = (() => {
  let built: Promise<ReturnType<typeof parseBundle>> | undefined;
  return () => {
    built ??= (async () => {
      const policy = await buildPolicyBundle(SOURCE, [DECISION.decision, DECISION.limits]);
      try {
        return parseBundle('failing', new Uint8Array(await readFile(policy.file)));
      } finally {
        policy.remove();
      }
    })();
    return built;
  };
})();

/** A request to the real engine with a policy that fails as `mode` says. */
async function trial(mode: Fault | 'well' | 'closed', prepare: Prepare = (policy) => policy.evaluate): Promise<string> {
  const engine = createWasmEngine({
    config: { budget_ms: 5, memory_max_mb: 32, decisions: { default: DECISION } },
    clock: systemClock,
    randomBytes,
    pause,
    onSpareFailure: () => undefined,
  });
  const policy = await engine.load(await bundle());
  const clock = createSkewedClock();
  const evaluate = prepare(policy, clock);
  const attributes = { request: { http: { headers: { 'x-mode': mode } } } };
  const current = generation(
    {},
    {
      inspect: () => inspected(),
      evaluate: (entrypoint, input, at) => evaluate(entrypoint, { ...input, attributes: () => attributes }, at),
    },
  );
  try {
    return await askCore({
      clock,
      currentGeneration: () => current,
      decisions: new Map([['default', { ...NAMED, ...DECISION }]]),
    });
  } finally {
    policy.close();
  }
}

type Prepare = (policy: LoadedPolicy, clock: ReturnType<typeof createSkewedClock>) => Generation['evaluate'];

/** The evaluation ends, but only after what a gateway waits; measured, so that the machine's speed does not matter. */
const late: Prepare = (policy, clock) => (entrypoint, input, at) => {
  const result = policy.evaluate(entrypoint, input, at);
  if (entrypoint === DECISION.decision && result.overBudget) clock.skip(10_000);
  return result;
};

const closedAtOnce: Prepare = (policy) => {
  policy.close();
  return policy.evaluate;
};

const closedBetween: Prepare = (policy) => (entrypoint, input, at) => {
  const result = policy.evaluate(entrypoint, input, at);
  if (entrypoint === DECISION.limits) policy.close();
  return result;
};

export const policyTrials: Trials = {
  healthy: () => trial('well'),
  faults: {
    down: () => trial('closed', closedAtOnce),
    slow: () => trial('slow', late),
    garbage: () => trial('garbage'),
    partial: () => trial('partial'),
    reset: () => trial('reset'),
    full: () => trial('full'),
    'wrong version': () => trial('wrong version'),
    stalled: () => trial('closed', closedBetween),
  },
};
