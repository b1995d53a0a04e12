import { describe, expect, test } from 'vitest';
import { StepCounter } from '../../../src/regex/cost.ts';
import { DfaStates, UNKNOWN } from '../../../src/regex/dfa-states.ts';
import { GAVE_UP, LazyDfa, NO_MATCH } from '../../../src/regex/lazy-dfa.ts';
import { parsePattern } from '../../../src/regex/parse.ts';
import { compilePrograms } from '../../../src/regex/program.ts';
import { createRandom, seedOf } from '../../support/seed.ts';

function open(pattern: string): { readonly states: DfaStates; readonly dfa: LazyDfa; readonly counter: StepCounter } {
  const { root, groupNames } = parsePattern(pattern);
  const programs = compilePrograms(root, groupNames.length - 1, false);
  if (programs === undefined) throw new Error(`\`${pattern}\` has too large an alphabet`);
  const { forward: program, alphabet } = programs;
  const counter = new StepCounter();
  const states = new DfaStates({ program, alphabet, longest: false, counter });
  return { states, dfa: new LazyDfa(states, alphabet, counter), counter };
}

/** Nearly each of the last 15 letters may have been the first: more states than a table holds. */
const MANY_STATES = '(?:a|b)*a(?:a|b){14}[^ab]';
const MAX_CELLS = 32_768;

describe('the states of a lazy DFA', () => {
  const random = createRandom(seedOf('lazy dfa'));
  const letters = Array.from({ length: 60_000 }, () => random.pick(['a', 'b'])).join('');

  test('are dropped when the table is full, and nothing is noted in a row that was another state’s', () => {
    const { states } = open(MANY_STATES);
    let row = states.start(3);
    let dropped = 0;
    for (let turns = 0; turns < 40_000; turns++) {
      const letter = 1 + random.below(2);
      const before = states.cleared;
      const known = states.table[row + letter] ?? UNKNOWN;
      const cell = known === UNKNOWN ? states.step(row, letter) : known;
      if (states.cleared > before) {
        dropped++;
        expect(states.table[row + letter]).toBe(UNKNOWN);
      }
      row = Math.abs(cell);
      expect(states.table.length).toBeLessThanOrEqual(MAX_CELLS);
      if (row === states.dead) row = states.start(3);
    }
    expect(dropped).toBeGreaterThan(1);
  });

  test('a text that makes ever new ones is given up, before much of it was read', () => {
    const { dfa, counter, states } = open(MANY_STATES);
    expect(dfa.matchEnd(letters, 0, true, undefined)).toBe(GAVE_UP);
    expect(counter.read).toBeLessThan(3 * states.capacity);
    expect(dfa.matchEnd(letters, 0, true, undefined)).toBe(GAVE_UP);
  });

  test('what other texts filled does not make a text be given up', () => {
    const { dfa } = open(MANY_STATES);
    dfa.matchEnd(letters, 0, true, undefined);
    expect(dfa.matchEnd('ab'.repeat(30_000), 0, true, undefined)).toBe(NO_MATCH);
    expect(dfa.matchEnd(`${'ab'.repeat(30_000)}a!`, 0, true, undefined)).toBe(60_002);
  });

  test('are found once: a second search takes a step for each code unit', () => {
    const { dfa, counter } = open('(?i)x(?:ab|ba)+[^\\w]');
    const text = `${'abx'.repeat(1_000)}é`;
    dfa.matchEnd(text, 0, false, undefined);
    const before = counter.steps;
    dfa.matchEnd(text, 0, false, undefined);
    expect(counter.steps - before).toBe(text.length);
  });
});
