import { type GlobNode, parseGlob } from './glob-syntax.ts';

/** What compiled globs and matching are charged to. */
interface Budget {
  charge(steps: number): void;
}

export interface GlobMatcher {
  matches(text: string, budget: Budget): boolean;
}

/** One place in a glob: what one character leads to, or where one can be without reading any. */
type Place =
  | { readonly type: 'end' }
  | { readonly type: 'fork'; next: readonly number[] }
  | { readonly type: 'read'; readonly takes: (unit: number) => boolean; next: number };

/** Sets of places that are kept, and their members in all. */
const MOST_STATES = 64;
const MOST_MEMBERS = 4_000;

/**
 * Compiles a glob; throws a `SyntaxError` for what is none. Matching takes time linear in the text for each glob: at
 * most the product of both, and once for each state and character that were met before.
 */
export function compileGlob(pattern: string, delimiters: readonly number[], budget: Budget): GlobMatcher {
  budget.charge(pattern.length * 20 + 100);
  const places = placesOf(parseGlob(pattern), new Set(delimiters));
  return createAutomaton(places);
}

/** The places of a glob; the last one is its end, the first one its start. */
function placesOf(nodes: readonly GlobNode[], delimiters: ReadonlySet<number>): readonly Place[] {
  const places: Place[] = [];
  const isAny = delimiters.size === 0 ? always : (unit: number) => !delimiters.has(unit);

  function fork(): Extract<Place, { type: 'fork' }> {
    const place = { type: 'fork' as const, next: [] };
    places.push(place);
    return place;
  }

  function read(takes: (unit: number) => boolean): void {
    places.push({ type: 'read', takes, next: places.length + 1 });
  }

  /** Adds places so that what comes next is reached behind them. */
  function add(sequence: readonly GlobNode[]): void {
    for (const node of sequence) {
      switch (node.type) {
        case 'text':
          for (const unit of node.units) read((other) => other === unit);
          break;
        case 'any':
          read(isAny);
          break;
        case 'class':
          read(classOf(node));
          break;
        case 'star': {
          const start = fork();
          const at = places.length - 1;
          places.push({ type: 'read', takes: node.crossing ? always : isAny, next: at });
          start.next = [at + 1, at + 2];
          break;
        }
        case 'one_of': {
          const start = fork();
          const starts: number[] = [];
          const ends: Extract<Place, { type: 'fork' }>[] = [];
          for (const alternative of node.alternatives) {
            starts.push(places.length);
            add(alternative);
            ends.push(fork());
          }
          start.next = starts;
          for (const end of ends) end.next = [places.length];
          break;
        }
      }
    }
  }

  add(nodes);
  places.push({ type: 'end' });
  return places;
}

function always(): boolean {
  return true;
}

function classOf({ ranges, negated }: Extract<GlobNode, { type: 'class' }>): (unit: number) => boolean {
  if (ranges.length === 1) {
    const [low, high] = ranges[0] ?? [0, 0];
    return (unit) => (unit >= low && unit <= high) !== negated;
  }
  const members = new Set(ranges.map(([member]) => member));
  return (unit) => members.has(unit) !== negated;
}

/** A set of places that can be reached at once, and where each character leads from it. */
interface State {
  readonly places: readonly number[];
  readonly accepting: boolean;
  /** By ASCII character. */
  readonly ascii: (State | undefined)[];
  readonly next: Map<number, State>;
}

const NO_STATES: readonly undefined[] = Array.from({ length: 0x80 }, () => undefined);

function createAutomaton(places: readonly Place[]): GlobMatcher {
  const end = places.length - 1;
  let states = new Map<string, State>();
  let members = 0;
  let initial: State | undefined;

  /** All that is reached from these without reading. */
  function stateOf(entries: readonly number[]): State {
    const reached = new Set<number>();
    const open = [...entries];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (reached.has(at)) continue;
      reached.add(at);
      const place = places[at];
      if (place?.type === 'fork') open.push(...place.next);
    }
    const list = [...reached].filter((at) => places[at]?.type !== 'fork').sort((a, b) => a - b);
    const name = list.join();
    const known = states.get(name);
    if (known !== undefined) return known;
    if (states.size >= MOST_STATES || members + list.length > MOST_MEMBERS) {
      states = new Map();
      members = 0;
      initial = undefined;
    }
    const state = {
      places: list,
      accepting: reached.has(end),
      ascii: Array.from(NO_STATES),
      next: new Map<number, State>(),
    };
    states.set(name, state);
    members += list.length;
    return state;
  }

  function step(state: State, unit: number): State {
    const entries: number[] = [];
    for (const at of state.places) {
      const place = places[at];
      if (place?.type === 'read' && place.takes(unit)) entries.push(place.next);
    }
    return stateOf(entries);
  }

  function learn(state: State, unit: number, budget: Budget): State {
    const known = state.next.get(unit);
    if (known !== undefined) return known;
    budget.charge(places.length * 8);
    const next = step(state, unit);
    if (unit < 0x80) {
      state.ascii[unit] = next;
    } else if (state.next.size < MOST_STATES) state.next.set(unit, next);
    return next;
  }

  return {
    matches(text, budget) {
      budget.charge(text.length >> 2);
      initial ??= stateOf([0]);
      let state = initial;
      for (let at = 0; at < text.length; at++) {
        let unit = text.charCodeAt(at);
        if (unit >= 0xd800 && unit <= 0xdbff) unit = text.codePointAt(at++) ?? 0;
        state = (unit < 0x80 ? state.ascii[unit] : undefined) ?? learn(state, unit, budget);
        if (state.places.length === 0) return false;
      }
      return state.accepting;
    },
  };
}
