import { expect, test } from 'vitest';
import { createTakeIds } from '../../../src/quota/take-ids.ts';

test('ids of takes that hold nothing are each used once, in this process and beside others', () => {
  let start = 0;
  const randomBytes = (bytes: number): Buffer => {
    start += 1;
    return Buffer.alloc(bytes, start);
  };
  const ids = [createTakeIds(randomBytes), createTakeIds(randomBytes)].flatMap((each) =>
    Array.from({ length: 3_000 }, () => each.plain()),
  );
  expect(new Set(ids).size).toBe(6_000);
});
