import { describe, expect, it } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { type Charge, type LimitState, NEVER } from '../../../src/decision/charges.ts';
import { toQuotaNotice } from '../../../src/decision/quota-headers.ts';

const RATE = {
  name: 'client-rps',
  key: ['principal'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
};

/** A rate but for what is given; a member that is given as `undefined` is left out. */
function charge(parts: object): Charge {
  const members = Object.entries({ ...RATE, ...parts }).filter(([, value]) => value !== undefined);
  const terms = parseChargeTerms(Object.fromEntries(members));
  return { terms, key: terms.dimensions.map(() => 'x') };
}

function limit(parts: Partial<LimitState> = {}): LimitState {
  return {
    kind: 'rate',
    unit: 'requests',
    limit: 10,
    remaining: 9,
    held: 0,
    wait_ms: 0,
    reset_ms: 100,
    exceeded: false,
    shadow: false,
    verified: true,
    ...parts,
  };
}

const MONTH = { kind: 'window', per_seconds: undefined, calendar: 'month', zone: 'UTC' };

describe('headers of a taken plan', () => {
  it('tell policy and state of the caller’s own limits, in one item each', () => {
    const tokens = charge({ name: 'tokens-per-minute', unit: 'tokens', limit: 90_000, per_seconds: 60 });
    const { headers, violated } = toQuotaNotice(
      [[charge({}), tokens]],
      {
        plan: 0,
        taken: true,
        limits: {
          'client-rps': limit(),
          'tokens-per-minute': limit({ unit: 'tokens', limit: 90_000, remaining: 89_000, reset_ms: 667 }),
        },
      },
      undefined,
    );
    expect(Object.fromEntries(headers)).toEqual({
      'ratelimit-policy': '"client-rps";q=10;w=1;qu="requests", "tokens-per-minute";q=90000;w=60;qu="tokens"',
      ratelimit: '"client-rps";r=9;t=1, "tokens-per-minute";r=89000;t=1',
      'x-ratelimit-limit-requests': '10',
      'x-ratelimit-remaining-requests': '9',
      'x-ratelimit-reset-requests': '100ms',
      'x-ratelimit-limit-tokens': '90000',
      'x-ratelimit-remaining-tokens': '89000',
      'x-ratelimit-reset-tokens': '667ms',
    });
    expect(violated).toEqual([]);
  });

  it.each([
    { what: 'shared by all tenants', terms: { scope: 'shared' } },
    { what: 'keyed by route and method only', terms: { key: ['route', 'method'] } },
    { what: 'shadow', terms: { mode: 'shadow' } },
    { what: 'a name that no header can carry', terms: { name: 'a"b' } },
    { what: 'a name beyond ASCII', terms: { name: 'größe' } },
  ])('say nothing of a limit: $what', ({ terms }) => {
    const one = charge(terms);
    const state = { plan: 0, taken: true, limits: { [one.terms.name]: limit() } };
    expect(toQuotaNotice([[one]], state, undefined)).toEqual({ headers: [], metadata: {}, violated: [] });
  });

  it.each(['principal', 'tenant', 'key_id', 'peer', 'address'])('tell of a limit keyed by %s', (dimension) => {
    const state = { plan: 0, taken: true, limits: { 'client-rps': limit() } };
    expect(toQuotaNotice([[charge({ key: [dimension] })]], state, undefined).headers).not.toEqual([]);
  });

  it('tell in OpenAI’s words of the limit that is nearest to its end', () => {
    const minute = charge({ name: 'client-rpm', limit: 100, per_seconds: 60 });
    const { headers } = toQuotaNotice(
      [[charge({}), minute]],
      { plan: 0, taken: true, limits: { 'client-rps': limit(), 'client-rpm': limit({ limit: 100, remaining: 3 }) } },
      undefined,
    );
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '3',
    });
  });

  it('keep numbers within 15 digits', () => {
    const month = charge({ ...MONTH, unit: 'nano_usd', limit: 2 ** 53 - 1 });
    const { headers } = toQuotaNotice(
      [[month]],
      { plan: 0, taken: true, limits: { 'client-rps': limit({ remaining: 2 ** 53 - 1, reset_ms: NEVER }) } },
      undefined,
    );
    expect(Object.fromEntries(headers)).toEqual({
      'ratelimit-policy': '"client-rps";q=999999999999999;w=2678400;qu="nano-usd"',
      ratelimit: '"client-rps";r=999999999999999;t=9007199254741',
    });
  });

  it.each([
    { per_seconds: 1, unit: 'SECOND' },
    { per_seconds: 60, unit: 'MINUTE' },
    { per_seconds: 3600, unit: 'HOUR' },
    { per_seconds: 86_400, unit: 'DAY' },
  ])('carry Envoy’s override for a period of $per_seconds s', ({ per_seconds, unit }) => {
    const state = { plan: 0, taken: true, limits: { 'client-rps': limit() } };
    const { metadata } = toQuotaNotice([[charge({ per_seconds })]], state, undefined);
    expect(metadata).toEqual({ rate_limit: { requests_per_unit: 10, unit } });
  });

  it('carry no override for a period that Envoy has no unit for', () => {
    const state = { plan: 0, taken: true, limits: { 'client-rps': limit() } };
    expect(toQuotaNotice([[charge({ per_seconds: 10 })]], state, undefined).metadata).toEqual({});
  });
});

