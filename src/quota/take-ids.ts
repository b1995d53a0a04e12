import { tenantTag } from './reservation-id.ts';

/** Ids of takes, each used once. */
export interface TakeIds {
  /** By which something may be settled: cannot be guessed. */
  reservation(epochMs: number, tenant: string): string;
  /** Of a take in this process that holds nothing; told to nobody. */
  plain(): string;
}

/** Randomness is drawn for many ids at once; so are a millisecond and a tenant written once for many. */
export function createTakeIds(randomBytes: (bytes: number) => Buffer): TakeIds {
  const plainPrefix = `${randomBytes(9).toString('base64url')}.`;
  let plains = 0;
  let plainsPrefix = '';
  let plain = SUFFIXES.length;
  let pool = '';
  let used = 0;
  let timeMs = Number.NaN;
  let time = '';
  let tenant: string | undefined;
  let tag = '';

  function random(): string {
    if (used === pool.length) {
      pool = randomBytes(IDS_OF_POOL * RANDOM_BYTES).toString('hex');
      used = 0;
    }
    used += RANDOM_BYTES * 2;
    return pool.slice(used - RANDOM_BYTES * 2, used);
  }

  return {
    reservation: (epochMs, ofTenant) => {
      if (epochMs !== timeMs) {
        time = epochMs.toString(16).padStart(12, '0');
        timeMs = epochMs;
      }
      if (ofTenant !== tenant) {
        tag = tenantTag(ofTenant);
        tenant = ofTenant;
      }
      return `${time}-${random()}-${tag}`;
    },
    plain: () => {
      if (plain === SUFFIXES.length) {
        plains += 1;
        plainsPrefix = `${plainPrefix}${plains.toString(36)}.`;
        plain = 0;
      }
      const suffix = SUFFIXES[plain] ?? '';
      plain += 1;
      return plainsPrefix + suffix;
    },
  };
}

/** As `createReservationId` has it. */
const RANDOM_BYTES = 10;
const IDS_OF_POOL = 400;
/** Digits cost more than all else of such an id. */
const SUFFIXES: readonly string[] = Array.from({ length: 1024 }, (_, number) => number.toString(36));
