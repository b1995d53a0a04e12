import { describe, expect, test } from 'vitest';
import { RequestFault } from '../../../src/decision/errors.ts';
import type { Generation, Outcome } from '../../../src/decision/ports.ts';
import { createWriteEvent, type DecisionEvent } from '../../../src/decision-log/event.ts';
import { maskByPolicy } from '../../../src/decision-log/rego-mask.ts';
import { generation } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { allowOutcome } from '../../support/outcome.ts';

const write = createWriteEvent({
  config: logConfig(),
  labels: { region: 'eu-1' },
  instanceId: 'instance-1',
  nextSpanId: () => '00000000000000aa',
});

type Masking = (event: DecisionEvent) => unknown;

function masking({ mask, drop }: { readonly mask?: Masking; readonly drop?: Masking }): Generation {
  const ask = (rule: Masking | undefined) => (text: string) => rule?.(JSON.parse(text));
  return generation(
    { 'system/log/mask': ask(mask), 'system/log/drop': ask(drop) },
    {
      isPolicyConstant: (text) => text === 'hidden',
      inputPaths: (name) => ((name.endsWith('mask') ? mask : drop) === undefined ? [] : ['input']),
    },
  );
}

function masked(rules: Parameters<typeof masking>[0]) {
  const outcome: Outcome = allowOutcome({ generation: masking(rules) });
  const result = maskByPolicy(write(outcome, 1).line, masking(rules), outcome.at);
  // The line is a DecisionEvent, masked.
  return {
    kind: result.kind,
    event: result.kind === 'dropped' ? undefined : (JSON.parse(result.line) as DecisionEvent),
  };
}

describe('masks of the policy', () => {
  test('a policy without them changes nothing', () => {
    expect(masked({}).kind).toBe('kept');
  });

  test('pointers and `remove` erase, `upsert` with a constant replaces what is there; the event says so', () => {
    const { kind, event } = masked({
      mask: () => [
        '/input/identity/subject',
        { op: 'remove', path: '/result/allow' },
        { op: 'upsert', path: '/input/request/method', value: 'hidden' },
      ],
    });
    expect(kind).toBe('masked');
    expect(event?.input['identity']).not.toHaveProperty('subject');
    expect(event?.result).not.toHaveProperty('allow');
    expect(event?.input['request']).toMatchObject({ method: 'hidden' });
    expect(event).toMatchObject({
      erased: ['/input/identity/subject', '/result/allow'],
      masked: ['/input/request/method'],
    });
  });

  test.each([
    ['adds a member that the allow-list left out', { op: 'upsert', path: '/input/request/body', value: 'hidden' }],
    ['reaches outside of input and result by a member that is not there', '/input/../labels'],
  ])('one that %s changes nothing', (_, rule) => {
    expect(masked({ mask: () => [rule] }).kind).toBe('kept');
  });

  test.each([
    ['a text that is no constant', 'made of something'],
    ['an object', { a: 'hidden' }],
    ['a number', 42],
    ['nothing', undefined],
  ])('an upsert of %s erases instead', (_, value) => {
    const { event } = masked({ mask: () => [{ op: 'upsert', path: '/input/identity/subject', value }] });
    expect(event?.input['identity']).not.toHaveProperty('subject');
    expect(event?.erased).toContain('/input/identity/subject');
  });

  test('all of input and all of the result can go', () => {
    const { event } = masked({ mask: () => ['/input', '/result'] });
    expect(event?.input).toEqual({});
    expect(event).not.toHaveProperty('result');
  });

  test.each<[string, Masking]>([
    [
      'throws',
      () => {
        throw new RequestFault('policy_error', 'the module trapped');
      },
    ],
    ['answers no list', () => 'everything'],
    ['names a path outside', () => ['/labels/region']],
    ['names an unknown operation', () => [{ op: 'add', path: '/input/x', value: 1 }]],
    ['answers too much', () => Array.from({ length: 300 }, (_, at) => `/input/${at}`)],
  ])('one that %s lets nothing of input and result out, and the event says so', (_, mask) => {
    const { kind, event } = masked({ mask });
    expect(kind).toBe('failed');
    expect(event).toMatchObject({ input: {}, erased: ['/input', '/result'], mask_failed: true, decision: 'allow' });
    expect(event).not.toHaveProperty('result');
  });

  test('one that ran over its budget lets nothing out', () => {
    const slow: Generation = {
      ...masking({ mask: () => [] }),
      evaluateText: () => ({ value: [], overBudget: true }),
    };
    const outcome = allowOutcome({ generation: slow });
    expect(maskByPolicy(write(outcome, 1).line, slow, outcome.at).kind).toBe('failed');
  });

  test('a policy that lacks the entrypoints is told from one whose entrypoints fail', () => {
    const lacking = generation(
      {},
      {
        evaluateText: (name) => {
          throw new RequestFault('policy_error', `the policy has no entrypoint \`${name}\``);
        },
      },
    );
    const outcome = allowOutcome({ generation: lacking });
    expect(maskByPolicy(write(outcome, 1).line, lacking, outcome.at).kind).toBe('kept');
  });

  test('`drop` is `true` and nothing else', () => {
    expect(masked({ drop: () => true }).kind).toBe('dropped');
    for (const drop of [() => false, () => 'true', () => undefined, () => ({})]) {
      expect(masked({ drop }).kind).toBe('kept');
    }
  });

  test('a drop that fails drops nothing', () => {
    const drop = (): never => {
      throw new RequestFault('policy_error', 'the module trapped');
    };
    expect(masked({ drop }).kind).toBe('kept');
  });
});
