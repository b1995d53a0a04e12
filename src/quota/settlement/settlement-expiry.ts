import type { Clock } from '../../decision/ports.ts';
import type { BucketStore, Reservation } from '../bucket-store.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ExpiredEvent, LedgerCharge } from '../ledger/ledger-event.ts';
import { parseNote } from '../note.ts';
import type { SettlementReport } from './settlement-answer.ts';
import { createNoteReader, type OnExpiry, type OpenEntry, parseOpenText, toOpenText } from './settlement-open-text.ts';

/** The reservations of this process that nobody settled yet. */
export interface OpenReservations {
  /** `onExpiry`: what becomes of each hold, in order; that of a concurrency limit is a `release`. */
  opened(id: string, expiresMs: number, onExpiry: readonly OnExpiry[]): void;
  renewed(id: string, expiresMs: number): void;
  closed(id: string): void;
  /** What is known here of one that the store may have forgotten. */
  recall(id: string): Reservation | undefined;
  /**
   * Notes what the store knows of at most so many, if that store is a part of this process and is gone with it: then
   * {@link OpenReservations.toText} says what they hold.
   */
  remember(most: number): void;
  /** All of them, for {@link OpenReservations.restore} in the next process. */
  toText(): string;
  /** Takes up what another process had open; a text that cannot be read is nothing. */
  restore(text: string): void;
  /**
   * Writes an expired event for each that nobody settled, once nobody may any more: the settle horizon after the end of
   * its holds is over, so that no other replica's ledger has another end of it.
   */
  sweep(alone: Alone): Promise<void>;
}

/** Runs one step of a reservation at a time. */
export type Alone = <T>(id: string, work: () => Promise<T>) => Promise<T>;

export interface OpenReservationsOptions {
  readonly store: Pick<BucketStore, 'look'>;
  readonly ledger: Pick<Ledger, 'append'>;
  readonly clock: Clock;
  readonly horizonSeconds: number;
  readonly report: (report: SettlementReport) => void;
  readonly maxOpen?: number;
}

/** For settles under way, and for clocks that differ. */
const GRACE_MS = 2_000;
const MAX_OPEN = 100_000;
const MAX_PER_SWEEP = 2_000;

export function createOpenReservations(options: OpenReservationsOptions): OpenReservations {
  const { store, ledger, clock, horizonSeconds, report, maxOpen = MAX_OPEN } = options;
  const open = new Map<string, Open>();
  const toReserved = createNoteReader();
  let isOutside = false;

  function add({ id, ...entry }: OpenEntry): void {
    if (open.size >= maxOpen) report({ kind: 'untracked' });
    else open.set(id, { ...entry, nextMs: entry.expiresMs + GRACE_MS });
  }

  /** When nothing can change any more: nobody may settle it. */
  const finalMs = (expiresMs: number): number => expiresMs + horizonSeconds * 1000 + GRACE_MS;

  function withReserved(known: Open, found: Reservation): Open {
    const reserved = toReserved(found);
    return reserved === undefined ? known : { ...known, reserved };
  }

  async function look(id: string, known: Open): Promise<void> {
    const at = clock.now();
    const found = await store.look(id, at);
    if (found !== undefined && found.state !== 'open') {
      open.delete(id);
      return;
    }
    const expiresMs = Math.max(found?.expiresMs ?? 0, known.expiresMs);
    const next = { ...(found === undefined ? known : withReserved(known, found)), expiresMs };
    if (at.epochMs < finalMs(expiresMs)) {
      const nextMs = expiresMs + GRACE_MS > at.epochMs ? expiresMs + GRACE_MS : finalMs(expiresMs);
      open.set(id, { ...next, nextMs });
      return;
    }
    const event = toExpired(id, next, finalMs(expiresMs));
    if (event === undefined) report({ kind: 'forgotten' });
    else {
      await ledger.append(event);
      report({ kind: 'expired' });
    }
    open.delete(id);
  }

  return {
    opened: (id, expiresMs, onExpiry) => add({ id, expiresMs, onExpiry }),
    renewed: (id, expiresMs) => {
      const known = open.get(id);
      if (known !== undefined) open.set(id, { ...known, expiresMs, nextMs: expiresMs + GRACE_MS });
    },
    closed: (id) => void open.delete(id),
    recall: (id) => {
      const known = open.get(id);
      if (known?.reserved === undefined) return undefined;
      return { ...known.reserved, state: 'open', expiresMs: known.expiresMs };
    },
    remember: (most) => {
      let left = most;
      for (const [id, known] of open) {
        if (isOutside || left === 0) return;
        if (known.reserved !== undefined) continue;
        left -= 1;
        try {
          const found = store.look(id, clock.now());
          // Only a store outside answers later.
          isOutside = found instanceof Promise;
          if (found instanceof Promise) found.catch(() => undefined);
          else if (found?.state === 'open') open.set(id, withReserved(known, found));
        } catch (cause) {
          report({ kind: 'store_failed', cause });
          return;
        }
      }
    },
    toText: () => toOpenText(open),
    restore: (text) => {
      for (const entry of parseOpenText(text, toReserved)) add(entry);
    },
    sweep: async (alone) => {
      const { epochMs } = clock.now();
      const due: string[] = [];
      for (const [id, { nextMs }] of open) {
        if (nextMs > epochMs) continue;
        due.push(id);
        if (due.length === MAX_PER_SWEEP) break;
      }
      for (const id of due) {
        await alone(id, async () => {
          const known = open.get(id);
          if (known !== undefined && known.nextMs <= epochMs) await look(id, known);
        });
      }
    },
  };
}

interface Open extends Omit<OpenEntry, 'id'> {
  /** When the store is to be asked: after the holds ended, and when nothing can change any more. */
  readonly nextMs: number;
}

/**
 * `undefined` where nobody knows what was held. It is of the time when it was certain, however much later it is written:
 * where ledgers are merged, a settle of another one is still near.
 */
function toExpired(id: string, { reserved, onExpiry }: Open, atMs: number): ExpiredEvent | undefined {
  if (reserved === undefined) return undefined;
  const { tenant, model, charges } = parseNote(reserved.note, reserved.plan);
  const ended = charges.map(({ name, unit }, index): LedgerCharge => {
    const held = reserved.amounts[index] ?? 0;
    return { name, unit, held, cost: onExpiry[index] === 'release' ? 0 : held };
  });
  return { event: 'expired', id, atMs, tenant, model, charges: ended };
}
