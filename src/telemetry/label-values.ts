/** What stands for every label value beyond the bound. */
export const OTHER = 'other';

/** Answers the value itself while there are at most `max` distinct ones, {@link OTHER} from then on. */
export type BoundLabel = (value: string) => string;

/** Bounds one label, so that nobody's input can make a series without end; values are cut at 64 characters. */
export function createBoundLabel(max: number): BoundLabel {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    const cut = value.length > MAX_LENGTH ? value.slice(0, MAX_LENGTH).toWellFormed() : value.toWellFormed();
    if (known.has(cut)) return cut;
    if (known.size >= max) return OTHER;
    known.add(cut);
    return cut;
  };
}

const MAX_LENGTH = 64;
