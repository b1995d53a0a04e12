import { describe, expect, test } from 'vitest';
import { createTally, trippedRail } from '../../../src/rollout/guard-rails.ts';
import type { Tally, Vote } from '../../../src/rollout/tally.ts';
import { voterOf } from '../../../src/rollout/voter.ts';
import { tenantA } from '../../support/core.ts';
import { GUARD_RAILS, principalOf } from './rollout-kit.ts';

const SAME: Vote = { denyChanged: false, allowChanged: false, failed: false, overBudget: false };
const DENIED: Vote = { ...SAME, denyChanged: true };
const FAILED: Vote = { ...SAME, failed: true };

function tally(config = GUARD_RAILS): { tally: Tally; vote: (tenant: number, vote: Vote, subject?: string) => void } {
  const votes = createTally(config, () => false);
  return {
    tally: votes,
    vote: (tenant, vote, subject) => votes.add(voterOf(principalOf(tenant, subject)), vote),
  };
}

function many(count: number, step: (number: number) => void): void {
  for (let number = 0; number < count; number++) step(number);
}

describe('guard rails', () => {
  test('judge nothing before enough voters were compared', () => {
    const { tally: votes, vote } = tally();
    many(9, (tenant) => vote(tenant, FAILED));
    expect(trippedRail(GUARD_RAILS, votes.count())).toBeUndefined();
    vote(9, FAILED);
    expect(trippedRail(GUARD_RAILS, votes.count())).toMatchObject({
      rail: 'error',
      voters: 10,
      affected: 10,
      percent: 100,
    });
  });

  test.each([
    ['deny_changed', DENIED],
    ['error', FAILED],
    ['error', { ...SAME, overBudget: true }],
    ['slow', { ...SAME, timing: { stableMs: 1, candidateMs: 20 } }],
  ] as const)('trip on %s of every tenant', (rail, vote) => {
    const kit = tally();
    many(20, (tenant) => kit.vote(tenant, vote));
    expect(trippedRail(GUARD_RAILS, kit.tally.count())?.rail).toBe(rail);
  });

  test('count what is newly allowed only where config bounds it', () => {
    const { tally: votes, vote } = tally();
    many(20, (tenant) => vote(tenant, { ...SAME, allowChanged: true }));
    expect(votes.count().affected.allow_changed).toEqual({ voters: 20, percent: 100 });
    expect(trippedRail(GUARD_RAILS, votes.count())).toBeUndefined();
    expect(trippedRail({ ...GUARD_RAILS, max_allow_changed_percent: 50 }, votes.count())?.rail).toBe('allow_changed');
  });

  test('give one principal one vote, however often he asks', () => {
    const { tally: votes, vote } = tally();
    many(100, (tenant) => vote(tenant, SAME));
    many(10_000, () => vote(7, FAILED));
    expect(votes.count()).toMatchObject({ voters: 100, affected: { error: { voters: 1, percent: 1 } } });
    expect(trippedRail(GUARD_RAILS, votes.count())).toBeUndefined();
  });

  test('give one tenant one vote, however many principals it has', () => {
    const { tally: votes, vote } = tally();
    many(10_000, (number) => vote(7, FAILED, `subject-${number}`));
    many(30, (tenant) => vote(tenant + 100, SAME));
    expect(votes.count()).toMatchObject({ voters: 31, affected: { error: { voters: 1 } } });
    expect(trippedRail(GUARD_RAILS, votes.count())).toBeUndefined();
  });

  test('do not let the principals of one tenant hide what happens to the others', () => {
    const { tally: votes, vote } = tally();
    many(10_000, (number) => vote(7, SAME, `subject-${number}`));
    many(20, (tenant) => vote(tenant + 100, DENIED));
    expect(trippedRail(GUARD_RAILS, votes.count())).toMatchObject({ rail: 'deny_changed', affected: 20 });
  });

  test('split the vote of a tenant among those of it who were compared', () => {
    const { tally: votes, vote } = tally();
    many(20, (tenant) => many(10, (number) => vote(tenant, number === 0 ? DENIED : SAME, `subject-${number}`)));
    expect(votes.count().affected.deny_changed.percent).toBeCloseTo(10);
  });

  test('count all without a tenant of an issuer as one beside tenants, and each of them where nobody has one', () => {
    const { tenant: _, ...nobodys } = tenantA;
    const { tally: votes, vote } = tally();
    many(1_000, (number) => votes.add(voterOf({ ...nobodys, subject: `s-${number}` }), FAILED));
    expect(votes.count()).toMatchObject({ voters: 1_000, affected: { error: { voters: 1_000, percent: 100 } } });
    many(40, (tenant) => vote(tenant, SAME));
    expect(votes.count()).toMatchObject({ voters: 41, affected: { error: { voters: 1 } } });
  });

  test('never count those without a tenant each where the service has tenants', () => {
    const { tenant: _, ...nobodys } = tenantA;
    const votes = createTally(GUARD_RAILS, () => true);
    many(1_000, (number) => votes.add(voterOf({ ...nobodys, subject: `s-${number}` }), FAILED));
    expect(votes.count().voters).toBe(1);
    expect(trippedRail(GUARD_RAILS, votes.count())).toBeUndefined();
  });

  test('count principals where config says so', () => {
    const config = { ...GUARD_RAILS, one_vote_per: 'principal' as const };
    const { tally: votes, vote } = tally(config);
    many(40, (number) => vote(7, number < 20 ? FAILED : SAME, `subject-${number}`));
    expect(trippedRail(config, votes.count())).toMatchObject({ rail: 'error', voters: 40, affected: 20, percent: 50 });
  });

  test('take one late evaluation of many for a pause of the process', () => {
    const { tally: votes, vote } = tally();
    many(20, (tenant) => {
      many(3, () => vote(tenant, SAME));
      vote(tenant, { ...SAME, overBudget: true });
    });
    expect(votes.count().affected.error.voters).toBe(0);
  });

  test('keep within their bounds whatever comes', () => {
    const { tally: votes, vote } = tally();
    many(5_000, (tenant) => vote(tenant, SAME));
    expect(votes.count().voters).toBe(1_024);
  });
});
