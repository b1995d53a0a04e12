import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock, Instant } from '../decision/ports.ts';

/** What was learnt of tokens a short while ago, and the questions that are under way. */
export interface IntrospectedTokens<T> {
  /** What is remembered, else what `ask` finds out: once for all who need it at the same time. */
  find(token: string, at: Instant): T | Promise<T>;
  size(): number;
}

export interface IntrospectedTokensOptions<T> {
  /** The config that the answers depend on, as text. */
  readonly identity: string;
  readonly ask: (token: string) => Promise<T>;
  /** How long an answer is remembered, in milliseconds; 0 for not at all. */
  readonly ttlMs: (found: T) => number;
  readonly sizeBytes: (found: T) => number;
  /** Whether an answer is worth keeping over others: those that are not never push one out that is. */
  readonly isGood: (found: T) => boolean;
  /** Of the good answers, and as many of the others. */
  readonly maxEntries: number;
  readonly clock: Clock;
}

/** A bound on what the entries hold together. */
const MAX_BYTES = 32 * 1024 * 1024;
const ENTRY_BYTES = 256;

/** Keyed by SHA-256 over the length-prefixed config and token (SECURITY row 25). Failures are never remembered. */
export function createIntrospectedTokens<T extends object>(
  options: IntrospectedTokensOptions<T>,
): IntrospectedTokens<T> {
  const { identity, ask, ttlMs, sizeBytes, isGood, maxEntries, clock } = options;
  const good = new LRUCache<string, Entry<T>>({ max: maxEntries, maxSize: MAX_BYTES });
  // Apart, so that invented tokens never push out one that holds.
  const others = new LRUCache<string, Entry<T>>({ max: maxEntries, maxSize: MAX_BYTES });
  const asking = new Map<string, Promise<T>>();
  // Of fixed length, so that what follows can be read in one way only.
  const prefix = hash('sha256', `${identity.length}:${identity}`, 'base64url');

  async function askOnce(key: string, token: string): Promise<T> {
    // Before the question: what an issuer says may be old when it arrives.
    const askedAtMs = clock.now().monotonicMs;
    try {
      const found = await ask(token);
      const keptMs = ttlMs(found);
      const size = ENTRY_BYTES + sizeBytes(found);
      const entries = isGood(found) ? good : others;
      if (keptMs > 0) entries.set(key, { found, untilMs: askedAtMs + keptMs }, { size });
      return found;
    } finally {
      asking.delete(key);
    }
  }

  return {
    find: (token, at) => {
      const key = hash('sha256', `${prefix}${token.length}:${token}`, 'base64url');
      const entry = good.get(key) ?? others.get(key);
      if (entry !== undefined && at.monotonicMs < entry.untilMs) return entry.found;
      good.delete(key);
      others.delete(key);
      const underway = asking.get(key);
      if (underway !== undefined) return underway;
      const asked = askOnce(key, token);
      asking.set(key, asked);
      return asked;
    },
    size: () => good.size + others.size,
  };
}

interface Entry<T> {
  readonly found: T;
  readonly untilMs: number;
}
