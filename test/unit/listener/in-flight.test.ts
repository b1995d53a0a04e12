import { expect, test } from 'vitest';
import { createInFlight } from '../../../src/listener/in-flight.ts';

test('lets in as many as the limit and one more for each that leaves', () => {
  const inFlight = createInFlight(2);
  expect([inFlight.tryEnter(), inFlight.tryEnter(), inFlight.tryEnter()]).toEqual([true, true, false]);
  inFlight.leave();
  expect(inFlight.current()).toBe(1);
  expect([inFlight.tryEnter(), inFlight.tryEnter()]).toEqual([true, false]);
});

test('leaving without having entered is an error, not a wider door', () => {
  expect(() => createInFlight(1).leave()).toThrow('`leave` without `tryEnter`');
});
