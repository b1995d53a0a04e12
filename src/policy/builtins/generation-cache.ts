/**
 * Keeps what was made for a text: the last `most` of them for sure and twice as many at most, so that what policies ask
 * for again and again stays, whatever callers send.
 */
export class GenerationCache<Entry> {
  #young = new Map<string, Entry>();
  #old = new Map<string, Entry>();
  readonly #most: number;
  readonly #longestKey: number;

  constructor(most: number, longestKey: number) {
    this.#most = most;
    this.#longestKey = longestKey;
  }

  get(key: string): Entry | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  /** Entries of longer keys are not kept. */
  set(key: string, entry: Entry): void {
    if (key.length > this.#longestKey) return;
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, entry);
  }
}
