import type { Instant } from '../decision/ports.ts';

/** 32 random bytes for a label: the same throughout one decision, by its instant, and others in the next. */
export type RandomFor = (at: Instant, label: string) => Uint8Array;

export function createRandomness(randomBytes: (count: number) => Uint8Array): RandomFor {
  const drawn = new WeakMap<Instant, Map<string, Uint8Array>>();
  return (at, label) => {
    let values = drawn.get(at);
    if (values === undefined) {
      values = new Map();
      drawn.set(at, values);
    }
    let value = values.get(label);
    if (value === undefined) {
      value = randomBytes(32);
      values.set(label, value);
    }
    return value;
  };
}
