import { Buffer, isUtf8 } from 'node:buffer';
import { MAX_CONTAINERS, MAX_EDITS, MAX_INDEXED_KEYS, MAX_VALUES } from './json-bounds.ts';
import { decodeJsonString, hexQuad, isDigit, isProtoKey, plainEnd } from './json-string.ts';
import { ObjectKeys } from './object-keys.ts';
import { malformed, type Refusal, refuse } from './refusal.ts';

export interface JsonLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Whether an object may name a key twice; the last one wins then. */
  readonly duplicateKeys: boolean;
}

/** A member of the document's top-level object: where its value stands and what was counted in it. */
export interface JsonMember {
  /** The value's first byte: `"`, `{`, `[`, `t`, `f`, `n`, `-` or a digit. */
  readonly first: number;
  readonly start: number;
  readonly end: number;
  /** Values directly inside the value. */
  readonly elements: number;
  /** Bytes between the quotes of all string values inside, as sent; keys do not count. */
  readonly textBytes: number;
  readonly numbers: number;
}

/** Bytes to leave out or to write otherwise, so that every reader sees one value. */
export interface JsonEdit {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

export interface ScannedJson {
  readonly kind: 'json';
  /** Of the top-level object; `undefined` when the document is something else. */
  readonly members: ReadonlyMap<string, JsonMember> | undefined;
  readonly edits: readonly JsonEdit[];
  /** Whether an object of any depth has a key `__proto__`. */
  readonly hasProtoKey: boolean;
}

/**
 * Reads one JSON document (RFC 8259) in one pass without building it: strict UTF-8, no BOM, nothing after it, bounded
 * depth, bounded keys and edits. Keys are compared after unescaping. Time and memory are linear in the bytes.
 */
export function scanJson(bytes: Uint8Array, limits: JsonLimits): ScannedJson | Refusal {
  if (bytes.length > limits.maxBytes) return refuse('payload_too_large', 'the JSON body is too large to be read');
  if (!isUtf8(bytes)) return malformed('the JSON body is not UTF-8');
  return new JsonScanner(bytes, limits).scan();
}

const FAULT = 0;
const VALUE = 1;
const KEY = 2;
const AFTER = 3;
const DONE = 4;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SIMPLE_ESCAPES = new Set(Array.from('"\\/bfnrt', (character) => character.charCodeAt(0)));
const WORDS: ReadonlyMap<number, Buffer> = new Map(
  ['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]),
);

class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #limits: JsonLimits;
  readonly #isArray: boolean[] = [];
  readonly #keys: ObjectKeys[] = [];
  readonly #edits: JsonEdit[] = [];
  #members: Map<string, JsonMember> | undefined;
  #position = 0;
  #depth = 0;
  #indexedKeys = 0;
  #values = 0;
  #containers = 0;
  #hasProtoKey = false;
  #cause = '';
  /** Whether the last string held an escape. */
  #escaped = false;
  #memberName = '';
  #memberStart = 0;
  #elements = 0;
  #textBytes = 0;
  #numbers = 0;

  constructor(bytes: Uint8Array, limits: JsonLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  scan(): ScannedJson | Refusal {
    let state = VALUE;
    for (;;) {
      const byte = this.#skipSpace();
      if (state === VALUE) state = this.#value(byte);
      else if (state === AFTER) state = this.#after(byte);
      else state = this.#key(byte);
      if (state !== FAULT && this.#edits.length > MAX_EDITS) state = this.#fault('has too much that needs mending');
      if (state === FAULT) return malformed(`the JSON body ${this.#cause}`);
      if (state === DONE) return this.#done();
    }
  }

  #value(byte: number): number {
    if (this.#depth === 1 && !this.#isArray[1]) this.#memberStart = this.#position;
    if (byte === QUOTE) {
      const start = this.#position;
      if (!this.#string()) return FAULT;
      this.#textBytes += this.#position - start - 2;
      return this.#completed();
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) return this.#open(byte === OPEN_BRACKET);
    if (byte === MINUS || isDigit(byte)) {
      if (!this.#number()) return this.#fault('holds a malformed number');
      this.#numbers++;
      return this.#completed();
    }
    const word = WORDS.get(byte);
    if (word === undefined) return this.#fault(byte < 0 ? 'ends too early' : 'holds an unexpected byte');
    for (const expected of word) {
      if (this.#bytes[this.#position++] !== expected) return this.#fault('holds an unexpected word');
    }
    return this.#completed();
  }

  #open(isArray: boolean): number {
    if (this.#depth === this.#limits.maxDepth) return this.#fault('is nested too deeply');
    if (++this.#containers > MAX_CONTAINERS) return this.#fault('holds too many objects and lists');
    this.#position++;
    this.#depth++;
    this.#isArray[this.#depth] = isArray;
    if (!isArray) {
      const keys = this.#keys[this.#depth];
      if (keys === undefined) this.#keys[this.#depth] = new ObjectKeys(this.#bytes);
      else keys.clear();
      if (this.#depth === 1) this.#members = new Map();
    }
    if (this.#skipSpace() !== (isArray ? CLOSE_BRACKET : CLOSE_BRACE)) return isArray ? VALUE : KEY;
    return this.#close();
  }

  #close(): number {
    this.#position++;
    this.#depth--;
    return this.#completed();
  }

  #completed(): number {
    if (++this.#values > MAX_VALUES) return this.#fault('holds too many values');
    if (this.#depth === 2) {
      this.#elements++;
    } else if (this.#depth === 1 && this.#members !== undefined) {
      this.#members.set(this.#memberName, {
        first: this.#bytes[this.#memberStart] ?? 0,
        start: this.#memberStart,
        end: this.#position,
        elements: this.#elements,
        textBytes: this.#textBytes,
        numbers: this.#numbers,
      });
    }
    return AFTER;
  }

  #after(byte: number): number {
    if (this.#depth === 0) return byte < 0 ? DONE : this.#fault('goes on after the document');
    const isArray = this.#isArray[this.#depth] === true;
    if (byte === COMMA) {
      this.#position++;
      return isArray ? VALUE : KEY;
    }
    if (byte === (isArray ? CLOSE_BRACKET : CLOSE_BRACE)) return this.#close();
    return this.#fault(byte < 0 ? 'ends too early' : 'holds an unexpected byte');
  }

  #key(byte: number): number {
    if (byte !== QUOTE) return this.#fault(byte < 0 ? 'ends too early' : 'has a key that is no text');
    const start = this.#position;
    if (!this.#string()) return FAULT;
    const keys = this.#keys[this.#depth];
    // #open made the entry of every object that is open.
    if (keys === undefined) return this.#fault('is malformed');
    const twinStart = keys.add(start, this.#position, this.#escaped);
    this.#indexedKeys += keys.takeIndexed();
    if (this.#indexedKeys > MAX_INDEXED_KEYS) return this.#fault('has too many keys');
    if (twinStart >= 0) {
      if (!this.#limits.duplicateKeys) return this.#fault('names a key twice');
      this.#edits.push({ start: twinStart, end: keys.startAfter(twinStart), replacement: '' });
    }
    if (isProtoKey(this.#bytes, start, this.#position, this.#escaped)) this.#hasProtoKey = true;
    if (this.#depth === 1) {
      this.#memberName = decodeJsonString(this.#bytes, start, this.#position, this.#escaped);
      this.#elements = this.#textBytes = this.#numbers = 0;
    }
    if (this.#skipSpace() !== COLON) return this.#fault('has a key without a value');
    this.#position++;
    return VALUE;
  }

  /** From the opening quote to behind the closing one. */
  #string(): boolean {
    const bytes = this.#bytes;
    this.#escaped = false;
    for (let i = plainEnd(bytes, this.#position + 1); i < bytes.length; i = plainEnd(bytes, i + 1)) {
      const byte = bytes[i] ?? 0;
      if (byte === QUOTE) {
        this.#position = i + 1;
        return true;
      }
      if (byte < SPACE) return this.#fault('holds a raw control character') !== FAULT;
      this.#escaped = true;
      i = this.#escapeEnd(i);
      if (i < 0) return this.#fault('holds a bad escape') !== FAULT;
    }
    return this.#fault('ends too early') !== FAULT;
  }

  /** The position of an escape's last byte, -1 when it is malformed. A surrogate without its partner is noted. */
  #escapeEnd(start: number): number {
    const bytes = this.#bytes;
    const letter = bytes[start + 1] ?? 0;
    if (SIMPLE_ESCAPES.has(letter)) return start + 1;
    if (letter !== 0x75) return -1;
    const unit = hexQuad(bytes, start + 2);
    if (unit < 0) return -1;
    if (unit < 0xd800 || unit > 0xdfff) return start + 5;
    if (unit < 0xdc00 && bytes[start + 6] === BACKSLASH && bytes[start + 7] === 0x75) {
      const partner = hexQuad(bytes, start + 8);
      if (partner >= 0xdc00 && partner <= 0xdfff) return start + 11;
    }
    this.#edits.push({ start, end: start + 6, replacement: '\\ufffd' });
    return start + 5;
  }

  #number(): boolean {
    if (this.#bytes[this.#position] === MINUS) this.#position++;
    if (this.#bytes[this.#position] === ZERO) this.#position++;
    else if (!this.#digits()) return false;
    if (this.#bytes[this.#position] === POINT) {
      this.#position++;
      if (!this.#digits()) return false;
    }
    if (((this.#bytes[this.#position] ?? 0) | 0x20) !== 0x65) return true;
    this.#position++;
    const sign = this.#bytes[this.#position];
    if (sign === MINUS || sign === 0x2b) this.#position++;
    return this.#digits();
  }

  #digits(): boolean {
    const start = this.#position;
    while (isDigit(this.#bytes[this.#position] ?? -1)) this.#position++;
    return this.#position > start;
  }

  /** Moves to the next byte that is no white space; -1 at the end. */
  #skipSpace(): number {
    for (;;) {
      const byte = this.#bytes[this.#position] ?? -1;
      if (byte > SPACE) return byte;
      if (byte !== SPACE && byte !== LINE_FEED && byte !== CARRIAGE_RETURN && byte !== TAB) return byte;
      this.#position++;
    }
  }

  #done(): ScannedJson {
    return { kind: 'json', members: this.#members, edits: this.#edits, hasProtoKey: this.#hasProtoKey };
  }

  #fault(cause: string): typeof FAULT {
    this.#cause = cause;
    return FAULT;
  }
}
