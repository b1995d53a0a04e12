import type { RE2JS } from 're2js';
import type { StepCounter } from './cost.ts';
import type { Search } from './search.ts';

/** Searches with re2js: for what this library leaves to it. */
export function createRe2jsSearch(pattern: RE2JS, counter: StepCounter): Search {
  const weight = Math.max(1, Math.ceil(pattern.programSize() / 4));
  // It does not say how far it reads.
  const charge = (units: number): void => {
    counter.addRead(units);
    counter.add(units * (weight - 1));
  };
  return {
    weight,
    test: (text) => {
      charge(text.length + 1);
      return pattern.test(text);
    },
    exec: (text, from) => {
      charge(text.length - from + 1);
      const matcher = pattern.matcher(text);
      if (!matcher.find(from)) return undefined;
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_none, group) => [
        matcher.start(group),
        matcher.end(group),
      ]);
      return groups.flat();
    },
  };
}
