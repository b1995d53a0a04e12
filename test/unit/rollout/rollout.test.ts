import { describe, expect, test } from 'vitest';
import type { RolloutOrder } from '../../../src/rollout/candidate.ts';
import {
  askTenants,
  CANDIDATE,
  DIGEST,
  GUARD_RAILS,
  type KitOptions,
  openKit,
  principalOf,
  ROLLOUT,
} from './rollout-kit.ts';

const MINUTE = 60_000;
const ALLOW = { allow: true };
const DENY = { allow: false };
const BY = { by: 'token 0123456789ab' };

async function started(options: KitOptions = {}) {
  const kit = openKit(options);
  await kit.rollout.start();
  return kit;
}

async function decidedBy(kit: Awaited<ReturnType<typeof started>>, tenant: number): Promise<string | undefined> {
  const { generation } = await kit.ask(principalOf(tenant));
  return generation?.revisions.get('authz');
}

async function tenantsOfCandidate(
  kit: Awaited<ReturnType<typeof started>>,
  tenants: number,
): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (let tenant = 0; tenant < tenants; tenant++) if ((await decidedBy(kit, tenant)) === 'r2') found.add(tenant);
  return found;
}

function order(parts: Partial<RolloutOrder> = {}): RolloutOrder {
  return {
    version: 1,
    expiresEpochS: Date.UTC(2026, 10, 3) / 1_000,
    candidate: { sha256: DIGEST, version: 2, revision: 'r2' },
    mode: 'canary',
    percent: 10,
    labels: {},
    paused: false,
    aborted: false,
    ...parts,
  };
}

describe('steps of local config', () => {
  test('bring a good candidate into force, each after its time and with enough compared', async () => {
    const kit = await started();
    const promoted: string[] = [];
    kit.rollout.onPromoted(({ revision }) => promoted.push(revision));
    kit.stage(ALLOW);
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: 10, step: { number: 1, of: 2 } });
    const tenth = await tenantsOfCandidate(kit, 200);
    expect(tenth.size).toBeGreaterThan(5);
    expect(tenth.size).toBeLessThan(40);
    await askTenants(kit, 20);
    kit.clock.advance(5 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({ percent: 50, step: { number: 2 } });
    const half = await tenantsOfCandidate(kit, 200);
    for (const tenant of tenth) expect(half).toContain(tenant);
    await askTenants(kit, 20);
    kit.clock.advance(10 * MINUTE);
    expect(promoted).toEqual(['r2']);
    expect(kit.rollout.status()).toMatchObject({ state: 'idle', last: { state: 'promoted', revision: 'r2' } });
    expect((await kit.ask(undefined)).generation?.revisions.get('authz')).toBe('r2');
  });

  test('wait for voters, however long that takes; the anonymous are none, and stay where they were', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    for (let count = 0; count < 500; count++) {
      expect((await kit.ask(undefined)).generation?.revisions.get('authz')).toBe('r1');
    }
    await askTenants(kit, 9);
    kit.clock.advance(24 * 60 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({
      state: 'canary',
      percent: 10,
      step: { voters: 9, voters_needed: 10 },
    });
    await askTenants(kit, 1, 9);
    kit.clock.advance(1_000);
    expect(kit.rollout.status().percent).toBe(50);
  });

  test('without any, a candidate is compared and never decides', async () => {
    const kit = await started({ config: { ...ROLLOUT, steps: [] } });
    kit.stage(DENY);
    await askTenants(kit, 30);
    kit.clock.advance(60 * MINUTE);
    expect((await tenantsOfCandidate(kit, 100)).size).toBe(0);
    const { state, findings } = kit.rollout.status();
    expect(state).toBe('shadow');
    expect(findings).toMatchObject({ results: { allow_to_deny: 30 }, parts: { decision: 30, code: 30, status: 30 } });
    expect(findings?.examples).toHaveLength(5);
    expect(findings?.examples[0]).toEqual({
      result: 'allow_to_deny',
      decision_id: 'decision-1',
      route: 'infer',
      tenant: 'tenant-0',
      stable: { decision: 'allow', reasons: [] },
      candidate: { decision: 'deny', code: 'policy_denied', status: 403, reasons: [] },
      parts: ['decision', 'code', 'status'],
    });
  });

  test('stand still at 0 % where a rail trips before anybody was decided for', async () => {
    const kit = await started({ config: { ...ROLLOUT, steps: [{ percent: 0, minutes: 1 }, ...ROLLOUT.steps] } });
    kit.stage(DENY);
    await askTenants(kit, 20);
    expect(kit.rollout.status()).toMatchObject({ state: 'paused', percent: 0, trips: 1 });
    expect(kit.rollout.status().reason).toContain('`deny_changed`');
    kit.clock.advance(60 * MINUTE);
    expect(kit.rollout.status().percent).toBe(0);
  });
});

