import { decodeJsonString } from './json-string.ts';

/** Up to here keys are compared as bytes, which makes no strings; beyond it a map keeps the time linear. */
const FEW = 12;

/** The keys of one open JSON object, by their positions in the document. */
export class ObjectKeys {
  readonly #bytes: Uint8Array;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #places: Map<string, number> | undefined;
  #indexed = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many keys were put into a map since it was asked last: each costs a text and an entry. */
  takeIndexed(): number {
    const indexed = this.#indexed;
    this.#indexed = 0;
    return indexed;
  }

  clear(): void {
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#places = undefined;
  }

  /** Notes the key whose quotes stand at `start` and before `end`; the start of the last equal one, -1 if none. */
  add(start: number, end: number, escaped: boolean): number {
    if (this.#places === undefined && (escaped || this.#starts.length === FEW)) this.#index();
    const place = this.#places === undefined ? this.#findBytes(start, end) : this.#findName(start, end, escaped);
    this.#starts.push(start);
    this.#ends.push(end);
    return place < 0 ? -1 : (this.#starts[place] ?? -1);
  }

  /** Where the key after the one at `start` begins; only asked of keys that have a later one. */
  startAfter(start: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= start) low = middle + 1;
      else high = middle;
    }
    return this.#starts[low] ?? start;
  }

  #index(): void {
    this.#indexed += this.#starts.length;
    this.#places = new Map(
      this.#starts.map((start, place) => [
        decodeJsonString(this.#bytes, start, this.#ends[place] ?? start, false),
        place,
      ]),
    );
  }

  #findName(start: number, end: number, escaped: boolean): number {
    const name = decodeJsonString(this.#bytes, start, end, escaped);
    const place = this.#places?.get(name) ?? -1;
    this.#indexed += 1;
    this.#places?.set(name, this.#starts.length);
    return place;
  }

  #findBytes(start: number, end: number): number {
    const bytes = this.#bytes;
    const length = end - start;
    for (let place = this.#starts.length - 1; place >= 0; place--) {
      const other = this.#starts[place] ?? 0;
      if ((this.#ends[place] ?? 0) - other !== length) continue;
      let i = 1;
      while (i < length && bytes[start + i] === bytes[other + i]) i++;
      if (i === length) return place;
    }
    return -1;
  }
}
