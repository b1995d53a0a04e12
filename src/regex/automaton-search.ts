import { Backtracker } from './backtracker.ts';
import type { StepCounter } from './cost.ts';
import { DfaStates } from './dfa-states.ts';
import { GAVE_UP, LazyDfa, NO_MATCH } from './lazy-dfa.ts';
import type { Prefilters } from './prefilter.ts';
import type { Programs } from './program.ts';
import type { Search } from './search.ts';
import { type Places, ThreadMachine } from './thread-machine.ts';

/** Searches with lazy DFAs, which say where a match ends and begins; threads find its groups, and all where a DFA gives up. */
export function createAutomatonSearch(programs: Programs, prefilters: Prefilters, counter: StepCounter): Search {
  const { forward, backward, alphabet } = programs;
  const dfaOf = (longest: boolean): LazyDfa => {
    const program = longest ? backward : forward;
    return new LazyDfa(new DfaStates({ program, alphabet, longest, counter }), alphabet, counter);
  };
  const ends = dfaOf(false);
  const matchEnd = (text: string, from: number, onlyWhether: boolean): number => {
    if (from === 0 && prefilters.mayMatch?.(text) === false) {
      counter.addRead(text.length);
      return NO_MATCH;
    }
    return ends.matchEnd(text, from, onlyWhether, prefilters.starts);
  };
  let starts: LazyDfa | undefined;
  let backtracker: Backtracker | undefined;
  let machine: ThreadMachine | undefined;

  const threads = (): ThreadMachine => {
    machine ??= new ThreadMachine(forward, alphabet, counter);
    return machine;
  };

  const exec = (text: string, from: number, groups: boolean): Places | undefined => {
    const end = matchEnd(text, from, false);
    if (end === NO_MATCH) return undefined;
    if (end === GAVE_UP) return threads().exec(text, { from, end: text.length, fixed: false, groups });
    starts ??= dfaOf(true);
    const start = starts.matchStart(text, from, end);
    if (start < 0) return threads().exec(text, { from, end: text.length, fixed: false, groups });
    if (!groups || forward.slots === 2) return [start, end];
    backtracker ??= new Backtracker(forward, alphabet, counter);
    return backtracker.takes(end - start)
      ? backtracker.exec(text, start, end)
      : threads().exec(text, { from: start, end, fixed: true, groups });
  };

  return {
    weight: 1,
    test: (text) => {
      const end = matchEnd(text, 0, true);
      return end === GAVE_UP
        ? threads().exec(text, { from: 0, end: text.length, fixed: false, groups: false }) !== undefined
        : end !== NO_MATCH;
    },
    exec,
  };
}
