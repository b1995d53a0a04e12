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
  const { identity, ask, ttlMs, sizeBytes, maxEntries, clock } = options;
  const entries = new LRUCache<string, Entry<T>>({ max: maxEntries, maxSize: MAX_BYTES });
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
      if (keptMs > 0) entries.set(key, { found, untilMs: askedAtMs + keptMs }, { size });
      return found;
    } finally {
      asking.delete(key);
    }
  }

  return {
    find: (token, at) => {
      const key = hash('sha256', `${prefix}${token.length}:${token}`, 'base64url');
      const entry = entries.get(key);
      if (entry !== undefined && at.monotonicMs < entry.untilMs) return entry.found;
      entries.delete(key);
      const underway = asking.get(key);
      if (underway !== undefined) return underway;
      const asked = askOnce(key, token);
      asking.set(key, asked);
      return asked;
    },
    size: () => entries.size,
  };
}

interface Entry<T> {
  readonly found: T;
  readonly untilMs: number;
}
