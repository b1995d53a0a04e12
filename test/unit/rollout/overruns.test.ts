import { describe, expect, test } from 'vitest';
import type { Evaluate } from '../../../src/decision/ports.ts';
import { createAdmission } from '../../../src/rollout/admission.ts';
import { voterOf } from '../../../src/rollout/voter.ts';
import { tenantA } from '../../support/core.ts';
import { CANDIDATE, GUARD_RAILS, type KitOptions, openKit, principalOf, ROLLOUT } from './rollout-kit.ts';

const SLOW_MS = 1_500;
const WINDOW_MS = GUARD_RAILS.window_seconds * 1_000;

/** Of both bundles, each evaluation that the test calls slow takes a second and a half of this thread. */
async function started({ config = ROLLOUT, ...options }: KitOptions = {}) {
  let cpuMs = 0;
  const slow = { candidate: false, stable: false };
  const begun: string[] = [];
  const kit = openKit({ config: { ...config, max_cpu_percent: 5 }, cpuMs: () => cpuMs, ...options });
  const slowed =
    (side: 'candidate' | 'stable', evaluate: Evaluate): Evaluate =>
    (...given) => {
      begun.push(side);
      if (slow[side]) {
        cpuMs += SLOW_MS;
        kit.clock.advance(SLOW_MS);
      }
      return evaluate(...given);
    };
  const inForce = kit.generations.current();
  if (inForce === undefined) throw new Error('nothing is in force');
  const { number: _, ...parts } = inForce;
  kit.generations.put({ ...parts, evaluate: slowed('stable', parts.evaluate) }, () => undefined);
  await kit.rollout.start();
  const candidate = { ...parts, revisions: new Map([['authz', 'r2']]), evaluate: slowed('candidate', parts.evaluate) };
  kit.rollout.stage(
    CANDIDATE,
    kit.generations.stage(candidate, () => undefined),
  );
  /** One request, decided quickly; `side` is slow only when it is compared. */
  const ask = async (tenant: number | undefined, ...sides: readonly ('candidate' | 'stable')[]) => {
    await kit.ask(tenant === undefined ? undefined : principalOf(tenant));
    for (const side of sides) slow[side] = true;
    begun.length = 0;
    await kit.settle();
    slow.candidate = false;
    slow.stable = false;
    return [...begun];
  };
  return { ...kit, ask };
}

const shadow: KitOptions = { config: { ...ROLLOUT, steps: [] } };
const firstCompared: KitOptions = {
  config: { ...ROLLOUT, guard_rails: { ...GUARD_RAILS, compare_first_seconds: 60 } },
};

describe('an evaluation of the candidate that holds up the service', () => {
  test('is the only one of its request, and a failure of that one voter', async () => {
    const kit = await started(shadow);
    for (let count = 0; count < 2; count++) {
      const evaluated = await kit.ask(count, 'candidate');
      expect(evaluated.filter((side) => side === 'candidate')).toHaveLength(1);
      kit.clock.advance(10 * WINDOW_MS);
    }
    expect(kit.rollout.status()).toMatchObject({
      state: 'shadow',
      overruns: { candidate: 2, stable: 0, longest_ms: SLOW_MS },
      votes: { step: { voters: 2, affected: { error: { voters: 2, percent: 100 } } } },
    });
    const said = kit.lines.filter(({ message }) => message.startsWith('an evaluation held up the service'));
    expect(said).toHaveLength(2);
    expect(said[0]?.fields).toEqual({ side: 'candidate', ms: SLOW_MS, decision_id: 'decision-1' });
  });

  test('has nothing compared until it is paid for, and then less than before', async () => {
    const kit = await started(shadow);
    await kit.ask(1, 'candidate');
    expect(kit.rollout.status().overruns).toMatchObject({ max_cpu_percent: 2.5, barred_voters: 1 });
    const compared = () => kit.rollout.status().findings?.compared;
    // At 2.5 % of a processor a second and a half is a minute's worth.
    kit.clock.advance(50_000);
    await kit.ask(2);
    expect(compared()).toBe(1);
    kit.clock.advance(4_000);
    await kit.ask(3);
    kit.clock.advance(6_000);
    await kit.settle();
    expect(compared()).toBe(2);
  });

  test('does not let one tenant take the candidate back, nor make it slow again soon', async () => {
    const kit = await started(shadow);
    for (let tenant = 0; tenant < 20; tenant++) await kit.ask(tenant);
    let stalls = 0;
    for (let minute = 0; minute < 60; minute++) {
      const evaluated = await kit.ask(99, 'candidate');
      if (evaluated.includes('candidate')) stalls += 1;
      kit.clock.advance(WINDOW_MS);
    }
    expect(stalls).toBeGreaterThan(1);
    expect(stalls).toBeLessThanOrEqual(6);
    expect(kit.rollout.status()).toMatchObject({ state: 'shadow', trips: 0 });
  });

  test('takes the candidate back where it is that of enough tenants', async () => {
    const kit = await started({ config: { ...ROLLOUT, steps: [{ percent: 1, minutes: 600 }] } });
    for (let tenant = 0; tenant < 20; tenant++) await kit.ask(tenant);
    for (let tenant = 20; tenant < 30 && kit.rollout.status().state !== 'idle'; tenant++) {
      await kit.ask(tenant, 'candidate');
      kit.clock.advance(5 * WINDOW_MS);
    }
    expect(kit.rollout.status().last).toMatchObject({ state: 'rolled_back' });
    expect(kit.rollout.status().last?.reason).toContain('guard rail `error`');
  });

  test('does not have it decide uncompared, only later', async () => {
    const kit = await started(firstCompared);
    await kit.ask(1, 'candidate');
    kit.clock.advance(WINDOW_MS);
    expect(kit.rollout.status()).toMatchObject({ state: 'shadow', percent: 0 });
    kit.clock.advance(2 * WINDOW_MS);
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: 10 });
    expect(kit.rollout.status().overruns).toMatchObject({ max_cpu_percent: 5 });
  });

  test('of the anonymous bars them together, and no voter', async () => {
    const kit = await started(shadow);
    await kit.ask(undefined, 'candidate');
    kit.clock.advance(WINDOW_MS);
    expect(await kit.ask(undefined)).toEqual([]);
    expect(await kit.ask(1)).not.toEqual([]);
    kit.clock.advance(2 * WINDOW_MS);
    expect(await kit.ask(undefined)).not.toEqual([]);
  });
});

