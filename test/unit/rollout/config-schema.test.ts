import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { rolloutConfigSchema } from '../../../src/rollout/config.ts';

const validate = new Ajv2020({ useDefaults: true, strict: true, allErrors: true }).compile({
  type: 'object',
  properties: { rollout: rolloutConfigSchema },
});

test('the schema of `rollout` has safe defaults for everything', () => {
  const config = { rollout: {} };
  expect(validate(config)).toBe(true);
  expect(config.rollout).toEqual({
    observe: [],
    shadow_percent: 100,
    steps: [],
    guard_rails: {
      window_seconds: 60,
      min_principals: 20,
      compare_first_seconds: 60,
      min_affected: 3,
      one_vote_per: 'tenant',
      max_deny_changed_percent: 5,
      max_error_percent: 1,
      max_latency_ratio: 3,
      min_latency_ms: 1,
      max_slow_percent: 25,
      max_evaluation_ms: 50,
    },
    max_cpu_percent: 5,
  });
});

test.each([
  { observe: [{ route: 'infer' }] },
  { observe: [{ until: '2026-11-05T12:00:00Z' }] },
  { steps: [{ percent: 101, minutes: 1 }] },
  { steps: [{ percent: 10, minutes: 0 }] },
  { guard_rails: { min_principals: 0 } },
  { salt: 'short' },
  { unknown: true },
])('it refuses %j', (rollout) => {
  expect(validate({ rollout: structuredClone(rollout) })).toBe(false);
});
