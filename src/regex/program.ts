import { type Alphabet, createAlphabet } from './alphabet.ts';
import { ANY, type CharSet } from './char-set.ts';
import { isNullable, LOOK, type Look, type Node, type Repeat } from './syntax-tree.ts';

/** What an instruction does before it goes on to `next`. */
export const OP = {
  /** Takes a code point of the set `argument`. */
  take: 0,
  /** Goes to `next`, and to `argument` with less preference. */
  split: 1,
  /** Goes on where the assertion `argument` holds. */
  look: 2,
  /** Notes the place in slot `argument`. */
  note: 3,
  match: 4,
} as const;

/** A Thompson automaton; `entry` begins a match at once, `scan` first passes over as little text as it must. */
export interface Program {
  readonly length: number;
  readonly ops: Uint8Array;
  readonly next: Int32Array;
  readonly arguments: Int32Array;
  readonly entry: number;
  readonly scan: number;
  /** Two for each group, the whole match first. */
  readonly slots: number;
}

/** Both directions of one pattern, over one alphabet. */
export interface Programs {
  readonly forward: Program;
  /** Reads from the end of a match to its start; notes nothing. */
  readonly backward: Program;
  readonly alphabet: Alphabet;
  /** Whether the pattern has any assertion that looks at what stands before a place. */
  readonly looks: boolean;
}

/** Compiles as Go's `regexp/syntax` does, so that preferences are the same. `undefined` where the alphabet is too large. */
export function compilePrograms(root: Node, groupCount: number, anchored: boolean): Programs | undefined {
  const sets = new SetTable();
  const forward = assemble(root, sets, false, groupCount, anchored);
  const backward = assemble(root, sets, true, groupCount, true);
  const looks = sets.looks;
  const alphabet = createAlphabet(sets.list, {
    lines: looks.has(LOOK.beginLine) || looks.has(LOOK.endLine),
    words: looks.has(LOOK.wordBoundary) || looks.has(LOOK.noWordBoundary),
  });
  return alphabet && { forward, backward, alphabet, looks: looks.size > 0 };
}

/** The sets of a pattern by number, each once. */
class SetTable {
  readonly list: CharSet[] = [];
  readonly looks = new Set<Look>();
  readonly #numbers = new Map<string, number>();

  numberOf(set: CharSet): number {
    const key = set.join();
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.list.push(set) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

interface Assembly {
  readonly ops: number[];
  readonly next: number[];
  readonly arguments: number[];
  readonly sets: SetTable;
  readonly backward: boolean;
  readonly numbers: Map<CharSet, number>;
}

function assemble(root: Node, sets: SetTable, backward: boolean, groupCount: number, anchored: boolean): Program {
  const assembly: Assembly = { ops: [], next: [], arguments: [], sets, backward, numbers: new Map() };
  const match = emit(assembly, OP.match, 0, 0);
  const entry = compile(assembly, root, match);
  let scan = entry;
  if (!anchored) {
    scan = emit(assembly, OP.split, entry, 0);
    assembly.arguments[scan] = emit(assembly, OP.take, scan, numberOf(assembly, ANY));
  }
  return {
    length: assembly.ops.length,
    ops: Uint8Array.from(assembly.ops),
    next: Int32Array.from(assembly.next),
    arguments: Int32Array.from(assembly.arguments),
    entry,
    scan,
    slots: 2 * (groupCount + 1),
  };
}

function emit(assembly: Assembly, op: number, next: number, argument: number): number {
  assembly.ops.push(op);
  assembly.arguments.push(argument);
  return assembly.next.push(next) - 1;
}

function numberOf(assembly: Assembly, set: CharSet): number {
  let number = assembly.numbers.get(set);
  if (number === undefined) {
    number = assembly.sets.numberOf(set);
    assembly.numbers.set(set, number);
  }
  return number;
}

/** The first instruction of `node`, which goes on to `next`; so what comes last is compiled first. */
function compile(assembly: Assembly, node: Node, next: number): number {
  switch (node.kind) {
    case 'set':
      return emit(assembly, OP.take, next, numberOf(assembly, node.set));
    case 'look':
      assembly.sets.looks.add(node.look);
      return emit(assembly, OP.look, next, assembly.backward ? MIRRORED[node.look] : node.look);
    case 'group': {
      if (assembly.backward) return compile(assembly, node.body, next);
      const end = emit(assembly, OP.note, next, 2 * node.index + 1);
      return emit(assembly, OP.note, compile(assembly, node.body, end), 2 * node.index);
    }
    case 'sequence': {
      const parts = assembly.backward ? node.parts : node.parts.toReversed();
      return parts.reduce((behind, part) => compile(assembly, part, behind), next);
    }
    case 'choice': {
      const entries = node.parts.map((part) => compile(assembly, part, next));
      return entries.reduceRight((less, preferred) => emit(assembly, OP.split, preferred, less));
    }
    case 'repeat':
      return compileRepeat(assembly, node, next);
  }
}

/** Reading backward, the text's start is where it ends. */
const MIRRORED: Readonly<Record<Look, Look>> = {
  [LOOK.beginText]: LOOK.endText,
  [LOOK.endText]: LOOK.beginText,
  [LOOK.beginLine]: LOOK.endLine,
  [LOOK.endLine]: LOOK.beginLine,
  [LOOK.wordBoundary]: LOOK.wordBoundary,
  [LOOK.noWordBoundary]: LOOK.noWordBoundary,
};

function compileRepeat(assembly: Assembly, repeat: Repeat, next: number): number {
  const { body, min, max, greedy } = repeat;
  let entry = next;
  let copies = min;
  if (max === Infinity) {
    // `x{2,}` is `xx+`. `x*` of an `x` that may be empty is `(x+)?`: https://go.dev/issue/46123.
    const loop = compileLoop(assembly, body, greedy, next);
    if (min === 0) return isNullable(body) ? choose(assembly, loop.entry, next, greedy) : loop.split;
    entry = loop.entry;
    copies = min - 1;
  } else {
    // `x{0,2}` is `(x(x)?)?`.
    for (let extra = min; extra < max; extra++) {
      entry = choose(assembly, compile(assembly, body, entry), next, greedy);
    }
  }
  for (let copy = 0; copy < copies; copy++) entry = compile(assembly, body, entry);
  return entry;
}

function compileLoop(
  assembly: Assembly,
  body: Node,
  greedy: boolean,
  next: number,
): { readonly entry: number; readonly split: number } {
  const split = choose(assembly, next, next, greedy);
  const entry = compile(assembly, body, split);
  (greedy ? assembly.next : assembly.arguments)[split] = entry;
  return { entry, split };
}

function choose(assembly: Assembly, again: number, next: number, greedy: boolean): number {
  return greedy ? emit(assembly, OP.split, again, next) : emit(assembly, OP.split, next, again);
}
