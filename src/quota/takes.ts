import type { Take } from '../decision/charges.ts';
import type { Clock, Instant } from '../decision/ports.ts';
import type { BucketStore, Receipt } from './bucket-store.ts';
import type { PlannedPlan } from './bucket-terms.ts';
import type { UnverifiedSpend } from './unverified-spend.ts';

/** Who is told of reservations, so that none ends unseen. */
export interface ReservationWatch {
  /** `onExpiry`: what becomes of each charge that holds, in order. */
  opened(id: string, expiresMs: number, onExpiry: readonly ('charge' | 'release')[]): void;
  closed(id: string): void;
}

/** What was taken, as the core gives it back. */
export interface Takes {
  taken(id: string, charges: PlannedPlan, held: boolean, at: Instant, receipt?: Receipt): Take;
  /** Admitted without the store. */
  unverified(charges: PlannedPlan): Take;
}

export function createTakes(ports: TakesPorts): Takes {
  return {
    taken: (id, charges, held, at, receipt) => {
      if (held) ports.reservations?.opened(id, expiryOf(charges, at), endsOf(charges));
      return new StoredTake(ports, id, charges, held, receipt);
    },
    unverified: (charges) => {
      let released = false;
      return {
        reservationId: undefined,
        release: () => {
          if (!released) ports.spend.giveBack(charges);
          released = true;
        },
      };
    },
  };
}

export interface TakesPorts {
  readonly store: BucketStore;
  readonly spend: UnverifiedSpend;
  readonly clock: Clock;
  readonly reservations: ReservationWatch | undefined;
  /** Told of a release that failed: what was taken then stays charged, or held until it expires. */
  readonly onFault: (error: unknown) => void;
}

class StoredTake implements Take {
  readonly reservationId: string | undefined;
  readonly #ports: TakesPorts;
  readonly #id: string;
  readonly #charges: PlannedPlan;
  readonly #receipt: Receipt | undefined;
  #released = false;

  constructor(ports: TakesPorts, id: string, charges: PlannedPlan, held: boolean, receipt: Receipt | undefined) {
    this.reservationId = held ? id : undefined;
    this.#ports = ports;
    this.#id = id;
    this.#charges = charges;
    this.#receipt = receipt;
  }

  release(): void {
    // INVARIANT: once, whatever comes of it: of a take with a receipt nobody else knows that it was given back.
    if (this.#released) return;
    this.#released = true;
    const { store, clock, reservations, onFault } = this.#ports;
    // What is charged `always` and holds nothing stays as it is.
    if (this.reservationId === undefined && !this.#charges.some(({ refundable }) => refundable)) return;
    try {
      if (this.reservationId !== undefined) reservations?.closed(this.reservationId);
      store.release(this.#id, this.#charges, clock.now(), this.#receipt)?.catch(onFault);
    } catch (error) {
      onFault(error);
    }
  }
}

function expiryOf(charges: PlannedPlan, { epochMs }: Instant): number {
  let ttlMs = 0;
  for (const { hold } of charges) if (hold !== undefined && hold.ttlMs > ttlMs) ttlMs = hold.ttlMs;
  return epochMs + ttlMs;
}

function endsOf(charges: PlannedPlan): readonly ('charge' | 'release')[] {
  return charges.flatMap(({ hold, terms }) => {
    if (hold === undefined) return [];
    return [terms.kind === 'concurrency' ? 'release' : hold.onExpiry];
  });
}
