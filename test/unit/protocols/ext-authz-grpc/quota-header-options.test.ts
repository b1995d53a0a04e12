import { describe, expect, test } from 'vitest';
import { parseChargeTerms } from '../../../../src/decision/charge-terms.ts';
import { type ChargePlan, type LimitState, NEVER } from '../../../../src/decision/charges.ts';
import { parseVerdict, type VerdictContext } from '../../../../src/decision/decision.ts';
import { toQuotaNotice } from '../../../../src/decision/quota-headers.ts';
import { toCheckResponse } from '../../../../src/protocols/ext-authz-grpc/from-decision.ts';
import { writeHeaders, written } from '../../../../src/protocols/ext-authz-grpc/header-options.ts';
import { writeQuotaHeaders } from '../../../../src/protocols/ext-authz-grpc/quota-header-options.ts';
import { decodeCheckResponse } from '../../../support/ext-authz-proto.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../../support/seed.ts';

const FIELD = 6;
const KINDS = [
  { unit: 'requests', kind: 'rate', per_seconds: 1, scope: 'tenant' },
  { unit: 'requests', kind: 'rate', per_seconds: 60, burst: 7, scope: 'tenant' },
  { unit: 'tokens', kind: 'window', calendar: 'month', zone: 'UTC', scope: 'tenant' },
  { unit: 'bytes', kind: 'window', per_seconds: 10, scope: 'tenant' },
  { unit: 'requests', kind: 'concurrency', reserve: { ttl_seconds: 30 }, scope: 'tenant' },
  { unit: 'requests', kind: 'rate', per_seconds: 1, scope: 'shared' },
  { unit: 'requests', kind: 'rate', per_seconds: 1, mode: 'shadow', scope: 'tenant' },
] as const;

const NUMBERS = [0, 1, 9, 10, 99, 999, 1000, 1001, 59_999, 60_000, 3_600_000, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 9];
const LARGE = [999_999_999_999_999, 1_000_000_000_000_000, NEVER - 1, NEVER, 9_007_199_254_740_989];

function number(random: Random): number {
  if (random.chance(0.5)) return random.pick(NUMBERS);
  return random.chance(0.3) ? random.pick(LARGE) : random.below(2 ** random.below(53));
}

function planOf(random: Random, nth: number): ChargePlan {
  return Array.from({ length: random.below(4) }, (_, at) => {
    const terms = parseChargeTerms({
      ...random.pick(KINDS),
      name: `limit-${nth}-${at}`,
      key: ['tenant'],
      limit: 10,
      cost: 1,
    });
    return { terms, key: ['tenant-a'] };
  });
}

function stateOf(random: Random, plan: ChargePlan): { readonly [name: string]: LimitState } {
  const limits = plan.map(({ terms }) => {
    const { name, kind, unit, mode } = terms;
    const [limit, remaining, wait, reset] = [1 + number(random), number(random), number(random), number(random)];
    const exceeded = random.chance(0.3);
    const state = { kind, unit, limit, remaining, held: 0, wait_ms: wait, reset_ms: reset, exceeded };
    return [name, { ...state, shadow: mode === 'shadow', verified: true }] as const;
  });
  return Object.fromEntries(limits);
}

/** With some numbers that differ by little. */
function nearly(
  random: Random,
  limits: { readonly [name: string]: LimitState },
): { readonly [name: string]: LimitState } {
  const near = (value: number): number => (random.chance(0.5) ? value : Math.max(0, value + random.below(3) - 1));
  return Object.fromEntries(
    Object.entries(limits).map(([name, state]) => [
      name,
      {
        ...state,
        limit: Math.max(1, near(state.limit)),
        remaining: near(state.remaining),
        reset_ms: near(state.reset_ms),
      },
    ]),
  );
}

