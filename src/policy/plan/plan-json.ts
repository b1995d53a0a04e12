import { isObject } from '../../decision/json.ts';
import { PolicyLoadError } from '../policy-engine.ts';

/** V8 takes far more; OPA writes far less. */
export const MOST_LOCALS = 50_000;

export type Entry = Readonly<Record<string, unknown>>;

export function objectAt(value: unknown, where: string): Entry {
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  return value;
}

/** Go writes an empty list as `null`. */
export function listAt(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${where} is not a list`);
  return value;
}

export function textAt(value: unknown, where: string): string {
  if (typeof value !== 'string') throw invalid(`${where} is not a text`);
  return value;
}

export function localAt(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= MOST_LOCALS) {
    throw invalid(`${where} is no local`);
  }
  return value;
}

/** What is not known may mean something. */
export function only(entry: Entry, where: string, known: readonly string[]): void {
  // Without a list of them, as there are many entries: nothing is inherited by what JSON is read to.
  for (const key in entry) if (!known.includes(key)) throw invalid(`${where} has an unknown member`);
}

/** What is nested beyond the stack of whoever walks it is no plan either. */
export function withinStack<T>(walk: () => T): T {
  try {
    return walk();
  } catch (error) {
    if (error instanceof RangeError) throw invalid('it is nested too deeply');
    throw error;
  }
}

export function invalid(message: string, options?: ErrorOptions): PolicyLoadError {
  return new PolicyLoadError('invalid_plan', `\`plan.json\`: ${message}`, options);
}
