import { compare, sortingSteps } from './order.ts';
import type { Value } from './value.ts';
import { ValueMap } from './value-map.ts';
import { countWork } from './work.ts';

/** A set of values. Changed only by the evaluation that is making it. */
export class RegoSet {
  /** Many sets stay empty. */
  #members: ValueMap<Value> | undefined;
  #list: readonly Value[] | undefined;
  #sorted: readonly Value[] | undefined;

  static of(values: Iterable<Value>): RegoSet {
    const set = new RegoSet();
    for (const value of values) set.add(value);
    return set;
  }

  get size(): number {
    return this.#members?.size ?? 0;
  }

  /** The first of equal values stays. */
  add(value: Value): void {
    this.#members ??= new ValueMap();
    if (this.#members.has(value)) return;
    this.#members.set(value, value);
    this.#list = undefined;
    this.#sorted = undefined;
  }

  has(value: Value): boolean {
    return this.#members?.has(value) ?? false;
  }

  /** The member that equals the value. */
  get(value: Value): Value | undefined {
    return this.#members?.get(value);
  }

  /** In no order that means anything; the list is kept. */
  list(): readonly Value[] {
    this.#list ??= this.#members?.list() ?? [];
    return this.#list;
  }

  /** In Rego's order; the list is kept. */
  sorted(): readonly Value[] {
    if (this.#sorted === undefined) {
      countWork(sortingSteps(this.size));
      this.#sorted = this.#members?.list().sort(compare) ?? [];
    }
    return this.#sorted;
  }
}
