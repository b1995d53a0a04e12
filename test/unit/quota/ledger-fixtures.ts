import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLedger, type Ledger, type LedgerOptions } from '../../../src/quota/ledger/ledger.ts';
import type { LedgerEvent, SettledEvent } from '../../../src/quota/ledger/ledger-event.ts';
import type { LedgerReport } from '../../../src/quota/ledger/ledger-recovery.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

export const DAY_MS = 86_400_000;
export const START_MS = Date.UTC(2026, 10, 2, 12);

/** A reservation id whose random part is a number. */
export function idOf(number: number, epochMs = START_MS, tenant = 'tenant-a'): string {
  const random = (bytes: number): Buffer => {
    const drawn = Buffer.alloc(bytes);
    drawn.writeUInt32BE(number, bytes - 4);
    return drawn;
  };
  return createReservationId(epochMs, random, tenant);
}

export function settledEvent(number: number, parts: Partial<SettledEvent> = {}): SettledEvent {
  return {
    event: 'settled',
    id: idOf(number),
    atMs: START_MS + number,
    tenant: 'tenant-a',
    model: 'llama-3-8b',
    usage: { shape: 'openai_chat', input: number, cached: 0, output: 1 },
    charges: [{ name: 'tokens_minute', unit: 'tokens', held: 4096, cost: number + 1 }],
    ...parts,
  };
}

export interface LedgerWorld {
  readonly dataFolder: string;
  readonly folder: string;
  readonly clock: ManualClock;
  readonly reports: LedgerReport[];
  open(parts?: Partial<LedgerOptions>): Promise<Ledger>;
  /** The events of a ledger that is opened for it, and closed again. */
  events(parts?: Partial<LedgerOptions>): Promise<readonly LedgerEvent[]>;
  close(): Promise<void>;
}

/** A ledger in a folder of its own. */
export async function createLedgerWorld(): Promise<LedgerWorld> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sallyport-ledger-'));
  const folder = join(dataFolder, 'ledger');
  const clock = createManualClock({ epochMs: START_MS });
  const reports: LedgerReport[] = [];
  const opened = new Set<Ledger>();
  let names = 0;
  const open = async (parts: Partial<LedgerOptions> = {}): Promise<Ledger> => {
    names += 1;
    const ledger = createLedger({
      folder,
      horizonSeconds: 900,
      clock,
      startTimer: clock.startTimer,
      randomId: () => `test${names}`,
      report: (report) => reports.push(report),
      ...parts,
    });
    await ledger.start();
    opened.add(ledger);
    return ledger;
  };
  return {
    dataFolder,
    folder,
    clock,
    reports,
    open,
    events: async (parts) => {
      const ledger = await open(parts);
      const events: LedgerEvent[] = [];
      for await (const { seq: _seq, ...event } of ledger.replay(0)) events.push(event);
      await ledger.stop();
      return events;
    },
    close: async () => {
      for (const ledger of opened) await ledger.stop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}
