import type { BucketCharge } from '../bucket.ts';
import type { Renewed, Reservation, Settled } from '../bucket-store.ts';
import { parseReservationId } from '../reservation-id.ts';
import { byPart, type Layout, merged, splitNote } from './redis-cluster-note.ts';
import type { ClusterPart } from './redis-cluster-part.ts';
import { homeOf, inParts } from './redis-cluster-take.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import { createGivingBack } from './redis-giving-back.ts';

/** Reservations of several parts: the one of the id decides, and knows the others, which follow it. */
export interface ClusterReservations {
  release(id: string, charges: readonly BucketCharge[]): Promise<void>;
  look(id: string): Promise<Reservation | undefined>;
  settle(id: string, used: readonly number[]): Promise<Settled>;
  renew(id: string, ttlMs: number): Promise<Renewed>;
  /** Takes up what could not be finished in some part. */
  resume(): void;
}

export interface ClusterReservationsOptions {
  readonly parts: readonly ClusterPart[];
  readonly report: (event: RedisStoreEvent) => void;
}

export function createClusterReservations({ parts, report }: ClusterReservationsOptions): ClusterReservations {
  /** Settled or released where it counts, and not yet everywhere. */
  const unfinished = createGivingBack({ release: finish, report });

  function partAt(number: number): ClusterPart {
    const part = parts[number];
    if (part === undefined) throw new RangeError('there is no such part');
    return part;
  }

  async function lookHome(id: string) {
    if (parseReservationId(id) === undefined) return undefined;
    const home = homeOf(id);
    const own = await partAt(home).look(id);
    return own === undefined ? undefined : { home, own, ...splitNote(own.note) };
  }

  /** Brings all other parts to what the record says. */
  async function finish(id: string): Promise<void> {
    const found = await lookHome(id);
    if (found?.layout === undefined) return;
    const { own, layout } = found;
    if (own.state === 'settled') await settleOthers(id, layout, own.used?.slice(own.amounts.length) ?? []);
    else if (own.state === 'released') await all(layout.others, (part) => part.release(id));
  }

  async function settleOthers(id: string, layout: Layout, used: readonly number[]): Promise<void> {
    const shares = byPart(layout, used);
    await all(layout.others, (part, number) => part.settle(id, shares.get(number) ?? []));
  }

  /** Asks all of them whatever the others answer. Throws the first fault. */
  async function all<A>(
    numbers: readonly number[],
    ask: (part: ClusterPart, number: number) => Promise<A>,
  ): Promise<readonly A[]> {
    const ends = await Promise.allSettled(numbers.map(async (number) => ask(partAt(number), number)));
    return ends.map((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value;
    });
  }

  async function orLater(id: string, finishing: Promise<unknown>): Promise<void> {
    try {
      await finishing;
    } catch (error) {
      unfinished.give(id);
      throw error;
    }
  }

  return {
    release: async (id, charges) => {
      const home = homeOf(id);
      const others = inParts(charges, home, true).flatMap(({ part }) => (part === home ? [] : [part]));
      const release = async (part: ClusterPart): Promise<void> => {
        try {
          await part.release(id);
        } catch (error) {
          part.giving.give(id);
          throw error;
        }
      };
      const first = await Promise.allSettled([release(partAt(home))]);
      await all(others, release);
      if (first[0].status === 'rejected') throw first[0].reason;
    },
    look: async (id) => {
      const found = await lookHome(id);
      if (found === undefined) return undefined;
      const { home, own, note, layout } = found;
      if (layout === undefined) return { ...own, note };
      const known = new Map<number, Reservation | undefined>([[home, own]]);
      await all(layout.others, async (part, number) => void known.set(number, await part.look(id)));
      return merged(layout, note, home, known);
    },
    settle: async (id, used) => {
      const found = await lookHome(id);
      if (found === undefined) return 'unknown';
      const { home, layout } = found;
      if (layout === undefined) return partAt(home).settle(id, used);
      const own = byPart(layout, used).get(home) ?? [];
      // What was used in all is kept behind what this part uses, for whoever must finish it.
      const settled = await partAt(home).settle(id, [...own, ...used]);
      await orLater(id, settled === 'settled' ? settleOthers(id, layout, used) : finish(id));
      return settled;
    },
    renew: async (id, ttlMs) => {
      const found = await lookHome(id);
      if (found === undefined) return 'unknown';
      const { home, own, layout } = found;
      const renewed = await partAt(home).renew(id, ttlMs);
      if (layout === undefined || renewed === 'unknown' || own.state !== 'open') return renewed;
      const ends = await all(layout.others, (part) => part.renew(id, ttlMs));
      return ends.includes('renewed') ? 'renewed' : renewed;
    },
    resume: () => unfinished.resume(),
  };
}