describe('headers of a quota', () => {
  test('are written to the byte as those that the notice lists', () => {
    const random = createRandom(seedOf('quota headers'));
    const count = caseCount(3_000);
    let told = 0;
    for (let nth = 0; nth < count; nth += 1) {
      const plan = planOf(random, nth);
      // One after the other under the same terms, some of them with numbers that are as long as those before.
      let state = stateOf(random, plan);
      for (let time = 0; time < 6; time += 1) {
        const notice = toQuotaNotice([plan], { plan: 0, taken: true, limits: state }, undefined);
        if (notice.told === undefined) {
          expect(notice.headers).toEqual([]);
          break;
        }
        told += 1;
        const { told: quota, headers } = notice;
        const listed = written((writer) => writeHeaders(writer, FIELD, headers));
        for (let again = 0; again < 2; again += 1) {
          expect(written((writer) => writeQuotaHeaders(writer, FIELD, quota))).toEqual(listed);
        }
        state = random.chance(0.3) ? stateOf(random, plan) : nearly(random, state);
      }
    }
    expect(told).toBeGreaterThan(count / 3);
  });

  test.each([
    ['no whole number', 1.5],
    ['below zero', -3],
    ['no number', Number.NaN],
  ])('are so too where a store says %s', (_, remaining) => {
    const plan = planOf(createRandom(1), -1).length > 0 ? planOf(createRandom(1), -1) : planOf(createRandom(3), -1);
    const limits = Object.fromEntries(
      Object.entries(stateOf(createRandom(5), plan)).map(([name, state]) => [
        name,
        { ...state, remaining, reset_ms: remaining },
      ]),
    );
    const { told, headers } = toQuotaNotice([plan], { plan: 0, taken: true, limits }, undefined);
    if (told === undefined) throw new Error('the plan has no limit that is told');
    expect(written((writer) => writeQuotaHeaders(writer, FIELD, told))).toEqual(
      written((writer) => writeHeaders(writer, FIELD, headers)),
    );
  });
});

describe('an answer that comes again', () => {
  const terms = parseChargeTerms({ ...KINDS[0], name: 'again', key: ['tenant'], limit: 10, cost: 1 });
  const plans = [[{ terms, key: ['tenant-a'] }]];
  const state = (remaining: number) => {
    const limit = { kind: 'rate', unit: 'requests', limit: 10, remaining, held: 0, wait_ms: 0, reset_ms: 100 };
    return { plan: 0, taken: true, limits: { again: { ...limit, exceeded: false, shadow: false, verified: true } } };
  };
  const context = (remaining: number): VerdictContext => ({
    shape: 'sallyport',
    allowRedirects: false,
    anonymous: false,
    owned: { decisionId: 'd-1', tenant: 'tenant-a', roles: [] },
    stripHeaders: [],
    quota: toQuotaNotice(plans, state(remaining), undefined),
  });
  const answer = (verdict: object, remaining: number) =>
    decodeCheckResponse(toCheckResponse(parseVerdict({ allow: true, ...verdict }, context(remaining)), 'd-1'));

  test.each([
    ['alone', {}],
    ['beside a header of the policy', { response_headers: { 'x-a': '1' } }],
    ['before one of the policy under the same name', { response_headers: { ratelimit: 'forged' } }],
  ])('says the same but for what is left, %s', (_, verdict) => {
    const headers = [9, 8, 7].map((remaining) =>
      answer(verdict, remaining).okResponse?.responseHeadersToAdd?.map(({ header }) => [header.key, header.value]),
    );
    for (const [at, each] of headers.entries()) {
      expect(each?.filter(([name]) => name !== 'x-a')).toEqual([
        ['ratelimit-policy', '"again";q=10;w=1;qu="requests"'],
        ['ratelimit', `"again";r=${9 - at};t=1`],
        ['x-ratelimit-limit-requests', '10'],
        ['x-ratelimit-remaining-requests', `${9 - at}`],
        ['x-ratelimit-reset-requests', '100ms'],
      ]);
    }
  });

  test('has its metadata each time, under what the policy adds', () => {
    const own = answer({}, 9).dynamicMetadata?.fields;
    expect(answer({}, 8).dynamicMetadata?.fields).toEqual(own);
    expect(answer({}, 7).dynamicMetadata?.fields).toEqual(own);
    expect(Object.keys(own ?? {}).sort()).toEqual(['decision_id', 'rate_limit']);
    const both = answer({ metadata: { plan: 'gold', rate_limit: 'forged' } }, 9).dynamicMetadata?.fields;
    expect(both?.['rate_limit']).toEqual(own?.['rate_limit']);
    expect(Object.keys(both ?? {}).sort()).toEqual(['decision_id', 'plan', 'rate_limit']);
  });
});
