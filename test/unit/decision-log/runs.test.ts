import { expect, test } from 'vitest';
import { Runs } from '../../../src/decision-log/runs.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

test('every run of 24 characters is found, wherever it stands in either text, and short ones of 11 never', () => {
  const random = createRandom(seedOf('shared runs'));
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789-_.éŁ\u2028';
  const text = (length: number): string => Array.from({ length }, () => letters[random.below(letters.length)]).join('');
  for (let index = 0; index < caseCount(5_000); index += 1) {
    const secret = text(24 + random.below(300));
    const at = random.below(secret.length - 23);
    const around = (shared: string): string => `${'/'.repeat(random.below(40))}${shared}${'?'.repeat(24)}`;
    expect(new Runs(secret).search().isSharedBy(around(secret.slice(at, at + 24)))).toBe(true);
    expect(new Runs(secret).search().isSharedBy(around(secret.slice(at, at + 11)))).toBe(false);
  }
});
