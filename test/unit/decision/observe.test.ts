import { describe, expect, test } from 'vitest';
import { Allow } from '../../../src/decision/decision.ts';
import type { AuthorizePorts } from '../../../src/decision/ports.ts';
import { accessRequest, anonymous, core, generation, inspected, verified } from '../../support/core.ts';

const denying = { 'authz/decision': { allow: false, reasons: ['role_missing'] }, 'authz/limits': [] };

function observing(parts: Partial<AuthorizePorts> = {}) {
  return core({
    observes: ({ name }) => name === 'infer',
    currentGeneration: () => generation(denying),
    ...parts,
  }).authorize(accessRequest());
}

describe('an observed route', () => {
  test('lets pass what policy denied, and the outcome says what it was', async () => {
    const { decision, observed } = await observing();
    expect(Allow.is(decision)).toBe(true);
    expect(observed).toMatchObject({ kind: 'deny', code: 'policy_denied', status: 403, reasons: ['role_missing'] });
  });

  test('sets the headers that every Allow sets, of the verified caller, and strips his credential', async () => {
    const { decision } = await observing({
      authenticate: () => ({ ...verified(), stripHeaders: ['authorization'] }) as ReturnType<typeof verified>,
    });
    if (decision.kind !== 'allow') throw new Error('denied');
    expect(decision.ownedHeaders).toContainEqual(['x-sallyport-tenant', 'tenant-a']);
    expect(decision.ownedHeaders).toContainEqual(['x-sallyport-role', 'analyst']);
    expect(decision.removeHeaders).toEqual(expect.arrayContaining(['x-sallyport-upstream', 'authorization']));
  });

  test('keeps what was taken', async () => {
    const released: string[] = [];
    const { observed } = await observing({
      quota: {
        take: () => ({
          kind: 'taken',
          take: { reservationId: 'r1', release: () => void released.push('r1') },
          state: { plan: 0, taken: true, limits: {} },
        }),
      },
      startTimer: (_, late) => {
        late();
        return () => undefined;
      },
    });
    expect(observed?.code).toBe('policy_denied');
    expect(released).toEqual([]);
  });

  test('lets pass what is beyond a limit, and says so', async () => {
    const { decision, observed } = await observing({
      currentGeneration: () => generation({ 'authz/decision': { allow: true }, 'authz/limits': [] }),
      quota: { take: () => ({ kind: 'exceeded', state: { taken: false, limits: {} }, retryMs: 10 }) },
    });
    expect(decision.kind).toBe('allow');
    expect(observed).toMatchObject({ code: 'quota_exceeded', status: 429 });
  });

  test('counts no refusal against its caller', async () => {
    const counted: unknown[] = [];
    await observing({
      authenticate: () => anonymous,
      refusals: { isRepeated: () => false, count: (offender) => void counted.push(offender) },
    });
    expect(counted).toEqual([]);
  });
});

describe.each<readonly [string, Partial<AuthorizePorts>, string]>([
  ['of another route', { observes: () => false }, 'policy_denied'],
  ['where nothing is observed', { observes: undefined as never }, 'policy_denied'],
  [
    'of a refused credential',
    { authenticate: () => ({ kind: 'refused', code: 'invalid_credential', cause: 'expired' }) },
    'invalid_credential',
  ],
  [
    'without a matched route',
    { currentGeneration: () => generation(denying, { inspect: () => inspected({ route: null }) }) },
    'policy_denied',
  ],
  [
    'before policy',
    {
      currentGeneration: () =>
        generation(denying, {
          inspect: () => ({ kind: 'refused', code: 'payload_too_large', cause: 'over', dependsOnRoute: true }),
        }),
    },
    'payload_too_large',
  ],
  [
    'by a policy that fails',
    {
      currentGeneration: () =>
        generation({
          'authz/limits': [],
          'authz/decision': () => {
            throw new Error('boom');
          },
        }),
    },
    'internal',
  ],
  [
    'by a verdict that is none',
    { currentGeneration: () => generation({ 'authz/decision': 'yes', 'authz/limits': [] }) },
    'invalid_verdict',
  ],
  [
    'by a store that is gone',
    { quota: { take: () => ({ kind: 'unavailable', state: { taken: false, limits: {} }, cause: 'down' }) } },
    'quota_unavailable',
  ],
])('a denial %s', (_, parts, code) => {
  test(`is made: \`${code}\``, async () => {
    const { decision, observed } = await observing(parts);
    expect(decision).toMatchObject({ kind: 'deny', code });
    expect(observed).toBeUndefined();
  });
});
