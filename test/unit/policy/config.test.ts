import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { checkPolicyConfig, policyConfigSchema } from '../../../src/policy/config.ts';

const DECISION = { decision: 'envoy/authz/allow', result: 'opa-envoy' } as const;

function validate(config: object): readonly string[] {
  const ajv = new Ajv2020({ useDefaults: true, allErrors: true, strict: true });
  const check = ajv.compile({ type: 'object', properties: { policy: policyConfigSchema } });
  return check({ policy: config })
    ? []
    : (check.errors ?? []).map(({ instancePath, keyword }) => `${instancePath.replace('/policy', '')} ${keyword}`);
}

describe('policy config', () => {
  test('has defaults for all of it', () => {
    const config = {};
    expect(validate(config)).toEqual([]);
    expect(config).toEqual({
      engine: 'js',
      decisions: { default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' } },
      budget_ms: 5,
      tenant_share: 0.25,
      memory_max_mb: 1_024,
      redirects: false,
    });
  });

  test.each<[string, object, readonly string[]]>([
    ['an unknown key', { shiny: 1 }, [' additionalProperties']],
    ['an unknown engine', { engine: 'v8' }, ['/engine enum']],
    ['no budget', { budget_ms: 0 }, ['/budget_ms exclusiveMinimum']],
    ['a share of nothing', { tenant_share: 0 }, ['/tenant_share exclusiveMinimum']],
    ['a share of two cores', { tenant_share: 2 }, ['/tenant_share maximum']],
    ['too much memory', { memory_max_mb: 4_096 }, ['/memory_max_mb maximum']],
    ['no decisions', { decisions: {} }, ['/decisions minProperties']],
    ['a decision without a result', { decisions: { default: { decision: 'a/b' } } }, ['/decisions/default required']],
    [
      'an unknown result',
      { decisions: { default: { decision: 'a', result: 'x' } } },
      ['/decisions/default/result enum'],
    ],
    [
      'an empty entrypoint',
      { decisions: { default: { ...DECISION, decision: '' } } },
      ['/decisions/default/decision pattern'],
    ],
    [
      'an absolute entrypoint',
      { decisions: { default: { ...DECISION, limits: '/a' } } },
      ['/decisions/default/limits pattern'],
    ],
    [
      'a dotted entrypoint',
      { decisions: { default: { ...DECISION, decision: 'data.a' } } },
      ['/decisions/default/decision pattern'],
    ],
    [
      'a name with a space',
      { decisions: { default: DECISION, 'a b': DECISION } },
      ['/decisions pattern', '/decisions propertyNames'],
    ],
  ])('refuses %s', (_name, config, faults) => {
    expect(validate(config)).toEqual(faults);
  });

  const config = {
    engine: 'js',
    decisions: { default: DECISION },
    budget_ms: 5,
    tenant_share: 0.25,
    memory_max_mb: 64,
    redirects: false,
  } as const;

  test('accepts a config as it stands', () => {
    expect(checkPolicyConfig(config)).toEqual([]);
  });

  test('wants a default decision', () => {
    const faults = checkPolicyConfig({ ...config, decisions: { other: DECISION } });
    expect(faults.map(({ path }) => path)).toEqual(['policy.decisions']);
  });
});
