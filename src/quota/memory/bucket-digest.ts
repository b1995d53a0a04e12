import { hash } from 'node:crypto';
import type { BucketTerms } from '../bucket.ts';
import { BUCKET_WORDS, groupWords, type MemoryTable, WAYS } from './memory-table.ts';

/** 128 bits of a keyed SHA-256. */
export interface Digest {
  readonly h0: number;
  readonly h1: number;
  readonly h2: number;
  readonly h3: number;
}

/** Where in the table a bucket belongs. */
export interface Place extends Digest {
  readonly lock: number;
  /** First word of its set. */
  readonly set: number;
  /** First word of the overflow buckets of its group. */
  readonly overflow: number;
  /** Where it was seen last; 0: nowhere. A guess: its digest must be compared. */
  bucket: number;
  remembered: boolean;
}

export interface BucketDigests {
  placeOf(terms: BucketTerms): Place;
  /** Keeps a place for the next time: worth its memory only where its bucket is there. */
  remember(id: string, place: Place): void;
  /** Of the bucket that newcomers of one family share; `undefined` for terms that name no family. */
  familyOf(terms: BucketTerms): Digest | undefined;
}

const MOST_REMEMBERED = 8192;
/** Longer ones are digested each time. */
const LONGEST_REMEMBERED = 512;

/** Digests cost a microsecond, so the last ones are remembered, in two generations of bounded size. */
export function createBucketDigests(table: MemoryTable): BucketDigests {
  let young = new Map<string, Place>();
  let old = new Map<string, Place>();
  const families = new Map<string, Digest>();

  function remember(id: string, place: Place): void {
    place.remembered = true;
    if (id.length > LONGEST_REMEMBERED) return;
    if (young.size >= MOST_REMEMBERED) {
      old = young;
      young = new Map();
    }
    young.set(id, place);
  }

  function recall(id: string, terms: BucketTerms): Place {
    const known = old.get(id);
    if (known === undefined) return toPlace(table, digestOf(table.key, 'bucket', id), terms.region);
    remember(id, known);
    return known;
  }

  return {
    remember,
    placeOf: (terms) => young.get(terms.id) ?? recall(terms.id, terms),
    familyOf: ({ family, kind, periodMs }) => {
      if (family === undefined) return undefined;
      const text = `${kind} ${periodMs} ${family}`;
      let digest = families.get(text);
      if (digest === undefined) {
        digest = digestOf(table.key, 'family', text);
        if (families.size >= MOST_REMEMBERED) families.clear();
        families.set(text, digest);
      }
      return digest;
    },
  };
}

/** A text that is no well-formed Unicode keeps its own digest: UTF-8 would make many of them one. */
export function digestOf(key: string, purpose: string, text: string): Digest {
  const head = `${key} ${purpose} `;
  // As text: a buffer for each digest would cost more memory than the buckets do.
  const bytes = text.isWellFormed()
    ? hash('sha256', `${head}text ${text}`, 'binary')
    : hash('sha256', Buffer.from(`${head}units ${text}`, 'utf16le'), 'binary');
  return { h0: wordAt(bytes, 0), h1: wordAt(bytes, 4), h2: wordAt(bytes, 8), h3: wordAt(bytes, 12) };
}

function wordAt(bytes: string, at: number): number {
  const pair = (of: number): number => bytes.charCodeAt(of) | (bytes.charCodeAt(of + 1) << 8);
  return pair(at) | (pair(at + 2) << 16);
}

export function toPlace(table: MemoryTable, digest: Digest, region: BucketTerms['region']): Place {
  const { at, groups, setsPerGroup, firstLock } = region === 'callers' ? table.callers : table.outsiders;
  const { h0, h1, h2, h3 } = digest;
  const group = h0 & (groups - 1);
  const groupAt = at + group * groupWords(setsPerGroup);
  return {
    h0,
    h1,
    h2,
    h3,
    lock: firstLock + group,
    set: groupAt + ((h1 >>> 0) % setsPerGroup) * WAYS * BUCKET_WORDS,
    overflow: groupAt + setsPerGroup * WAYS * BUCKET_WORDS,
    bucket: 0,
    remembered: false,
  };
}
