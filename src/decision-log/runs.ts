/** A run of this many characters that two texts share is taken for a part of the one in the other. */
export const RUN_AT_LEAST = 24;

/** A search for runs, for one event, which bounds what the event may cost. */
export interface RunSearch {
  /** Whether the text shares a run; `true` also when that would take too long to tell. */
  isSharedBy(other: string): boolean;
}

/** A text whose runs other texts may share: such a run holds a whole window of 12 characters at a multiple of 13. */
export class Runs {
  readonly #text: string;
  #trigrams: Uint32Array | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  search(): RunSearch {
    let searched = 0;
    return {
      isSharedBy: (other) => {
        if (other.length < RUN_AT_LEAST || this.#text === '') return false;
        for (let at = 0; at + WINDOW <= other.length; at += RUN_AT_LEAST - WINDOW + 1) {
          searched += this.#text.length;
          if (searched > MAX_SEARCHED || this.#holdsWindow(other, at)) return true;
        }
        return false;
      },
    };
  }

  #holdsWindow(other: string, at: number): boolean {
    this.#trigrams ??= trigramsOf(this.#text);
    for (let from = at; from <= at + WINDOW - 3; from += 1) {
      const bit = bitOf(other, from);
      if (((this.#trigrams[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
    }
    return this.#text.includes(other.slice(at, at + WINDOW));
  }
}

const WINDOW = 12;

/** Characters that are searched for one event, about half a millisecond; texts beyond it count as sharing a run. */
const MAX_SEARCHED = 512 * 1024;

/** Of the text's threes of characters, hashed: one that is not here is not in the text, which most windows tell at once. */
function trigramsOf(text: string): Uint32Array {
  const trigrams = new Uint32Array(TRIGRAM_BITS / 32);
  for (let at = 0; at + 3 <= text.length; at += 1) {
    const bit = bitOf(text, at);
    trigrams[bit >>> 5] = (trigrams[bit >>> 5] ?? 0) | (1 << (bit & 31));
  }
  return trigrams;
}

const TRIGRAM_BITS = 8192;

function bitOf(text: string, at: number): number {
  const hash = text.charCodeAt(at) + text.charCodeAt(at + 1) * 131 + text.charCodeAt(at + 2) * 17_161;
  return (hash ^ (hash >>> 13)) & (TRIGRAM_BITS - 1);
}