describe('a candidate that trips a rail', () => {
  test('is taken back at once, and not tried again', async () => {
    const kit = await started();
    const back: string[] = [];
    kit.rollout.onTakenBack((_candidate, reason) => back.push(reason));
    kit.stage(DENY);
    await askTenants(kit, 20);
    expect(kit.rollout.status()).toMatchObject({
      state: 'idle',
      last: { state: 'rolled_back', revision: 'r2', trips: 1 },
      refused: [{ sha256: DIGEST }],
    });
    expect(back[0]).toBe(
      'guard rail `deny_changed`: the candidate denies what was allowed for 20 of 20 voters (100.0 %, at most 5 %)',
    );
    expect((await tenantsOfCandidate(kit, 100)).size).toBe(0);
    expect(kit.rollout.refusesCandidate(DIGEST)).toBe(true);
    expect(kit.rollout.candidateStatus('authz')).toMatchObject({ state: 'rolled_back', step_percent: 0, trips: 1 });
    kit.stage(DENY);
    expect(kit.rollout.status().state).toBe('idle');
    expect(kit.counts.get('rolled_back deny_changed')).toBe(1);
    expect(kit.lines.filter(({ message }) => message.startsWith('a bundle was taken back'))).toHaveLength(1);
  });

  test.each([
    ['security', { security: true }, 'it mends a hole'],
    ['what is in force is too old', { minRollbackVersion: 2 }, '`min_rollback_version`'],
    ['nobody knows how old what is in force is', { stableVersion: undefined }, '`min_rollback_version`'],
  ])('pauses instead: %s', async (_name, candidate, why) => {
    const kit = await started();
    const { stableVersion: _, ...unsigned } = CANDIDATE;
    const staged = kit.generations.stage(
      { ...(await kit.ask(undefined)).generation, ...candidateParts(DENY) } as never,
      () => undefined,
    );
    const { stableVersion, ...rest } = { stableVersion: CANDIDATE.stableVersion, ...candidate };
    kit.rollout.stage({ ...unsigned, ...rest, ...(stableVersion === undefined ? {} : { stableVersion }) }, staged);
    await askTenants(kit, 20);
    const { state, percent, reason } = kit.rollout.status();
    expect({ state, percent }).toEqual({ state: 'paused', percent: 10 });
    expect(reason).toContain(why);
    expect(kit.rollout.refusesCandidate(DIGEST)).toBe(false);
    expect(kit.lines.some(({ level, message }) => level === 'error' && message.includes('stands still'))).toBe(true);
    // By hand it may be taken back all the same.
    expect(kit.rollout.abort(BY)).toMatchObject({ status: 200 });
    expect(kit.rollout.status()).toMatchObject({ state: 'idle', last: { state: 'aborted' } });
  });

  test('says so at once to whoever reports, also where it is not taken back', async () => {
    const kit = await started();
    const told: string[] = [];
    kit.rollout.onChanged(() => {
      const { state, trips } = kit.rollout.candidateStatus('authz') ?? {};
      told.push(`${state} ${trips}`);
    });
    kit.stage(DENY, { security: true });
    await askTenants(kit, 20);
    expect([...new Set(told)]).toEqual(['canary 0', 'canary 1', 'paused 1']);
    kit.rollout.abort(BY);
    expect(told.at(-1)).toBe('aborted 1');
  });

  test('that a person let in again only pauses', async () => {
    const kit = await started();
    kit.stage(DENY);
    await askTenants(kit, 20);
    expect(kit.rollout.resume(BY, 'e'.repeat(64))).toMatchObject({ status: 409, reason: 'not_refused' });
    expect(kit.rollout.resume(BY, DIGEST)).toMatchObject({ status: 200 });
    kit.clock.advance(MINUTE);
    kit.stage(DENY);
    await askTenants(kit, 20);
    expect(kit.rollout.status()).toMatchObject({ state: 'paused', percent: 10 });
  });
});

function candidateParts(decision: unknown) {
  return {
    revisions: new Map([['authz', 'r2']]),
    evaluate: (entrypoint: string) => ({
      value: entrypoint === 'authz/decision' ? decision : [],
      overBudget: false,
    }),
  };
}

