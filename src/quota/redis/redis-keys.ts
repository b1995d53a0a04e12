import { hash } from 'node:crypto';
import type { BucketTerms } from '../bucket.ts';
import { parseReservationId } from '../reservation-id.ts';

/**
 * The names of everything in Redis. The version of its form follows the prefix. What stands in braces decides where a
 * cluster keeps a key.
 */
export interface RedisKeys {
  /** Says that the state of this fleet is there, and since when. */
  readonly marker: string;
  /** Set by an operator who accepts that counts were lost. */
  readonly acceptLoss: string;
  readonly replicas: string;
  bucket(terms: BucketTerms): string;
  /** `undefined` for a text that is no reservation id. */
  record(id: string): string | undefined;
}

/** With a `tag` all keys are in the slot that it names. */
export function createRedisKeys(prefix: string, tag?: string): RedisKeys {
  const own = `${prefix}1:`;
  const fleet = tag === undefined ? own : `${own}{${tag}}:`;
  const buckets = `${own}{${tag ?? 'b'}}:b:`;
  const digests = `${own}{${tag ?? 'b'}}:d:`;
  return {
    marker: `${fleet}born`,
    acceptLoss: `${fleet}accept_loss`,
    replicas: `${fleet}replicas`,
    bucket: ({ id }) =>
      // Plain ASCII is its own bytes; a digest cannot be mistaken for it.
      id.length <= MAX_PLAIN && Buffer.byteLength(id) === id.length
        ? buckets + id
        : digests + hash('sha256', Buffer.from(id, 'utf16le')),
    record: (id) => {
      const parts = parseReservationId(id);
      return parts === undefined ? undefined : `${own}{${tag ?? parts.tag}}:r:${id}`;
    },
  };
}

const MAX_PLAIN = 200;
