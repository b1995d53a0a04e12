import { expect, test } from 'vitest';
import { type Builtin, builtinFailure } from '../../../src/policy/builtins/builtin.ts';
import { createHost } from '../../../src/policy/host.ts';

const AT = { epochMs: 1_000, monotonicMs: 1 };

function hostWith(builtin: Builtin): ReturnType<typeof createHost> {
  return createHost({
    builtins: new Map([['x.y', builtin]]),
    randomBytes: (count) => new Uint8Array(count).fill(count),
  });
}

function budgetOf(steps: number): { steps: number; exhausted: () => void } {
  return {
    steps,
    exhausted: () => {
      throw new Error('no more time');
    },
  };
}

test('hands the operands over and answers what the builtin answers', () => {
  const host = hostWith((_context, a, b, c, d) => [a, b, c, d]);
  host.begin(AT, false, budgetOf(1));
  expect(host.call('x.y', [1, 'b'])).toEqual([1, 'b', null, null]);
});

test('a failure is undefined, and where errors are strict a fault that names the builtin and says why', () => {
  const host = hostWith((context) => {
    throw builtinFailure(context, 'nothing to be found');
  });
  host.begin(AT, false, budgetOf(1));
  expect(host.call('x.y', [])).toBeUndefined();
  host.begin(AT, true, budgetOf(1));
  expect(() => host.call('x.y', [])).toThrow('`x.y`: nothing to be found');
});

test('undefined is no failure', () => {
  const host = hostWith(() => undefined);
  host.begin(AT, true, budgetOf(1));
  expect(host.call('x.y', [])).toBeUndefined();
});

test('work is taken from the budget of the evaluation, and refused when that is used up', () => {
  const host = hostWith((context, steps) => {
    context.charge(Number(steps));
    return true;
  });
  const budget = budgetOf(10);
  host.begin(AT, false, budget);
  expect(host.call('x.y', [4])).toBe(true);
  expect(budget.steps).toBe(6);
  expect(() => host.call('x.y', [7])).toThrow('no more time');
  host.begin(AT, false, budgetOf(10));
  expect(host.call('x.y', [7])).toBe(true);
});

test('other errors, unknown builtins and calls outside of an evaluation are faults', () => {
  const host = hostWith(() => {
    throw new RangeError('too large');
  });
  expect(() => host.call('x.y', [])).toThrow('not supported');
  host.begin(AT, false, budgetOf(1));
  expect(() => host.call('x.y', [])).toThrow('too large');
  expect(() => host.call('__proto__', [])).toThrow('`__proto__` is not supported');
});
