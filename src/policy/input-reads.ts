/** What is known to be read at and below one path of a value; it only ever grows. */
export interface Reads {
  whole: boolean;
  readonly members: Map<string, Reads>;
}

/** Counts every new thing learnt, so that the end is seen. */
export interface Growth {
  count: number;
}

/** Deeper paths are read whole: a loop that descends has no end of its own. */
export const MAX_PATH_DEPTH = 12;

export function newReads(): Reads {
  return { whole: false, members: new Map() };
}

export function readWhole(reads: Reads, growth: Growth): void {
  if (reads.whole) return;
  reads.whole = true;
  growth.count++;
}

export function memberOf(reads: Reads, name: string, growth: Growth): Reads {
  let member = reads.members.get(name);
  if (member === undefined) {
    member = newReads();
    reads.members.set(name, member);
    growth.count++;
  }
  return member;
}

/** Adds what is read in one place to what is read in another, which lies `depth` below its root. */
export function mergeReads(into: Reads, from: Reads, depth: number, growth: Growth): void {
  if (into === from || into.whole) return;
  if (from.whole || (depth >= MAX_PATH_DEPTH && from.members.size > 0)) {
    readWhole(into, growth);
    return;
  }
  for (const [name, member] of from.members) mergeReads(memberOf(into, name, growth), member, depth + 1, growth);
}
