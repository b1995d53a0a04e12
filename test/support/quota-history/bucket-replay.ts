import { admit, advance, emptyBucket, fits, type Moment, toState } from '../../../src/quota/arithmetic.ts';
import type { Bucket, BucketTerms } from '../../../src/quota/bucket.ts';
import type { BucketEvent, BucketHistory } from './bucket-events.ts';
import {
  compare,
  copyBucket,
  describe,
  isSame,
  knownMoments,
  type Now,
  perform,
  renewalsIn,
  startOf,
  toDeadlines,
  within,
} from './bucket-steps.ts';
import type { Span } from './history.ts';

export interface Replay {
  /** The writes in an order that explains all that was told; where there is none, about as they happened. */
  readonly order: readonly BucketEvent[];
  readonly fault?: ReplayFault;
}

interface ReplayFault {
  readonly version: number;
  readonly message: string;
}

/** How often the search may turn back before it gives up, which is a fault. */
const MOST_TURNS = 100_000;
const MOST_SEEN = 200_000;
const MOST_CHOICES = 5_000;

/**
 * Looks for an order of a bucket's writes in which each has the version that was told, none stands before one that had
 * ended when it began, and the arithmetic repeats every level, hold and wait. Where a write's moment is known only to
 * lie between two, both ends are computed: a level is monotonic in it.
 */
