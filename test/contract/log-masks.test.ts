import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Generation } from '../../src/decision/ports.ts';
import { createWriteEvent, type DecisionEvent } from '../../src/decision-log/event.ts';
import { DROP_ENTRYPOINT, MASK_ENTRYPOINT, maskByPolicy } from '../../src/decision-log/rego-mask.ts';
import { accessRequest, generation, inspected, tenantA } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { logConfig } from '../support/events.ts';
import { allowOutcome } from '../support/outcome.ts';
import { ROOT } from '../support/tools.ts';
import { compilePolicy } from './policy-support/compile-policy.ts';
import { createWasmEngineForTest } from './policy-support/engine.ts';

const write = createWriteEvent({
  config: logConfig(),
  labels: {},
  instanceId: 'instance-1',
  nextSpanId: () => '00000000000000aa',
});

describeWith(['opa'], 'the shipped masks, as Wasm', () => {
  const rego = readFileSync(join(ROOT, 'policies/system/log/mask.rego'), 'utf8');

  async function load(entrypoints: readonly string[], text = rego): Promise<Generation> {
    const policy = await createWasmEngineForTest().load(compilePolicy({ rego: { 'mask.rego': text }, entrypoints }));
    const { evaluate, evaluateText, inputPaths, isPolicyConstant } = policy;
    return generation({}, { evaluate, evaluateText, inputPaths, isPolicyConstant });
  }

  test('mask what they name and drop preflights', async () => {
    const loaded = await load([MASK_ENTRYPOINT, DROP_ENTRYPOINT]);
    const outcome = allowOutcome({
      principal: { ...tenantA, subject: 'alice@example.com' },
      inspected: inspected({ network: { client_ip: '203.0.113.7' } }),
    });
    const masked = maskByPolicy(write(outcome, 1).line, loaded, outcome.at);
    if (masked.kind === 'dropped') throw new Error('it was dropped');
    // The line is a DecisionEvent, masked.
    const event = JSON.parse(masked.line) as DecisionEvent;
    expect(masked.kind).toBe('masked');
    expect(event.input['identity']).toMatchObject({ subject: 'mail address' });
    expect(JSON.stringify(event)).not.toContain('203.0.113.7');
    expect(event).toMatchObject({ erased: ['/input/network/client_ip'], masked: ['/input/identity/subject'] });
    const preflight = allowOutcome({ request: accessRequest({ method: 'OPTIONS' }) });
    expect(maskByPolicy(write(preflight, 1).line, loaded, outcome.at).kind).toBe('dropped');
  });

  test('a bundle that was built without the entrypoints masks nothing', async () => {
    const loaded = await load(['other/decision'], 'package other\n\ndecision := true\n');
    const outcome = allowOutcome();
    expect(maskByPolicy(write(outcome, 1).line, loaded, outcome.at).kind).toBe('kept');
  });

  test('a mask that reads nothing of the event is asked too', async () => {
    const constant = 'package system.log\n\nmask := {"/input/identity"}\n';
    const loaded = await load([MASK_ENTRYPOINT], constant);
    const outcome = allowOutcome();
    const masked = maskByPolicy(write(outcome, 1).line, loaded, outcome.at);
    expect(masked.kind).toBe('masked');
  });
});
