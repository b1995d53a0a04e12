import { createReservationId } from './reservation-id.ts';

/** Ids of takes, each used once. */
export interface TakeIds {
  /** By which something may be settled: cannot be guessed. */
  reservation(epochMs: number, tenant: string): string;
  /** Of a take in this process that holds nothing; told to nobody. */
  plain(): string;
}

/** Randomness is drawn for many ids at once. */
export function createTakeIds(randomBytes: (bytes: number) => Buffer): TakeIds {
  const plainPrefix = `${randomBytes(9).toString('base64url')}.`;
  let pool: Buffer = Buffer.alloc(0);
  let used = 0;
  let plain = 0;

  function random(bytes: number): Buffer {
    if (used + bytes > pool.length) {
      pool = randomBytes(POOL_BYTES);
      used = 0;
    }
    used += bytes;
    return pool.subarray(used - bytes, used);
  }

  return {
    reservation: (epochMs, tenant) => createReservationId(epochMs, random, tenant),
    plain: () => {
      plain += 1;
      return plainPrefix + plain.toString(36);
    },
  };
}

const POOL_BYTES = 4096;
