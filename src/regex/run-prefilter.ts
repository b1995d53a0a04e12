import { LATIN } from './alphabet.ts';
import { type CharSet, contains } from './char-set.ts';
import type { Prefilter } from './prefilter.ts';
import type { Node } from './syntax-tree.ts';

const SHORTEST_RUN = 12;

/** For a pattern that begins with many code points of one set: looks at every so-manieth place only. */
export function leadingRun(first: Node): Prefilter | undefined {
  if (first.kind !== 'repeat' || first.body.kind !== 'set' || first.min < SHORTEST_RUN) return undefined;
  return createRunPrefilter(first.body.set, first.min);
}

function createRunPrefilter(set: CharSet, length: number): Prefilter {
  const latin = Uint8Array.from({ length: LATIN }, (_none, unit) => (contains(set, unit) ? 1 : 0));
  const astral = (set.at(-1) ?? 0) > 0xffff;
  // Half a pair may belong to a code point of the set.
  const holds = (unit: number): boolean =>
    unit < LATIN ? latin[unit] === 1 : contains(set, unit) || (astral && unit >= 0xd800 && unit <= 0xdfff);
  return {
    next: (text, from) => {
      let start = from;
      // Units from `start` up to here are known to hold.
      let known = from;
      while (start + length <= text.length) {
        let at = start + length - 1;
        while (at >= known && holds(text.charCodeAt(at))) at--;
        if (at < known) return startOfPair(text, start, from);
        known = start + length;
        start = at + 1;
      }
      return -1;
    },
  };
}

function startOfPair(text: string, at: number, from: number): number {
  return at > from && (text.codePointAt(at - 1) ?? 0) > 0xffff ? at - 1 : at;
}
