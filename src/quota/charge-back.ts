import type { Clock, StartTimer } from '../decision/ports.ts';
import { type BucketStore, StoreFault } from './bucket-store.ts';
import type { UnverifiedSpend } from './unverified-spend.ts';

/** Charges the store, once it answers again, for what was admitted without it. */
export interface ChargeBack {
  /** Pays what is owed; one attempt is under way at a time, and all wait for it. Throws what the store throws. */
  settle(): Promise<void>;
  /** Tries again now and then while something is owed. */
  start(): void;
  stop(): Promise<void>;
}

/**
 * Asks before it charges: a store that does not answer a question is not sent charges that it may carry out later, and
 * again. A charge of unknown outcome stays owed, so that at worst it is charged twice.
 */
export function createChargeBack({ store, spend, clock, startTimer, report }: ChargeBackOptions): ChargeBack {
  let underWay: Promise<void> | undefined;
  let cancel: (() => void) | undefined;

  async function pay(): Promise<void> {
    let buckets = 0;
    for (let charges = spend.owed(clock.now()); charges.length > 0; charges = spend.owed(clock.now())) {
      const [first] = charges;
      if (buckets === 0 && first !== undefined) await store.peek([first.terms], clock.now());
      await store.charge(charges, clock.now());
      spend.paid(charges);
      buckets += charges.length;
    }
    if (buckets > 0) report(buckets);
  }

  function settle(): Promise<void> {
    underWay ??= pay().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  async function settleOr(failed: (error: unknown) => void): Promise<void> {
    try {
      if (spend.owes()) await settle();
    } catch (error) {
      failed(error);
    }
  }

  function schedule(): void {
    cancel = startTimer(EVERY_MS, () => {
      schedule();
      // Whatever the fault, it is owed still.
      void settleOr(() => undefined);
    });
  }

  return {
    settle,
    start: schedule,
    stop: async () => {
      cancel?.();
      cancel = undefined;
      await settleOr((error) => {
        if (!(error instanceof StoreFault)) throw error;
      });
    },
  };
}

export interface ChargeBackOptions {
  readonly store: BucketStore;
  readonly spend: UnverifiedSpend;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** Told how many buckets were charged. */
  readonly report: (buckets: number) => void;
}

const EVERY_MS = 1000;
