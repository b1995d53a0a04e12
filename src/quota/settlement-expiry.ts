import type { Clock } from '../decision/ports.ts';
import type { BucketStore, Reservation } from './bucket-store.ts';
import type { Ledger } from './ledger.ts';
import type { ExpiredEvent, LedgerCharge } from './ledger-event.ts';
import { parseNote } from './note.ts';
import { parseReservationId } from './reservation-id.ts';
import type { SettlementReport } from './settlement-answer.ts';

/** The reservations of this process that nobody settled yet. */
export interface OpenReservations {
  /** `onExpiry`: what becomes of each hold, in order; that of a concurrency limit is a `release`. */
  opened(id: string, expiresMs: number, onExpiry: readonly OnExpiry[]): void;
  renewed(id: string, expiresMs: number): void;
  closed(id: string): void;
  /** All of them, for {@link OpenReservations.restore} in the next process. */
  toText(): string;
  /** Takes up what another process had open; a text that cannot be read is nothing. */
  restore(text: string): void;
  /**
   * Writes an expired event for each that nobody settled, once nobody may any more: its holds ended and the settle
   * horizon is over, so that no other replica's ledger has another end of it.
   */
  sweep(alone: Alone): Promise<void>;
}

export type OnExpiry = 'charge' | 'release';
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

  /** When nothing can change any more: its holds ended, and nobody may settle it. */
  function finalMs(id: string, expiresMs: number): number {
    const madeMs = parseReservationId(id)?.epochMs ?? 0;
    return Math.max(expiresMs, madeMs + horizonSeconds * 1000) + GRACE_MS;
  }

  async function look(id: string, known: Open): Promise<void> {
    const at = clock.now();
    const found = await store.look(id, at);
    if (found !== undefined && found.state !== 'open') {
      open.delete(id);
      return;
    }
    const seen = found === undefined ? known.seen : toExpired(id, found, known.onExpiry);
    const expiresMs = Math.max(found?.expiresMs ?? 0, known.expiresMs);
    if (at.epochMs < finalMs(id, expiresMs)) {
      const nextMs = expiresMs + GRACE_MS > at.epochMs ? expiresMs + GRACE_MS : finalMs(id, expiresMs);
      open.set(id, { ...known, expiresMs, nextMs, ...(seen === undefined ? {} : { seen }) });
      return;
    }
    if (seen === undefined) report({ kind: 'forgotten' });
    else {
      await ledger.append({ ...seen, atMs: at.epochMs });
      report({ kind: 'expired' });
    }
    open.delete(id);
  }

  return {
    opened: (id, expiresMs, onExpiry) => {
      if (open.size >= maxOpen) report({ kind: 'untracked' });
      else open.set(id, { expiresMs, onExpiry, nextMs: expiresMs + GRACE_MS });
    },
    renewed: (id, expiresMs) => {
      const known = open.get(id);
      if (known !== undefined) open.set(id, { ...known, expiresMs, nextMs: expiresMs + GRACE_MS });
    },
    closed: (id) => void open.delete(id),
    toText: () => {
      const lines = [...open].map(([id, { expiresMs, onExpiry }]) => `${[id, expiresMs, ...onExpiry].join(' ')}\n`);
      return lines.join('');
    },
    restore: (text) => {
      for (const line of text.split('\n')) {
        const [id = '', expires = '', ...ends] = line.split(' ');
        const onExpiry = ends.flatMap((end): OnExpiry[] => (end === 'charge' || end === 'release' ? [end] : []));
        const expiresMs = Number(expires);
        if (parseReservationId(id) === undefined || !Number.isFinite(expiresMs) || open.size >= maxOpen) continue;
        open.set(id, { expiresMs, onExpiry, nextMs: expiresMs + GRACE_MS });
      }
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

interface Open {
  readonly expiresMs: number;
  readonly onExpiry: readonly OnExpiry[];
  /** When the store is to be asked: after the holds ended, and when nothing can change any more. */
  readonly nextMs: number;
  /** What its expiry comes to, as the store knew it last: it may forget it before the end. */
  readonly seen?: Expired;
}

type Expired = Omit<ExpiredEvent, 'atMs'>;

function toExpired(id: string, { note, plan, amounts }: Reservation, onExpiry: readonly OnExpiry[]): Expired {
  const { tenant, model, charges } = parseNote(note, plan);
  const ended = charges.map(({ name, unit }, index): LedgerCharge => {
    const held = amounts[index] ?? 0;
    return { name, unit, held, cost: onExpiry[index] === 'release' ? 0 : held };
  });
  return { event: 'expired', id, tenant, model, charges: ended };
}
