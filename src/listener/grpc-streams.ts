import type { ServerHttp2Session } from 'node:http2';
import { types } from 'node:util';

/**
 * Gives a new session a table of streams whose past can be collected; answers whether it could. Node keeps the streams
 * of a session in a `Map`, V8 a pointer from each hash table that a Map outgrew to the next one. Calls come and go, so
 * there is a new table every few dozen. Once a full collection has moved one of them among what is old, it and every
 * later one, with the streams in them, outlive all scavenges until the next full collection, which does the same again.
 * Where Node keeps its table otherwise, nothing is changed, and only garbage costs more.
 */
export function renewStreamTable(session: ServerHttp2Session): boolean {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  if (key === undefined) return false;
  // What a symbol of Node's leads to is no part of its types; all that is used of it is looked at here.
  const state = (session as unknown as Readonly<Record<symbol, unknown>>)[key];
  if (typeof state !== 'object' || state === null || !('streams' in state)) return false;
  if (!types.isMap(state.streams) || state.streams.size > 0) return false;
  state.streams = new StreamTable();
  return true;
}

/** A Map that begins anew, with what is in it, after so many deletions: what came before is then nobody's next. */
class StreamTable<K, V> extends Map<K, V> {
  #now = new Map<K, V>();
  #deletions = 0;

  override get size(): number {
    return this.#now.size;
  }

  override get(key: K): V | undefined {
    return this.#now.get(key);
  }

  override has(key: K): boolean {
    return this.#now.has(key);
  }

  override set(key: K, value: V): this {
    this.#now.set(key, value);
    return this;
  }

  override delete(key: K): boolean {
    if (!this.#now.delete(key)) return false;
    this.#deletions += 1;
    if (this.#deletions > RENEWED_AFTER && this.#deletions > this.#now.size) {
      this.#now = new Map(this.#now);
      this.#deletions = 0;
    }
    return true;
  }

  override clear(): void {
    this.#now = new Map();
  }

  override forEach(each: (value: V, key: K, map: Map<K, V>) => void, of?: unknown): void {
    // A copy: whoever is told of a stream may delete it, and so begin anew.
    for (const [key, value] of [...this.#now]) each.call(of, value, key, this);
  }

  override entries(): MapIterator<[K, V]> {
    return this.#now.entries();
  }

  override keys(): MapIterator<K> {
    return this.#now.keys();
  }

  override values(): MapIterator<V> {
    return this.#now.values();
  }

  override [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#now.entries();
  }
}

const RENEWED_AFTER = 512;