test('an evaluation of what is in force that holds up the service is nobody’s vote, and bars all the same', async () => {
  const kit = await started(shadow);
  await kit.ask(1, 'stable', 'candidate');
  expect(kit.rollout.status()).toMatchObject({
    overruns: { stable: 1, barred_voters: 1 },
    votes: { step: { voters: 0 } },
  });
  expect(kit.counts.get('dropped overrun')).toBe(1);
});

test('a pause of the process, in which this thread had no processor, is nobody’s fault', async () => {
  const kit = openKit({ ...shadow, cpuMs: () => 0 });
  await kit.rollout.start();
  const staged = kit.generations.stage(
    {
      ...(kit.generations.current() ?? expect.unreachable()),
      revisions: new Map([['authz', 'r2']]),
      evaluate: (entrypoint) => {
        kit.clock.advance(SLOW_MS);
        return { value: entrypoint === 'authz/decision' ? { allow: true } : [], overBudget: false };
      },
    },
    () => undefined,
  );
  kit.rollout.stage(CANDIDATE, staged);
  await kit.ask(principalOf(1));
  await kit.settle();
  expect(kit.rollout.status()).toMatchObject({ votes: { step: { voters: 1, affected: { error: { voters: 0 } } } } });
  expect(kit.rollout.status().overruns).toBeUndefined();
});

describe('who is barred', () => {
  const { tenant: _, ...nobodys } = tenantA;

  test.each([
    ['a tenant', 'tenant', principalOf(1, 'bob'), true],
    ['not another tenant', 'tenant', principalOf(2), false],
    ['not others of the tenant, where principals vote', 'principal', principalOf(1, 'bob'), false],
  ] as const)('is %s', (_name, oneVotePer, other, expected) => {
    const admission = createAdmission({ oneVotePer });
    admission.bar(voterOf(principalOf(1)));
    expect(admission.admits(voterOf(principalOf(1)))).toBe(false);
    expect(admission.isBarred(voterOf(other))).toBe(expected);
  });

  test('is, of those without a tenant, the principal alone', () => {
    const admission = createAdmission({ oneVotePer: 'tenant' });
    admission.bar(voterOf({ ...nobodys, subject: 'eve' }));
    expect(admission.admits(voterOf({ ...nobodys, subject: 'eve' }))).toBe(false);
    expect(admission.admits(voterOf({ ...nobodys, subject: 'alice' }))).toBe(true);
  });

  test('is so for twice as long each time, and within a bound', () => {
    const admission = createAdmission({ oneVotePer: 'tenant' });
    const voter = voterOf(principalOf(1));
    const windows: number[] = [];
    for (let times = 0; times < 8; times++) {
      admission.bar(voter);
      let window = 0;
      for (; admission.isBarred(voter); window++) admission.reset();
      windows.push(window);
    }
    expect(windows).toEqual([2, 4, 8, 16, 32, 64, 64, 64]);
    for (let tenant = 0; tenant < 3_000; tenant++) admission.bar(voterOf(principalOf(tenant)));
    expect(admission.barred()).toBe(1_024);
  });
});
