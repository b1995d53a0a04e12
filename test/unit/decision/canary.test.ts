import { describe, expect, test } from 'vitest';
import type { Generation } from '../../../src/decision/ports.ts';
import type { Authentication } from '../../../src/decision/principal.ts';
import { accessRequest, anonymous, core, generation, tenantA, verified } from '../../support/core.ts';

const candidate = generation(
  { 'authz/decision': { allow: false }, 'authz/limits': [] },
  { number: 2, revisions: new Map([['authz', 'r2']]) },
);
const stable = generation(
  { 'authz/decision': { allow: true }, 'authz/limits': [] },
  { canary: { generation: candidate, includes: ({ tenant }) => tenant === 'tenant-a' } },
);

async function decide(authentication: Authentication, current: () => Generation = () => stable) {
  return core({ currentGeneration: current, authenticate: () => authentication }).authorize(accessRequest());
}

describe('a generation under trial', () => {
  test('decides for those whom it includes, and the outcome names it', async () => {
    const { decision, generation: decidedBy } = await decide(verified());
    expect(decision.kind).toBe('deny');
    expect(decidedBy?.revisions.get('authz')).toBe('r2');
  });

  test.each<readonly [string, Authentication]>([
    ['another tenant', verified({ ...tenantA, tenant: 'tenant-b' })],
    ['the anonymous', anonymous],
  ])('does not decide for %s', async (_, authentication) => {
    const { decision, generation: decidedBy } = await decide(authentication);
    expect(decision.kind).toBe('allow');
    expect(decidedBy?.revisions.get('authz')).toBe('r1');
  });

  test('is the one that was there when the request began, whatever is swapped in while it waits', async () => {
    let now = stable;
    const { decision, generation: decidedBy } = await core({
      currentGeneration: () => now,
      authenticate: async () => {
        now = generation({ 'authz/decision': { allow: true }, 'authz/limits': [] }, { number: 3 });
        return verified();
      },
    }).authorize(accessRequest());
    expect(decision.kind).toBe('deny');
    expect(decidedBy?.number).toBe(2);
  });

  test('that cannot say whom it includes denies', async () => {
    const includes = () => {
      throw new Error('boom');
    };
    const broken = { ...stable, canary: { generation: candidate, includes } };
    expect((await decide(verified(), () => broken)).decision).toMatchObject({ kind: 'deny', code: 'internal' });
  });
});