describe('headers of a refusal', () => {
  const state = { taken: false, limits: { 'client-rps': limit({ remaining: 0, exceeded: true, wait_ms: 1_234 }) } };

  it.each([
    { retryMs: 1, told: { 'retry-after': '1', 'retry-after-ms': '1' } },
    { retryMs: 1_234, told: { 'retry-after': '2', 'retry-after-ms': '1234' } },
    { retryMs: 60_000, told: { 'retry-after': '60', 'retry-after-ms': '60000' } },
    { retryMs: 60_001, told: { 'retry-after': '61', 'retry-after-ms': '60001', 'x-should-retry': 'false' } },
    { retryMs: undefined, told: { 'x-should-retry': 'false' } },
  ])('say when to come back: $retryMs ms', ({ retryMs, told }) => {
    const { headers, violated } = toQuotaNotice([[charge({})]], state, { retryMs });
    const retry = headers.filter(([name]) => name.startsWith('retry') || name === 'x-should-retry');
    expect(Object.fromEntries(retry)).toEqual(told);
    expect(violated).toEqual(['client-rps']);
  });

  it('say how long to wait for the limit itself, and of every plan’s limits once', () => {
    const { headers } = toQuotaNotice([[charge({})], [charge({ limit: 20 })]], state, { retryMs: 5 });
    expect(Object.fromEntries(headers)).toMatchObject({
      ratelimit: '"client-rps";r=0;t=2',
      'x-ratelimit-reset-requests': '1.234s',
    });
  });

  it.each([
    { ms: 999, text: '999ms' },
    { ms: 1_000, text: '1s' },
    { ms: 61_500, text: '1m1.5s' },
    { ms: 3_723_004, text: '1h2m3.004s' },
  ])('write $ms ms as OpenAI does', ({ ms, text }) => {
    const waiting = { taken: false, limits: { 'client-rps': limit({ exceeded: true, wait_ms: ms }) } };
    const { headers } = toQuotaNotice([[charge({})]], waiting, { retryMs: ms });
    expect(Object.fromEntries(headers)['x-ratelimit-reset-requests']).toBe(text);
  });

  it('name no limit of others, but say when to come back', () => {
    const shared = charge({ scope: 'shared', key: ['route'] });
    expect(toQuotaNotice([[shared]], state, { retryMs: 10 })).toEqual({
      headers: [
        ['retry-after', '1'],
        ['retry-after-ms', '10'],
      ],
      metadata: {},
      violated: [],
    });
  });
});
