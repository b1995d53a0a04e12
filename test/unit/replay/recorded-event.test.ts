import { describe, expect, test } from 'vitest';
import { parseLogLine } from '../../../src/replay/recorded-event.ts';
import { createSeenEvents } from '../../../src/replay/seen-events.ts';
import { lineOf, recorded } from './recorded-lines.ts';

describe('a line of a decision log', () => {
  const numbered = '"sequence":3,"instance_id":"i"';
  test.each([
    ['an event', lineOf(), 'decision'],
    ['an administrative event', `{"type":"administrative",${numbered}}`, 'administrative'],
    ['a sum of denials', `{"type":"aggregate",${numbered},"count":7}`, 'aggregate'],
    ['what is left of a dropped event', `{"decision_id":"d",${numbered},"decision":"deny","dropped":true}`, 'stub'],
    ["the service's own log", '{"level":"info","message":"listening"}', 'other'],
    ['plain text', 'Warning: something', 'other'],
    ['JSON that is no object', '[1]', 'other'],
    ['half an event', lineOf().slice(0, 200), 'damaged'],
    ['an event without a number', lineOf({ sequence: undefined }), 'damaged'],
    ['an event with neither number nor instance', lineOf({ sequence: undefined, instance_id: undefined }), 'damaged'],
    ['an event of an unknown type', lineOf({ type: 'other' }), 'damaged'],
    ['an event without a time', lineOf({ timestamp: 'yesterday' }), 'damaged'],
    ['an event without a decision', lineOf({ decision: 'maybe' }), 'damaged'],
    ['a denial of an unknown code', lineOf({ decision: 'deny', code: 'constructor', status: 403 }), 'damaged'],
    ['an event whose input is none', lineOf({ input: [] }), 'damaged'],
    ['an event that does not say what was erased', lineOf({ erased: undefined }), 'damaged'],
    ['a sum without a count', `{"type":"aggregate",${numbered}}`, 'damaged'],
  ])('%s', (_, line, kind) => {
    expect(parseLogLine(line).kind).toBe(kind);
  });

  test('tells the moment to the fraction of a millisecond', () => {
    expect(recorded({ timestamp: '2026-11-02T12:00:00.250500000Z' }).epochMs).toBe(Date.UTC(2026, 10, 2, 12) + 250.5);
  });

  test('of an observed route tells the denial, and not the Allow that stood in for it', () => {
    const observed = { code: 'policy_denied', status: 403, reasons: ['tier'] };
    expect(recorded({ observed }).answer).toEqual({ kind: 'deny', ...observed });
  });

  test('names what decided in an order of its own', () => {
    const bundles = { b: { revision: '2' }, a: { revision: '1' } };
    expect(recorded({ bundles }).revisions).toBe('a=1 b=2');
    expect(recorded({ bundles: {} }).revisions).toBe('none');
  });
});

test('an event is seen once for each instance and number, also far apart', () => {
  const seen = createSeenEvents();
  const numbers = [0, 1, 4095, 4096, 2 ** 40, Number.MAX_SAFE_INTEGER];
  for (const instanceId of ['a', 'b']) {
    for (const sequence of numbers) expect(seen.add({ instanceId, sequence })).toBe(true);
    for (const sequence of numbers) expect(seen.add({ instanceId, sequence })).toBe(false);
  }
});
