import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Instant } from '../decision/ports.ts';
import type { KeySet } from './key-set.ts';

/** Tokens whose signature and claims were verified a short while ago. Nothing else ever enters. */
export interface VerifiedTokens<T> {
  get(token: string, at: Instant): T | undefined;
  add(token: string, verified: T, at: Instant): void;
}

export interface VerifiedTokensOptions {
  readonly ttlMs: number;
  readonly maxEntries: number;
  /** Everything a token may be verified against; a token is found only under the state it was verified under. */
  readonly issuers: readonly VerifiedAgainst[];
}

export interface VerifiedAgainst {
  /** The issuer's config, as text. */
  readonly identity: string;
  readonly keys: { current(at: Instant): KeySet | undefined };
}

/** A bound on what the entries hold, in characters of their tokens, to which their claims are proportional. */
const MAX_CHARACTERS = 32 * 1024 * 1024;

/**
 * Creates the cache. Its key is a SHA-256 over a digest of the length-prefixed issuer configs and key-set digests,
 * and the whole token, so no two pairs of state and token share an entry (SECURITY row 25). When any issuer's keys
 * change, every token is verified again.
 */
export function createVerifiedTokens<T extends object>(options: VerifiedTokensOptions): VerifiedTokens<T> {
  const { ttlMs, maxEntries, issuers } = options;
  const entries = new LRUCache<string, Entry<T>>({ max: maxEntries, maxSize: MAX_CHARACTERS });
  const sets: (KeySet | undefined)[] = issuers.map(() => undefined);
  let state = stateDigest(issuers, sets);

  function keyOf(token: string, at: Instant): string {
    let changed = false;
    for (let index = 0; index < issuers.length; index += 1) {
      const set = issuers[index]?.keys.current(at);
      if (set === sets[index]) continue;
      sets[index] = set;
      changed = true;
    }
    if (changed) state = stateDigest(issuers, sets);
    // The state has a fixed length, so this text can be read in one way only.
    return hash('sha256', `${state}${token.length}:${token}`, 'base64url');
  }

  return {
    get: (token, at) => {
      const key = keyOf(token, at);
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (at.monotonicMs - entry.addedAtMs < ttlMs) return entry.verified;
      entries.delete(key);
      return undefined;
    },
    add: (token, verified, at) => {
      if (ttlMs > 0) entries.set(keyOf(token, at), { verified, addedAtMs: at.monotonicMs }, { size: token.length + 1 });
    },
  };
}

interface Entry<T> {
  readonly verified: T;
  readonly addedAtMs: number;
}

function stateDigest(issuers: readonly VerifiedAgainst[], sets: readonly (KeySet | undefined)[]): string {
  const parts = issuers.flatMap(({ identity }, index) => [identity, sets[index]?.digest ?? '']);
  return hash('sha256', parts.map((part) => `${part.length}:${part}`).join(''), 'base64url');
}
