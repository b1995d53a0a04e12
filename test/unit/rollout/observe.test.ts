import { describe, expect, test } from 'vitest';
import { checkRolloutConfig, type ObserveConfig } from '../../../src/rollout/config.ts';
import { createObserve } from '../../../src/rollout/observe.ts';
import { inferRoute } from '../../support/core.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { ROLLOUT } from './rollout-kit.ts';

const NOW = Date.UTC(2026, 10, 2, 12);
const inHours = (hours: number): string => new Date(NOW + hours * 3_600_000).toISOString();

function opened(config: readonly ObserveConfig[], newestEpochMs = 0) {
  const clock = createManualClock({ epochMs: NOW });
  const lines: string[] = [];
  const denials: string[] = [];
  const observe = createObserve({
    config,
    clock,
    nowEpochMs: () => Math.max(newestEpochMs, clock.now().epochMs),
    startTimer: clock.startTimer,
    logger: {
      warn: ({ route }, message) => lines.push(`${String(route)}: ${message}`),
      limited: () => undefined,
    },
    metrics: { observedDenial: (route) => denials.push(route) },
  });
  observe.start();
  return { clock, lines, denials, observe, observes: () => observe.observes(inferRoute, clock.now()) };
}

describe('an observed route', () => {
  test('is observed until its end, which comes by itself, and each denial is counted', () => {
    const { clock, observes, denials, lines } = opened([{ route: 'infer', until: inHours(1) }]);
    expect(observes()).toBe(true);
    clock.advance(3_599_999);
    expect(observes()).toBe(true);
    clock.advance(1);
    expect(observes()).toBe(false);
    expect(denials).toEqual(['infer', 'infer']);
    clock.advance(10);
    expect(lines.at(-1)).toBe('infer: a route is observed no longer: its denials are made again');
    expect(clock.pendingTimers()).toBe(0);
  });

  test('is said loudly at the start and every ten minutes', () => {
    const { clock, lines } = opened([{ route: 'infer', until: inHours(2) }]);
    expect(lines).toEqual(['infer: a route is observed: its denials are recorded and NOT made']);
    clock.advance(3_600_000);
    expect(lines).toHaveLength(7);
  });

  test.each([
    ['the end has passed', inHours(-1)],
    ['the end is more than 7 days ahead', inHours(7 * 24 + 1)],
    ['the end is no time', 'tomorrow'],
    ['the end has no zone', '2026-11-03T12:00:00'],
  ])('is not observed where %s', (_name, until) => {
    const { observes, lines } = opened([{ route: 'infer', until }]);
    expect(observes()).toBe(false);
    expect(lines).toHaveLength(1);
  });

  test('ends also where the clock is set back, and no other route is observed', () => {
    const { clock, observe, observes } = opened([{ route: 'infer', until: inHours(1) }]);
    expect(observe.observes({ ...inferRoute, name: 'chat' }, clock.now())).toBe(false);
    clock.setEpoch(NOW - 30 * 86_400_000);
    expect(observes()).toBe(true);
    clock.advance(3_600_000);
    expect(observes()).toBe(false);
  });
});

describe('after a restart with the clock set back', () => {
  const route = { route: 'infer', until: inHours(1) };

  test('an end that was seen to pass is not to come once more', () => {
    expect(opened([route], NOW + 3_600_000).observes()).toBe(false);
    expect(opened([route], NOW + 3_599_999).observes()).toBe(true);
  });

  test('no longer is observed than was left of it', () => {
    const { clock, observes } = opened([route], NOW + 3_000_000);
    clock.setEpoch(NOW - 86_400_000);
    clock.advance(599_999);
    expect(observes()).toBe(true);
    clock.advance(1);
    expect(observes()).toBe(false);
  });

  test('nothing is observed where the newest time is lost', () => {
    const { observes, lines } = opened([route], Number.POSITIVE_INFINITY);
    expect(observes()).toBe(false);
    expect(lines).toHaveLength(1);
  });
});

describe('the config of rollouts', () => {
  const paths = (parts: Partial<typeof ROLLOUT>): readonly string[] =>
    checkRolloutConfig({ ...ROLLOUT, ...parts }, NOW).map(({ path }) => path);

  test.each([
    [{ observe: [{ route: 'infer', until: inHours(24 * 8) }] }, ['rollout.observe[0].until']],
    [{ observe: [{ route: 'infer', until: 'soon' }] }, ['rollout.observe[0].until']],
    [{ observe: [{ route: 'infer', until: inHours(-1) }] }, []],
    [
      {
        observe: [
          { route: 'infer', until: inHours(1) },
          { route: 'infer', until: inHours(2) },
        ],
      },
      ['rollout.observe[1].route'],
    ],
    [
      {
        steps: [
          { percent: 50, minutes: 1 },
          { percent: 10, minutes: 1 },
        ],
      },
      ['rollout.steps[1].percent'],
    ],
    [
      { guard_rails: { ...ROLLOUT.guard_rails, min_principals: 2, min_affected: 3 } },
      ['rollout.guard_rails.min_affected'],
    ],
  ])('%j has the faults %j', (parts, expected) => {
    expect(paths(parts)).toEqual(expected);
  });
});