describe('before it first decides', () => {
  const config = { ...ROLLOUT, guard_rails: { ...GUARD_RAILS, compare_first_seconds: 60 } };

  test('a candidate is compared with enough voters', async () => {
    const kit = await started({ config });
    kit.stage(ALLOW);
    await askTenants(kit, 9);
    expect(kit.rollout.status()).toMatchObject({ state: 'shadow', percent: 0 });
    await askTenants(kit, 1, 9);
    kit.clock.advance(500);
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: 10 });
  });

  test('a candidate waits no longer than config says where there are few', async () => {
    const kit = await started({ config });
    kit.stage(ALLOW);
    kit.clock.advance(59_000);
    expect(kit.rollout.status().percent).toBe(0);
    kit.clock.advance(1_500);
    expect(kit.rollout.status().percent).toBe(10);
  });

  test.each([
    ['by steps', undefined],
    ['by an order to begin a canary', order()],
    ['by an order to promote', order({ mode: 'promote' })],
  ])('a bad candidate is taken back and nobody was decided for by it, %s', async (_name, given) => {
    const kit = await started({ config });
    kit.stage(DENY);
    if (given !== undefined) kit.rollout.setOrder(given);
    for (let tenant = 0; tenant < 200; tenant++) {
      expect((await kit.ask(principalOf(tenant))).generation?.revisions.get('authz')).toBe('r1');
      if (tenant % 50 === 49) await kit.settle();
    }
    kit.clock.advance(500);
    expect(kit.rollout.status()).toMatchObject({ state: 'idle', last: { state: 'rolled_back', percent: 0 } });
  });
});

describe('signed orders', () => {
  const ordered = (parts: KitOptions = {}) => started({ followsOrders: true, ...parts });

  test('say what happens, and without one nothing does', async () => {
    const kit = await ordered();
    kit.stage(ALLOW);
    kit.clock.advance(60 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({ state: 'waiting', percent: 0 });
    kit.rollout.setOrder(order({ mode: 'shadow' }));
    expect(kit.rollout.status()).toMatchObject({ state: 'shadow', percent: 0, order: { applies: true } });
    kit.rollout.setOrder(order({ version: 2, percent: 30 }));
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: 30 });
    kit.rollout.setOrder(order({ version: 3, percent: 60, paused: true }));
    expect(kit.rollout.status()).toMatchObject({ state: 'paused', percent: 30 });
    kit.rollout.setOrder(order({ version: 4, aborted: true }));
    expect(kit.rollout.status()).toMatchObject({ state: 'aborted', percent: 0 });
    kit.rollout.setOrder(order({ version: 5, mode: 'promote' }));
    expect(kit.rollout.status()).toMatchObject({ state: 'idle', last: { state: 'promoted' } });
  });

  test('end, also where the clock is set back afterwards', async () => {
    const kit = await ordered();
    kit.stage(ALLOW);
    const expiresEpochS = kit.clock.now().epochMs / 1_000 + 60;
    kit.rollout.setOrder(order({ expiresEpochS }));
    expect(kit.rollout.status().percent).toBe(10);
    kit.clock.advance(MINUTE + 1_000);
    expect(kit.rollout.status()).toMatchObject({ state: 'waiting', percent: 0 });
    kit.clock.setEpoch(Date.UTC(2026, 0, 1));
    kit.clock.advance(1_000);
    expect(kit.rollout.status()).toMatchObject({ state: 'waiting', percent: 0 });
  });

  test('are for agents with all of their labels, and for their candidate', async () => {
    const kit = await ordered({ labels: { wave: '1', region: 'eu' } });
    kit.stage(ALLOW);
    kit.rollout.setOrder(order({ labels: { wave: '2' } }));
    expect(kit.rollout.status()).toMatchObject({ state: 'waiting', percent: 0, order: { applies: false } });
    kit.rollout.setOrder(order({ version: 2, labels: { wave: '1', region: 'eu' } }));
    expect(kit.rollout.status().percent).toBe(10);
    kit.rollout.setOrder(order({ version: 3, candidate: { sha256: 'e'.repeat(64), version: 3, revision: 'r3' } }));
    expect(kit.rollout.status()).toMatchObject({ state: 'waiting', percent: 0 });
  });

  test('that count trips take it back where enough instances say so, and only then', async () => {
    const kit = await ordered();
    kit.stage(ALLOW);
    kit.rollout.setOrder(order(), ['a', 'b', 'c', 'd']);
    expect(kit.rollout.status().percent).toBe(10);
    kit.rollout.setOrder(order({ version: 2, abortOnTrips: 2 }), ['a', 'a', 'a']);
    expect(kit.rollout.status().percent).toBe(10);
    kit.rollout.setOrder(order({ version: 2, abortOnTrips: 2 }), ['a', 'b']);
    expect(kit.rollout.status()).toMatchObject({ state: 'idle', last: { state: 'rolled_back' } });
    expect(kit.rollout.refusesCandidate(DIGEST)).toBe(true);
  });

  test('that expire do not take back what may not be taken back', async () => {
    const kit = await ordered();
    kit.stage(ALLOW, { security: true });
    kit.rollout.setOrder(order({ expiresEpochS: kit.clock.now().epochMs / 1_000 + 60 }));
    kit.clock.advance(2 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({ state: 'paused', percent: 10 });
  });

  test('to promote are not followed where a rail tripped here', async () => {
    const kit = await ordered();
    kit.stage(DENY);
    kit.rollout.setOrder(order({ mode: 'shadow' }));
    await askTenants(kit, 20);
    expect(kit.rollout.status()).toMatchObject({ state: 'shadow', trips: 1 });
    const { rollout } = kit;
    rollout.setOrder(order({ mode: 'promote' }));
    expect(rollout.status()).toMatchObject({ state: 'paused', percent: 0 });
    rollout.resume(BY);
    expect(rollout.status()).toMatchObject({ last: { state: 'promoted' } });
  });
});

