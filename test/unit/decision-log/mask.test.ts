import { expect, test } from 'vitest';
import { maskPathFault } from '../../../src/decision-log/mask.ts';
import { inspected } from '../../support/core.ts';
import { eventOf } from '../../support/events.ts';
import { allowOutcome } from '../../support/outcome.ts';

test('erases a member and says so', () => {
  const event = eventOf(allowOutcome(), { masks: [{ path: '/input/identity/subject', op: 'erase' }] });
  expect(event.input['identity']).not.toHaveProperty('subject');
  expect(event.erased).toEqual(['/input/identity/subject']);
});

test('replaces a member and says so', () => {
  const event = eventOf(allowOutcome(), { masks: [{ path: '/input/network', op: 'replace', value: 'hidden' }] });
  expect(event.input['network']).toBe('hidden');
  expect(event.masked).toEqual(['/input/network']);
});

test('erases an item of a list without moving the others', () => {
  const event = eventOf(allowOutcome(), { masks: [{ path: '/input/identity/roles/0', op: 'erase' }] });
  expect(event.input['identity']).toMatchObject({ roles: [null] });
});

test('reads escaped names', () => {
  const params = { 'a/b~c': 'canary' };
  const event = eventOf(allowOutcome({ inspected: inspected({ route: { name: 'r', params, requiredLimits: [] } }) }), {
    masks: [{ path: '/input/route/params/a~1b~0c', op: 'erase' }],
  });
  expect(event.input['route']).toEqual({ name: 'r', params: {} });
});

test('passes over what an event does not have', () => {
  const masks = ['/input/identity/none/deeper', '/result/constructor', '/input/__proto__/x', '/result/allow/x'].map(
    (path) => ({ path, op: 'erase' as const }),
  );
  const event = eventOf(allowOutcome(), { masks });
  expect(event.erased).toEqual([]);
});

test('does not touch what the next event is made of', () => {
  const outcome = allowOutcome();
  eventOf(outcome, { masks: [{ path: '/result/allow', op: 'replace', value: 'x' }] });
  expect(outcome.result).toEqual({ allow: true, reasons: [] });
});

test.each([
  ['/input/identity/subject', undefined],
  ['/result/allow', undefined],
  ['/input', '`/input` is not below `/input` or `/result`'],
  ['/decision_id', '`/decision_id` is not below `/input` or `/result`'],
  ['input/identity', '`input/identity` is not below `/input` or `/result`'],
  ['/input/a~2', '`/input/a~2` is no JSON pointer: write `~0` for `~` and `~1` for `/`'],
])('the path %s is judged', (path, fault) => {
  expect(maskPathFault(path)).toBe(fault);
});
