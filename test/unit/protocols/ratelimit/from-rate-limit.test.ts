import { describe, expect, it } from 'vitest';
import { OK, OVER_LIMIT, toRateLimitResponse } from '../../../../src/protocols/ratelimit/from-rate-limit.ts';
import type { RateLimitStatus, RateLimitUnit } from '../../../../src/protocols/ratelimit/rate-limit.ts';
import { decodeRateLimitResponse, type ReadRateLimitResponse } from '../../../support/rate-limit-proto.ts';

const status = (over: Partial<RateLimitStatus> = {}): RateLimitStatus => ({
  overLimit: false,
  limit: { name: 'n', requestsPerUnit: 10, unit: 'minute' },
  remaining: 4,
  resetMs: 12_345,
  ...over,
});
const written = (
  statuses: readonly RateLimitStatus[],
  overLimit = false,
  headers: 'none' | 'draft03' = 'none',
): ReadRateLimitResponse =>
  decodeRateLimitResponse(toRateLimitResponse({ kind: 'decided', overLimit, statuses }, headers));

describe('a RateLimitResponse', () => {
  it('has a status for each descriptor, in order', () => {
    expect(written([status(), { overLimit: true, remaining: 0, resetMs: 0 }], true)).toEqual({
      overallCode: 'OVER_LIMIT',
      statuses: [
        {
          code: 'OK',
          currentLimit: { name: 'n', requestsPerUnit: 10, unit: 'MINUTE' },
          limitRemaining: 4,
          durationUntilReset: { seconds: 12, nanos: 345_000_000 },
        },
        { code: 'OVER_LIMIT' },
      ],
    });
  });

  it.each(['second', 'minute', 'hour', 'day', 'week', 'month', 'year'] satisfies RateLimitUnit[])(
    'names the unit %s',
    (unit) => {
      const limit = { name: '', requestsPerUnit: 1, unit };
      expect(written([status({ limit })]).statuses?.[0]?.currentLimit).toEqual({
        requestsPerUnit: 1,
        unit: unit.toUpperCase(),
      });
    },
  );

  it('names no unit that Envoy has not, and no number that it cannot read', () => {
    const limit = { name: '', requestsPerUnit: Number.MAX_SAFE_INTEGER };
    const [read] =
      written([status({ limit, remaining: Number.MAX_SAFE_INTEGER, resetMs: Number.MAX_SAFE_INTEGER })]).statuses ?? [];
    expect(read?.currentLimit).toEqual({ requestsPerUnit: 4_294_967_295 });
    expect(read?.limitRemaining).toBe(4_294_967_295);
    expect(read?.durationUntilReset?.seconds).toBe(3_162_240_000);
  });

  it('is OVER_LIMIT where one status is, whatever is said of the whole', () => {
    expect(written([status(), status({ overLimit: true })]).overallCode).toBe('OVER_LIMIT');
    expect(written([], true).overallCode).toBe('OVER_LIMIT');
  });

  it('always has a code', () => {
    expect(written([])).toEqual({ overallCode: 'OK' });
    expect(decodeRateLimitResponse(OK)).toEqual({ overallCode: 'OK' });
    expect(decodeRateLimitResponse(OVER_LIMIT)).toEqual({ overallCode: 'OVER_LIMIT' });
  });

  it('has headers of the tightest limit, where they are wanted', () => {
    const tight = status({ limit: { name: '', requestsPerUnit: 3 }, remaining: 1, resetMs: 100 });
    const free = { overLimit: false, remaining: 0, resetMs: 0 };
    expect(written([free, status(), tight], false, 'draft03').responseHeadersToAdd).toEqual([
      { key: 'x-ratelimit-limit', value: '3' },
      { key: 'x-ratelimit-remaining', value: '1' },
      { key: 'x-ratelimit-reset', value: '1' },
    ]);
    expect(
      written([tight, status({ overLimit: true, remaining: 4 })], true, 'draft03').responseHeadersToAdd?.[1],
    ).toEqual({ key: 'x-ratelimit-remaining', value: '4' });
    expect(written([free], false, 'draft03')).not.toHaveProperty('responseHeadersToAdd');
    expect(written([tight])).not.toHaveProperty('responseHeadersToAdd');
  });
});
