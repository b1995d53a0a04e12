import { describe, expect, test } from 'vitest';
import { RequestFault } from '../../../src/decision/errors.ts';
import type { Instant } from '../../../src/decision/ports.ts';
import { createTenantShare } from '../../../src/policy/tenant-share.ts';
import { accessRequest, anonymous, core, generation, inspected, tenantA, verified } from '../../support/core.ts';

const at = (monotonicMs: number): Instant => ({ epochMs: 0, monotonicMs });
const tenantB = { ...tenantA, tenant: 'tenant-b' };
const { tenant: _, ...nobody } = tenantA;

describe('a tenant’s share of the processor', () => {
  test('is a second of it at once, then as much as it fills again', () => {
    const share = createTenantShare({ share: 0.25 });
    expect(share.admits(tenantA, at(0))).toBe(true);
    share.spend(tenantA, 24_999_999, at(0));
    expect(share.admits(tenantA, at(0))).toBe(true);
    share.spend(tenantA, 25_000_001, at(0));
    // In debt by a second.
    expect(share.admits(tenantA, at(1_000))).toBe(false);
    expect(share.admits(tenantA, at(1_001))).toBe(true);
    // No more than a second's worth gathers, and time never runs backwards.
    share.spend(tenantA, 25_000_000, at(60_000));
    expect(share.admits(tenantA, at(60_000))).toBe(false);
    expect(share.admits(tenantA, at(0))).toBe(false);
    expect(share.admits(tenantA, at(60_001))).toBe(true);
  });

  test('is nobody else’s: other tenants, those without one and the anonymous have their own', () => {
    const share = createTenantShare({ share: 0.01 });
    const others = [tenantB, nobody, { ...nobody, subject: 'bob' }, { ...nobody, issuer: 'https://b.test' }, undefined];
    share.spend(tenantA, 1e9, at(0));
    expect(share.admits({ ...tenantA, subject: 'bob' }, at(0))).toBe(false);
    for (const other of others) expect(share.admits(other, at(0))).toBe(true);
    share.spend(undefined, 1e9, at(0));
    expect(share.admits(undefined, at(0))).toBe(false);
    expect(share.admits(nobody, at(0))).toBe(true);
  });

  test('is not touched by cheap evaluations, and held for so many tenants at once', () => {
    const share = createTenantShare({ share: 0.01, maxTenants: 2 });
    for (let count = 0; count < 100_000; count += 1) share.spend(tenantA, 255, at(0));
    expect(share.admits(tenantA, at(0))).toBe(true);
    share.spend(tenantA, 1e9, at(0));
    for (const tenant of ['b', 'c']) share.spend({ ...tenantA, tenant }, 1e9, at(0));
    expect(share.admits({ ...tenantA, tenant: 'c' }, at(0))).toBe(false);
    expect(share.admits(tenantA, at(0))).toBe(true);
  });
});

describe('the core, with shares', () => {
  const allow = { value: { allow: true }, overBudget: false };
  const costly = (steps: number) =>
    generation(
      {},
      {
        inspect: () => inspected(),
        evaluate: (entrypoint) => (entrypoint === 'authz/limits' ? { value: [], overBudget: false, steps } : allow),
      },
    );

  test('denies whose share is used up before anything is evaluated, as over budget', async () => {
    const asked: string[] = [];
    const policyShare = createTenantShare({ share: 0.01 });
    const current = costly(1_000_001);
    const { authorize } = core({
      policyShare,
      authenticate: (request) =>
        request.method === 'GET' ? anonymous : verified(request.host === 'b' ? tenantB : tenantA),
      currentGeneration: () => ({
        ...current,
        evaluate: (entrypoint, input, instant) => {
          asked.push(entrypoint);
          return current.evaluate(entrypoint, input, instant);
        },
      }),
    });
    expect(await authorize(accessRequest())).toMatchObject({ decision: { kind: 'allow' }, overBudget: false });
    asked.length = 0;
    expect(await authorize(accessRequest())).toMatchObject({
      decision: { kind: 'deny', code: 'policy_budget', status: 503 },
      overBudget: true,
      cause: expect.stringContaining('policy.tenant_share'),
    });
    expect(asked).toEqual([]);
    expect(await authorize(accessRequest({ host: 'b' }))).toMatchObject({ decision: { kind: 'allow' } });
  });

  test('counts what a failed evaluation took', async () => {
    const fault = new RequestFault('policy_budget', 'too long');
    fault.steps = 2_000_000;
    const spent: number[] = [];
    const { authorize } = core({
      policyShare: { admits: () => true, spend: (_principal, steps) => void spent.push(steps) },
      currentGeneration: () =>
        generation(
          {},
          {
            evaluate: () => {
              throw fault;
            },
          },
        ),
    });
    expect(await authorize(accessRequest())).toMatchObject({ decision: { code: 'policy_budget' }, overBudget: true });
    expect(spent).toEqual([2_000_000]);
  });
});
