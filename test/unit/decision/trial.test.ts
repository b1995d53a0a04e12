import { describe, expect, test } from 'vitest';
import { createRedecide, createTry, type TrialPorts } from '../../../src/decision/trial.ts';
import { accessRequest, anonymous, core, generation, NAMED, verified } from '../../support/core.ts';

const charge = (name: string, cost: number) => ({
  name,
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost,
  scope: 'tenant',
});
const state = (remaining: number, exceeded = false) => ({
  kind: 'rate',
  unit: 'requests',
  limit: 10,
  remaining,
  held: 0,
  wait_ms: exceeded ? 500 : 0,
  reset_ms: 100,
  exceeded,
  shadow: false,
  verified: true,
});

const ports: TrialPorts = {
  startTimer: () => () => undefined,
  clientIp: () => undefined,
  decisions: new Map([['default', NAMED]]),
  allowRedirects: false,
  exposeCredentials: false,
  digest: (text) => text,
  maxWaitMs: 1_000,
  monotonicMs: () => 5,
};
const redecide = createRedecide(createTry(ports));

/** Decides once with the given limits and what the store said of them. */
async function decided(limits: readonly unknown[], taken: boolean, limitStates: Record<string, unknown>) {
  const { authorize } = core({
    currentGeneration: () => generation({ 'authz/decision': { allow: true }, 'authz/limits': limits }),
    quota: {
      take: () => {
        const common = { limits: limitStates as never };
        return taken
          ? { kind: 'taken', take: undefined, state: { plan: 0, taken: true, ...common } }
          : { kind: 'exceeded', state: { taken: false, ...common }, retryMs: 500 };
      },
    },
  });
  return authorize(accessRequest());
}

describe('deciding once more', () => {
  test('by a generation that says the same comes to the same', async () => {
    const limits = [charge('requests', 1)];
    const outcome = await decided(limits, true, { requests: state(9) });
    const again = await redecide(
      outcome,
      generation({ 'authz/decision': { allow: true }, 'authz/limits': limits }, { number: 2 }),
    );
    expect(again?.decision).toEqual(outcome.decision);
    expect(again?.quota).toEqual(outcome.quota);
    expect(again?.at).toEqual(outcome.at);
    expect(again?.decisionId).toBe(outcome.decisionId);
    expect(again?.generation?.number).toBe(2);
  });

  test('by another says what that one decides', async () => {
    const outcome = await decided([], true, {});
    const again = await redecide(outcome, generation({ 'authz/decision': { allow: false }, 'authz/limits': [] }));
    expect(again?.decision).toMatchObject({ kind: 'deny', code: 'policy_denied' });
  });

  test('keeps a refusal of the quota under the same charges', async () => {
    const limits = [charge('requests', 1)];
    const outcome = await decided(limits, false, { requests: state(0, true) });
    const again = await redecide(outcome, generation({ 'authz/decision': { allow: true }, 'authz/limits': limits }));
    expect(again?.decision).toMatchObject({ kind: 'deny', code: 'quota_exceeded', status: 429 });
  });

  test.each([
    ['a cost that still fits what was left and taken', 10, 'allow'],
    ['a cost above it', 11, 'deny'],
  ])('judges other charges on what was left: %s', async (_, cost, kind) => {
    // 10 fitted before the first decision took 1.
    const outcome = await decided([charge('requests', 1)], true, { requests: state(9) });
    const limits = [{ ...charge('requests', cost), limit: 20 }];
    const again = await redecide(outcome, generation({ 'authz/decision': { allow: true }, 'authz/limits': limits }));
    expect(again?.decision.kind).toBe(kind);
  });

  test('takes a limit that nobody asked for as untouched', async () => {
    const outcome = await decided([], true, {});
    const again = await redecide(
      outcome,
      generation({ 'authz/decision': { allow: true }, 'authz/limits': [charge('new', 10)] }),
    );
    expect(again?.decision.kind).toBe('allow');
    expect(again?.quota?.limits['new']).toMatchObject({ remaining: 0, verified: false });
  });

  test('asks nobody: neither authenticator nor store nor the table of refusals', async () => {
    const outcome = await core({ authenticate: () => anonymous }).authorize(accessRequest());
    const again = await redecide(outcome, generation({ 'authz/decision': { allow: false }, 'authz/limits': [] }));
    expect(again?.decision).toMatchObject({ kind: 'deny' });
  });

  test('does not send a request of the trial to another one', async () => {
    const outcome = await core().authorize(accessRequest());
    const other = generation({ 'authz/decision': { allow: false }, 'authz/limits': [] }, { number: 9 });
    const own = generation(
      { 'authz/decision': { allow: true }, 'authz/limits': [] },
      { canary: { generation: other, includes: () => true } },
    );
    expect((await redecide(outcome, own))?.decision.kind).toBe('allow');
  });

  test.each([
    [
      'a refused credential',
      { authenticate: () => ({ kind: 'refused', code: 'invalid_credential', cause: '' }) as const },
    ],
    ['no generation', { currentGeneration: () => undefined }],
  ])('is not done where the policy was never asked: %s', async (_, parts) => {
    const outcome = await core({ authenticate: () => verified(), ...parts }).authorize(accessRequest());
    expect(await redecide(outcome, generation({}))).toBeUndefined();
  });
});
