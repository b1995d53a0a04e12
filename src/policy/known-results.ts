import type { InputMember, PolicyInput } from '../decision/input.ts';
import type { JsonValue } from '../decision/json.ts';
import { ownText } from '../decision/own-text.ts';
import { type InputPart, inputParts, isJsonObject, memberOf, type Part } from './input-parts.ts';
import type { Projection } from './projection.ts';
import { define } from './values/object.ts';
import type { PlainObject, Value } from './values/value.ts';

/** What an entrypoint answered lately, by all of the input that it can read. */
export interface KnownResults {
  /** The result for an input that says the same as one that is kept. Throws what reading the input throws. */
  readonly find: (input: PolicyInput) => KnownResult | undefined;
  /** How often was asked. */
  asked(): number;
  /**
   * Takes the result for the input that was asked for last and is not known, of an evaluation that nothing but its input
   * and the data decided; unless something was asked since what was asked as the `nth`. Keeps every so manyth, as a copy
   * that is frozen in all its parts.
   */
  keep(value: unknown, nth: number): void;
}

export interface KnownResult {
  readonly value: unknown;
}

/**
 * Keeps a few small results for each caller who stands for many requests: one whose `identity` is one frozen object, and
 * so is gone with what was verified. Whatever a caller lets his requests differ in costs him his own places.
 */
export function createKnownResults(projection: Projection): KnownResults {
  const parts = inputParts(projection).filter(({ name }) => name !== 'identity');
  const readsCaller = projection !== 'whole' && projection.members.has('identity');
  const repeats = readsCaller && !parts.some(({ name }) => DOCUMENTS.has(name));
  let callers = new WeakMap<object, readonly Entry[]>();
  let held = 0;
  let missed = 0;
  /** Of the input that was asked for last; `undefined` where nothing is kept of it. */
  let caller: object | undefined;
  let asked = 0;
  const facts = new Facts();

  function add(of: object, entry: Entry): void {
    const before = callers.get(of) ?? NONE;
    if (held >= MAX_HELD) {
      callers = new WeakMap();
      held = 0;
    }
    if (before.length < MAX_EACH) held += 1;
    callers.set(of, [entry, ...before.slice(0, MAX_EACH - 1)]);
  }

  /** Whose the input is, with its facts; `undefined` where nothing is kept of it. */
  function read(input: PolicyInput): object | undefined {
    const identity = input.identity();
    if (typeof identity !== 'object' || !Object.isFrozen(identity) || identity === null) return undefined;
    facts.count = 0;
    for (const part of parts) if (!facts.addMember(input[part.name](), part)) return undefined;
    return identity;
  }

  return {
    find: (input) => {
      asked += 1;
      const nth = asked;
      caller = undefined;
      if (!repeats) return undefined;
      const of = read(input);
      // Reading an input may ask for another one, here and before its result is kept.
      caller = nth === asked ? of : undefined;
      if (caller === undefined) return undefined;
      for (const entry of callers.get(caller) ?? NONE) if (facts.are(entry.facts)) return entry.result;
      return undefined;
    },
    asked: () => asked,
    keep: (value, nth) => {
      if (caller === undefined || nth !== asked) return;
      missed += 1;
      // Where every request differs, few of them are worth a copy.
      if (missed % MISSES_EACH !== 0) return;
      const copy = new Copy();
      const entry = { facts: facts.list().map((fact) => copy.fact(fact)), result: { value: copy.of(value) } };
      if (copy.complete) add(caller, entry);
    },
  };
}

interface Entry {
  readonly facts: readonly unknown[];
  readonly result: KnownResult;
}

/** What is another one with every request, or large, and is not made twice to find that out. */
const DOCUMENTS: ReadonlySet<InputMember> = new Set(['attributes', 'parsed_path', 'parsed_query', 'parsed_body']);

const NONE: readonly Entry[] = [];
const MISSES_EACH = 4;
const MAX_EACH = 4;
/** Some 10 MB for each entrypoint, if all are as large as can be. */
const MAX_HELD = 4096;

/** Stands before the members of an object. */
const OBJECT = Symbol('object');

/**
 * All that an entrypoint can read of one input, as a list: two inputs that give the same list are the same to it. The list
 * is used again for each.
 */
class Facts {
  count = 0;
  readonly #facts: unknown[] = [];

  /** Answers `false` for what is not one scalar after the other, and so never the same. */
  addMember(value: JsonValue | undefined, { part, shared }: InputPart): boolean {
    return shared && Object.isFrozen(value) ? this.#put(value) : this.#add(value, part);
  }

  #add(value: JsonValue | undefined, part: Part): boolean {
    if (typeof value !== 'object' || value === null) return this.#put(value);
    if (part === 'whole' || !isJsonObject(value)) return false;
    this.#put(OBJECT);
    for (const member of part) if (!this.#add(memberOf(value, member), member.part)) return false;
    return true;
  }

  #put(fact: unknown): true {
    this.#facts[this.count] = fact;
    this.count += 1;
    return true;
  }

  are(others: readonly unknown[]): boolean {
    if (this.count !== others.length) return false;
    // To Rego a -0 is not what 0 is.
    for (let at = 0; at < others.length; at += 1) if (!Object.is(this.#facts[at], others[at])) return false;
    return true;
  }

  list(): readonly unknown[] {
    return this.#facts.slice(0, this.count);
  }
}

/** Copies what is small, and of plain values only. */
class Copy {
  /** Whether everything could be copied. */
  complete = true;
  #left = MAX_SIZE;

  /** Of a scalar, or of what is known by its identity. */
  fact(fact: unknown): unknown {
    if (typeof fact === 'string') return this.#text(fact);
    // Some have any number of digits.
    if (typeof fact === 'bigint' && BigInt.asIntN(64, fact) !== fact) return this.#none();
    return fact;
  }

  of(value: unknown): unknown {
    this.#left -= 1;
    if (this.#left < 0) return this.#none();
    if (typeof value !== 'object' || value === null) return this.fact(value);
    if (Array.isArray(value)) return Object.freeze(value.map((item) => this.of(item)));
    const copy: PlainObject = {};
    for (const [name, member] of Object.entries(value)) {
      // Only read as what it was copied from. A name has memory of its own.
      this.#count(name);
      define(copy, name, this.of(member) as Value);
    }
    return Object.freeze(copy);
  }

  #text(text: string): string {
    this.#count(text);
    if (text.length <= LONGEST_OWN) return text;
    return this.complete ? ownText(text) : '';
  }

  #count(text: string): void {
    this.#left -= text.length >>> 3;
    if (this.#left < 0) this.complete = false;
  }

  #none(): undefined {
    this.complete = false;
  }
}

/** V8 makes no slices of others of texts as short as these, and puts none of them together. */
const LONGEST_OWN = 12;
/** In parts and in eighths of characters. */
const MAX_SIZE = 256;