describe('changes by hand', () => {
  test('pin to what is in force, and let go again', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    expect(kit.rollout.pin('stable', BY)).toMatchObject({ status: 200, body: { state: 'pinned', percent: 0 } });
    await askTenants(kit, 20);
    kit.clock.advance(60 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({ state: 'pinned', pin: 'stable', percent: 0 });
    expect(kit.rollout.unpin(BY)).toMatchObject({ body: { state: 'canary', percent: 10 } });
    expect(kit.rollout.unpin(BY)).toMatchObject({ status: 409, reason: 'not_pinned' });
  });

  test('pin to the candidate, which no rail takes back then', async () => {
    const kit = await started();
    kit.stage(DENY);
    kit.rollout.pin('candidate', BY);
    await askTenants(kit, 30);
    expect(kit.rollout.status()).toMatchObject({ state: 'pinned', percent: 100, trips: 0 });
    expect((await tenantsOfCandidate(kit, 50)).size).toBe(50);
  });

  test('pause where it is, and resume', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    expect(kit.rollout.pause({ ...BY, reason: 'the weekend' })).toMatchObject({
      body: { state: 'paused', percent: 10 },
    });
    expect(kit.rollout.status().reason).toBe('paused by hand (token 0123456789ab): the weekend');
    expect(kit.rollout.pause(BY)).toMatchObject({ status: 409, reason: 'already_paused' });
    await askTenants(kit, 20);
    kit.clock.advance(60 * MINUTE);
    expect(kit.rollout.status().percent).toBe(10);
    expect(kit.rollout.resume(BY)).toMatchObject({ body: { state: 'canary' } });
    expect(kit.rollout.resume(BY)).toMatchObject({ status: 409, reason: 'not_paused' });
  });

  test('abort for good, and say who did', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    kit.rollout.abort(BY);
    expect(kit.rollout.status()).toMatchObject({
      state: 'idle',
      last: { state: 'aborted' },
      refused: [{ sha256: DIGEST }],
    });
    const changed = kit.lines.filter(({ message }) => message === 'the rollout was changed by hand');
    expect(changed.map(({ fields }) => [fields['action'], fields['by']])).toEqual([['abort', BY.by]]);
  });

  test('are refused where there is nothing to change', async () => {
    const { rollout } = await started();
    for (const answer of [rollout.pause(BY), rollout.resume(BY), rollout.abort(BY), rollout.pin('candidate', BY)]) {
      expect(answer).toMatchObject({ status: 409, reason: 'nothing_under_trial' });
    }
  });
});

describe('comparing', () => {
  test('drops and counts what does not fit, and answers as before', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    for (let tenant = 0; tenant < 1_000; tenant++) await kit.ask(principalOf(tenant));
    expect(kit.counts.get('dropped queue_full')).toBeGreaterThan(0);
  });

  test('compares each principal a few times in a window, and then anew', async () => {
    const kit = await started();
    kit.stage(ALLOW);
    const ask = async () => {
      for (let count = 0; count < 50; count++) await kit.ask(principalOf(1));
      await kit.settle();
      return kit.rollout.status().findings?.compared;
    };
    expect(await ask()).toBe(4);
    expect(await ask()).toBe(4);
    kit.clock.advance(GUARD_RAILS.window_seconds * 1_000 + 1_000);
    expect(await ask()).toBe(8);
  });

  test('has no vote for the anonymous, whose differences are told', async () => {
    const kit = await started();
    kit.stage(DENY);
    for (let count = 0; count < 500; count++) await kit.ask(undefined);
    await kit.settle();
    kit.clock.advance(1_000);
    const { findings, votes, trips } = kit.rollout.status();
    expect({ anonymous: findings?.anonymous.allow_to_deny, voters: votes?.window.voters, trips }).toEqual({
      anonymous: 32,
      voters: 0,
      trips: 0,
    });
  });
});
