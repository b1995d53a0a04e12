import { expect, test } from 'vitest';
import { createHealth } from '../../../src/telemetry/health.ts';

test('is not ready before anything vouched for it', () => {
  expect(createHealth().ready()).toEqual({ ready: false, reasons: ['starting'] });
});

test('is ready once every source is', () => {
  const health = createHealth();
  const bundles = health.source('bundles');
  const identity = health.source('identity');
  bundles.set(true);
  expect(health.ready()).toEqual({ ready: false, reasons: ['identity: starting'] });
  identity.set(true);
  expect(health.ready()).toEqual({ ready: true, reasons: [] });
});

test('names the source and its reasons when one is lost', () => {
  const health = createHealth();
  const identity = health.source('identity');
  identity.set(true);
  identity.set(false, ['keys of issuer 1 are too old', 'issuer 2 never answered']);
  expect(health.ready().reasons).toEqual([
    'identity: keys of issuer 1 are too old',
    'identity: issuer 2 never answered',
  ]);
  identity.set(false);
  expect(health.ready().reasons).toEqual(['identity: not ready']);
});

test('draining is not ready for good, and alive', () => {
  const health = createHealth();
  const bundles = health.source('bundles');
  bundles.set(true);
  health.drain();
  bundles.set(true);
  expect(health.ready()).toEqual({ ready: false, reasons: ['draining'] });
  expect(health.live()).toBe(true);
});

test('a failure that only a restart helps is neither ready nor alive', () => {
  const health = createHealth();
  health.source('bundles').set(true);
  health.fail('the event loop stands still');
  health.fail('something later');
  expect(health.live()).toBe(false);
  expect(health.ready().reasons).toEqual(['failed: the event loop stands still']);
});

test('listeners hear each change once, until they leave', () => {
  const health = createHealth();
  const heard: boolean[] = [];
  const leave = health.onChange((ready) => heard.push(ready));
  const bundles = health.source('bundles');
  bundles.set(false, ['no bundle']);
  bundles.set(true);
  bundles.set(true);
  health.source('identity').set(true);
  health.drain();
  leave();
  health.fail('gone');
  expect(heard).toEqual([true, false, true, false]);
});

test('two sources cannot share a name', () => {
  const health = createHealth();
  health.source('bundles');
  expect(() => health.source('bundles')).toThrow('the readiness source `bundles` exists already');
});
