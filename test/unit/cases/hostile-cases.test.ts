import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CaseError } from '../../../src/cases/case-error.ts';
import { parseRequestCases, type RequestCase, runRequestCase } from '../../../src/cases/request-case.ts';
import { createTry } from '../../../src/decision/trial.ts';
import { core, generation } from '../../support/core.ts';
import { caseCount, seedOf } from '../../support/seed.ts';

const KEYS = ['name', 'request', 'identity', 'peer', 'network', 'quota', 'time', 'expect', '__proto__'];
const PARTS = ['path', 'body', 'headers', 'size', 'decision', 'charges', 'event', 'refused', 'roles', 'constructor'];

/** JSON that has the right keys in the right places often enough to get past the first fault. */
const value = fc.letrec((tie) => ({
  leaf: fc.oneof(fc.jsonValue(), fc.constantFrom('allow', 'deny', 'exceeded', 'unavailable', 'anonymous')),
  part: fc.oneof({ maxDepth: 3 }, tie('leaf'), fc.dictionary(fc.constantFrom(...PARTS), tie('leaf'))),
})).part;
const good = { name: 'one', request: { path: '/x' }, expect: { decision: 'deny' } };
const cases = fc.array(
  fc.record({ base: fc.boolean(), parts: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 3 }) }),
  { maxLength: 3 },
);

describe('cases that travel in a bundle', () => {
  test('are read or refused, and decided, whatever is in them', async () => {
    const tryOnce = createTry({ ...core().ports, monotonicMs: () => 0 });
    const decided = generation({ 'authz/decision': { allow: true }, 'authz/limits': [] });
    let read = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(cases, async (drawn) => {
        const written = JSON.stringify(drawn.map(({ base, parts }) => (base ? { ...good, ...parts } : parts)));
        let parsed: readonly RequestCase[];
        try {
          parsed = parseRequestCases(JSON.parse(written), 'cases.json');
        } catch (error) {
          expect(error).toBeInstanceOf(CaseError);
          refused += 1;
          return;
        }
        read += 1;
        for (const one of parsed) {
          const { failures } = await runRequestCase(one, decided, tryOnce, () => ({ decision: 'deny' }));
          expect(failures.every((failure) => typeof failure === 'string')).toBe(true);
        }
      }),
      { numRuns: caseCount(2_000), seed: seedOf('hostile-cases') },
    );
    console.info(`hostile cases: ${read} read and decided, ${refused} refused`);
    expect(refused).toBeGreaterThan(0);
  });

  test('are refused after twenty faults, and never by more words than people read', () => {
    const refusalOf = (value: unknown): CaseError => {
      try {
        parseRequestCases(value, 'cases.json');
      } catch (error) {
        if (error instanceof CaseError) return error;
      }
      return expect.fail('they were read');
    };
    const many = refusalOf(Array(10_000).fill(1));
    expect([many.faults.length, many.message.split('\n').at(-1)]).toEqual([20, 'there may be more']);
    expect(refusalOf(Array(10_001).fill(good)).message).toMatch(/more than 10000 cases/);
    expect(refusalOf([{ ...good, name: 'x'.repeat(257) }]).message).toMatch(/longer than 256 characters/);
    expect(refusalOf([{ name: 'y'.repeat(1e6), ['x'.repeat(1e6)]: 1 }]).message.length).toBeLessThan(2_000);
  });
});