export function replayBucket({ terms, writes, reads, hidden }: BucketHistory): Replay {
  const writeOf = new Map<number, BucketEvent>();
  for (const write of writes) {
    const version = write.state?.version ?? 0;
    if (writeOf.has(version)) return failed({ version, message: 'was written twice' });
    writeOf.set(version, write);
  }
  const readsOf = Map.groupBy(reads, ({ state }) => state?.version ?? 0);
  let last = 0;
  for (const versions of [writeOf, readsOf]) for (const version of versions.keys()) last = Math.max(last, version);
  const groups = [...hidden].sort((one, other) => startOf(one) - startOf(other));
  const deadlines = toDeadlines(writes, groups);
  const lastEnds = groups.map(({ events }) => Math.max(...events.map(({ endUs }) => endUs)));
  const renewalsOf = renewalsIn(groups);
  const { earliest, latest } = knownMoments(last, writeOf, readsOf);
  const placed = new Uint8Array(groups.length);
  const placedTakes = new Set<number>();

  let state: State = {
    version: 0,
    low: undefined,
    high: undefined,
    lastStartUs: Number.NEGATIVE_INFINITY,
    firstOpen: 0,
  };
  const trail: number[] = [];
  const takes: number[] = [];
  const choices: Choice[] = [];
  let turns = 0;
  let furthest: ReplayFault = { version: -1, message: '' };
  const order: BucketEvent[] = [];
  const seen = new Set<string>();

  for (;;) {
    const fault = step();
    if (fault === 'end') return { order };
    if (fault === undefined) continue;
    if (state.version > furthest.version) furthest = { version: state.version, message: fault };
    turns += 1;
    if (turns > MOST_TURNS) return failed({ ...furthest, message: `${furthest.message} (the search was given up)` });
    if (!turnBack()) return failed(furthest);
  }

  function failed(fault: ReplayFault): Replay {
    const sure = hidden.flatMap(({ events: [first], optional }) => (first === undefined || optional ? [] : [first]));
    return { fault, order: [...writes, ...sure].sort((one, other) => one.startUs - other.startUs) };
  }

  function step(): string | undefined {
    const { version } = state;
    // What may never have taken place and is over did not.
    while (
      placed[state.firstOpen] === 1 ||
      (lastEnds[state.firstOpen] ?? Number.POSITIVE_INFINITY) < state.lastStartUs
    ) {
      if (placed[state.firstOpen] !== 1 && deadlines[state.firstOpen] !== Number.POSITIVE_INFINITY) break;
      state.firstOpen += 1;
    }
    for (const read of readsOf.get(version) ?? []) {
      const wrong = inOrder(read) ?? look(read);
      if (wrong !== undefined) return wrong;
    }
    for (const { startUs } of readsOf.get(version) ?? []) state.lastStartUs = Math.max(state.lastStartUs, startUs);
    if (version >= last && !isOneLeft()) return 'end';
    const next = writeOf.get(version + 1);
    if (next !== undefined) return inOrder(next) ?? overdue(next.startUs, -1) ?? write(next, next.atMs);
    if (isSeen()) return 'was tried before';
    const candidates = candidatesFor(version);
    const [first] = candidates;
    if (first === undefined) return 'was written by no operation that could have';
    if (candidates.length > 1) {
      choices.push({
        state: copyState(state),
        candidates,
        next: 1,
        trail: trail.length,
        takes: takes.length,
        order: order.length,
      });
      if (choices.length > MOST_CHOICES) choices.splice(0, MOST_CHOICES / 2);
    }
    return place(first);
  }

  /** Whether the same writes in another order had led here: most commute. */
  function isSeen(): boolean {
    const { version, low, high, firstOpen, lastStartUs } = state;
    let key = `${version} ${low?.level} ${low?.atMs} ${high?.level} ${high?.atMs} ${firstOpen}`;
    for (let at = firstOpen; at < groups.length && startOf(groups[at]) <= lastStartUs; at += 1) {
      if (placed[at] === 1) key += ` ${at}`;
    }
    if (seen.has(key)) return true;
    if (seen.size >= MOST_SEEN) seen.clear();
    seen.add(key);
    return false;
  }

  function isOneLeft(): boolean {
    for (let at = state.firstOpen; at < groups.length; at += 1) {
      if (placed[at] === 0 && (deadlines[at] ?? 0) < Number.POSITIVE_INFINITY) return true;
    }
    return false;
  }

  function turnBack(): boolean {
    for (;;) {
      const choice = choices.at(-1);
      turns += 1;
      if (choice === undefined || turns > MOST_TURNS) return false;
      for (const group of trail.splice(choice.trail)) placed[group] = 0;
      for (const take of takes.splice(choice.takes)) placedTakes.delete(take);
      order.length = choice.order;
      state = copyState(choice.state);
      const candidate = choice.candidates[choice.next];
      choice.next += 1;
      if (choice.next >= choice.candidates.length) choices.pop();
      if (candidate !== undefined && place(candidate) === undefined) return true;
    }
  }

  function candidatesFor(version: number): Candidate[] {
    let untilUs = Number.POSITIVE_INFINITY;
    for (let ahead = version + 2; ahead <= last; ahead += 1) {
      const next = writeOf.get(ahead);
      if (next === undefined) continue;
      untilUs = next.endUs;
      break;
    }
    for (let at = state.firstOpen; at < groups.length && startOf(groups[at]) <= untilUs; at += 1) {
      if (placed[at] === 0) untilUs = Math.min(untilUs, deadlines[at] ?? untilUs);
    }
    const found: Candidate[] = [];
    for (let at = state.firstOpen; at < groups.length; at += 1) {
      const group = groups[at];
      if (group === undefined || startOf(group) > untilUs) break;
      if (placed[at] === 1 || (group.after !== undefined && !placedTakes.has(group.after))) continue;
      for (const one of group.events) {
        if (one.startUs > untilUs || one.endUs < state.lastStartUs) continue;
        for (const span of spansOf(one)) found.push({ group: at, event: one, span });
      }
    }
    return found.sort((one, other) => one.event.endUs - other.event.endUs);
  }

  /** The moments of a write, cut where holds end or windows begin: between two cuts all depends on time monotonically. */
  function spansOf({ atMs }: BucketEvent): Span[] {
    if (atMs[0] === atMs[1]) return [atMs];
    // A server's clock does not go back, and what tells its moment stands on both sides.
    const first = Math.max(atMs[0], (earliest[state.version] ?? atMs[0]) - 1);
    const final = Math.min(atMs[1], latest[state.version + 1] ?? atMs[1]);
    if (first > final) return [];
    const cuts = new Set<number>();
    for (const bucket of [state.low, state.high]) {
      for (const { deadlineMs } of bucket?.holds ?? [])
        if (deadlineMs > first && deadlineMs <= final) cuts.add(deadlineMs);
    }
    const boundary = terms.windows?.at(first).endMs;
    if (boundary !== undefined && boundary <= final) cuts.add(boundary);
    const starts = [first, ...[...cuts].sort((one, other) => one - other)];
    return starts.map((start, at): Span => [start, (starts[at + 1] ?? final + 1) - 1]);
  }

  function place({ group, event, span }: Candidate): string | undefined {
    const wrong = inOrder(event) ?? overdue(event.startUs, group);
    if (wrong !== undefined) return wrong;
    placed[group] = 1;
    trail.push(group);
    return write(event, span);
  }

  function inOrder(one: BucketEvent): string | undefined {
    if (one.endUs >= state.lastStartUs) return undefined;
    return `${describe(one)} had ended before something began that was written earlier`;
  }

  /** A hidden write that had ended when this one began must have been written. */
  function overdue(startUs: number, but: number): string | undefined {
    for (let at = state.firstOpen; at < groups.length && startOf(groups[at]) < startUs; at += 1) {
      if (at === but || placed[at] === 1 || (deadlines[at] ?? 0) >= startUs) continue;
      return `${describe(groups[at]?.events[0])} had ended and was not written yet`;
    }
    return undefined;
  }

  function look(read: BucketEvent): string | undefined {
    const told = read.state;
    if (told === undefined) return undefined;
    const cost = read.action.kind === 'take' ? read.action.charge.cost : 0;
    const low = copyBucket(state.low);
    const high = state.high === state.low ? low : copyBucket(state.high);
    const [first, final] = read.atMs;
    const lowNow = broughtTo(low, read.terms, first);
    const highNow =
      high === low && first === final
        ? lowNow
        : broughtTo(high === low ? copyBucket(state.high) : high, read.terms, final);
    return compare(read, told, lowNow, highNow, (bucket, moment) => toState(bucket, read.terms, moment, cost));
  }

  function write(one: BucketEvent, [first, final]: Span): string | undefined {
    state.version += 1;
    order.push(one);
    state.lastStartUs = Math.max(state.lastStartUs, one.startUs);
    passRenewals(first);
    const isExact = first === final;
    const fork = state.high !== state.low || !isExact;
    const high = fork ? copyBucket(state.high) : undefined;
    const low = broughtTo(state.low, one.terms, first);
    const upper = fork ? broughtTo(high, one.terms, final) : low;
    state.low = low.bucket;
    state.high = upper.bucket;
    const both = fork ? [low, upper] : [low];
    const { action, state: told } = one;
    if (action.kind === 'take' && told !== undefined) {
      const { charge, id } = action;
      const before =
        told.level -
        (charge.hold === undefined && charge.terms.kind !== 'concurrency' ? charge.cost * charge.terms.periodMs : 0);
      const wrong = within(one, 'level before', before, low.bucket.level, upper.bucket.level);
      if (wrong !== undefined) return wrong;
      for (const { bucket, moment } of both) {
        bucket.level = before;
        if (!fits(bucket, one.terms, charge.cost)) {
          const over = before / one.terms.periodMs + bucket.held + charge.cost - one.terms.burst;
          return `${describe(one)} was taken and does not fit: over by ${Math.ceil(over)}`;
        }
        admit(bucket, charge, id, moment.nowMs);
      }
      placedTakes.add(one.operation);
      takes.push(one.operation);
      const compared = compare(one, told, low, upper, (bucket, moment) =>
        toState(bucket, one.terms, moment, charge.cost, true),
      );
      if (compared === undefined && fork && isSame(low.bucket, upper.bucket)) state.high = state.low;
      return compared;
    }
    for (const { bucket, moment } of both) {
      const { version } = bucket;
      perform(bucket, one, moment);
      if (bucket.version === version) return `${describe(one)} would have written nothing`;
    }
    if (action.kind === 'take') {
      placedTakes.add(one.operation);
      takes.push(one.operation);
    }
    return undefined;
  }

  /**
   * What is written next ends holds, maybe by a later moment than that of a renewal that comes after it: the renewal then
   * finds the hold gone and writes nothing here. One that had ended before something began that stands already does not
   * come after it.
   */
  function passRenewals(nowMs: number): void {
    for (const { id, deadlineMs } of state.low?.holds ?? []) {
      if (deadlineMs > nowMs) return;
      for (const at of renewalsOf.get(id) ?? []) {
        if (placed[at] === 1 || (deadlines[at] ?? 0) < state.lastStartUs) continue;
        placed[at] = 1;
        trail.push(at);
      }
    }
  }

  function broughtTo(bucket: Bucket | undefined, current: BucketTerms, nowMs: number): Now {
    const moment: Moment = { nowMs, ...(terms.windows?.at(nowMs) ?? { startMs: 0, endMs: 0 }) };
    const opened = bucket ?? emptyBucket(current, moment);
    advance(opened, current, moment);
    return { bucket: opened, moment };
  }
}

function copyState(state: State): State {
  const low = copyBucket(state.low);
  return { ...state, low, high: state.high === state.low ? low : copyBucket(state.high) };
}

/** `low` and `high` are one object where no moment is in doubt. */
interface State {
  version: number;
  low: Bucket | undefined;
  high: Bucket | undefined;
  lastStartUs: number;
  firstOpen: number;
}

interface Candidate {
  readonly group: number;
  readonly event: BucketEvent;
  readonly span: Span;
}

interface Choice {
  readonly state: State;
  readonly candidates: readonly Candidate[];
  next: number;
  readonly trail: number;
  readonly takes: number;
  readonly order: number;
}
