import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  checkRateLimitConfig,
  type RateLimitConfig,
  rateLimitConfigSchema,
} from '../../../../src/protocols/ratelimit/config.ts';

const validate = new Ajv2020({ useDefaults: true, strict: true }).compile<RateLimitConfig>(rateLimitConfigSchema);
const OPTIONS = { insecureUnauthenticatedDoor: false };

function faultsOf(config: object): readonly string[] {
  const value: unknown = structuredClone({ listen: '127.0.0.1:0', ...config });
  if (!validate(value)) return ['schema'];
  return checkRateLimitConfig('doors.ratelimit', value, OPTIONS).map(({ path }) => path);
}

describe('the config of the rate limit door', () => {
  it('denies by default', () => {
    const value: unknown = { listen: '127.0.0.1:0' };
    expect(validate(value)).toBe(true);
    expect(value).toMatchObject({ on_error: 'over_limit', headers: 'none', domains_from_bundle: true });
    expect(value).not.toHaveProperty('may_override');
  });

  it.each([
    ['no listener', { listen: undefined }, ['schema']],
    ['an unknown key', { failure_mode_allow: true }, ['schema']],
    ['another answer for errors', { on_error: 'unknown' }, ['schema']],
    ['no limits at all', { domains_from_bundle: false }, ['doors.ratelimit.domains_from_bundle']],
    ['limits from files alone', { domains_from_bundle: false, limits_files: ['a.yaml'] }, []],
    [
      'a caller that may more than ask and may not ask',
      { may_override: ['a.test'] },
      ['doors.ratelimit.may_override[0]'],
    ],
    ['a door off loopback without guard', { listen: '0.0.0.0:0' }, ['doors.ratelimit.listen']],
  ])('with %s', (_what, config, faults) => {
    expect(faultsOf(config)).toEqual(faults);
  });
});
