import { LRUCache } from 'lru-cache';
import { addressKey } from '../decision/address-key.ts';
import type { Instant, Offender, Refusals } from '../decision/ports.ts';
import type { QuotaConfig } from './config.ts';

/**
 * Counts refusals by address, by the /64 of an IPv6 address, by key id and by peer, each in a bucket that drains
 * steadily; when there are too many, the one refused least recently is forgotten. In this process only: it saves work, and decides nothing about a request whose credential verifies.
 */
export function createRefusalTable(config: QuotaConfig['refusals']): Refusals {
  const { limit, max_entries: maxEntries } = config;
  const periodMs = config.per_seconds * 1000;
  // A Map in order of insertion will not do: finding its oldest entry passes over all that were deleted before.
  const entries = new LRUCache<string, Entry>({ max: maxEntries });

  function levelOf(entry: Entry, at: Instant): number {
    const drained = ((at.monotonicMs - entry.atMs) * limit) / periodMs;
    return Math.max(0, entry.level - drained);
  }

  return {
    isRepeated: (offender, at) => {
      for (const key of keysOf(offender)) {
        const entry = entries.peek(key);
        if (entry !== undefined && levelOf(entry, at) >= limit) return true;
      }
      return false;
    },
    count: (offender, at) => {
      for (const key of keysOf(offender)) {
        const before = entries.peek(key);
        entries.set(key, { level: (before === undefined ? 0 : levelOf(before, at)) + 1, atMs: at.monotonicMs });
      }
    },
  };
}

interface Entry {
  readonly level: number;
  readonly atMs: number;
}

/** The prefixes keep kinds apart; no value can hold the end of another's. */
function keysOf({ clientIp, keyId, peer }: Offender): readonly string[] {
  const keys: string[] = [];
  if (clientIp !== undefined) {
    keys.push(`address ${clientIp}`);
    if (clientIp.includes(':')) keys.push(`network ${addressKey(clientIp)}`);
  }
  if (keyId !== undefined) keys.push(`key ${keyId}`);
  const name = peer?.spiffeId ?? peer?.fingerprintSha256;
  if (name !== undefined) keys.push(`peer ${name}`);
  return keys;
}
