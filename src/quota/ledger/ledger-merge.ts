import { parseReservationId } from '../reservation-id.ts';
import type { ExpiredEvent, LedgerEvent, SettledEvent } from './ledger-event.ts';
import { listSegments, readSegment } from './ledger-segment.ts';

/** What one reservation came to. */
export type BilledEvent = SettledEvent | ExpiredEvent;

export interface MergeOptions {
  /** `<data_dir>/ledger` of each replica: a report that two of them got may be in both. */
  readonly folders: readonly string[];
  /** Told of each line that cannot be believed; reading goes on behind it. */
  readonly onCorrupt?: (file: string, line: number) => void;
}

/**
 * What each reservation came to, exactly once, whatever was written twice: the first settled event counts, before an
 * expired one; one that another replica had settled before counts there. Holds in memory what may still change: the
 * reservations of one settle horizon and two hours.
 */
export async function* mergeEvents({ folders, onCorrupt }: MergeOptions): AsyncGenerator<BilledEvent> {
  const horizon: Horizon = { ms: 0 };
  const ledgers = folders.map((folder) => mergeLedger(folder, horizon, onCorrupt));
  const [only] = ledgers;
  if (only !== undefined && ledgers.length === 1) {
    yield* only;
    return;
  }
  const heads = await Promise.all(ledgers.map(async (events) => ({ events, head: await events.next() })));
  const open = new Map<string, Merged>();
  for (;;) {
    const next = earliest(heads);
    if (next === undefined) break;
    const [source, event] = next;
    merge(open, event);
    yield* final(open, event.atMs - horizon.ms - SLACK_MS);
    source.head = await source.events.next();
  }
  yield* final(open, Number.POSITIVE_INFINITY);
}

/** What a reservation comes to after one more event of it in the same ledger, or the outcome in another. */
export function mergeEvent(billed: BilledEvent | undefined, event: LedgerEvent): BilledEvent | undefined {
  switch (event.event) {
    case 'settled':
      return billed?.event === 'settled' ? billed : event;
    case 'expired':
      return billed ?? event;
    case 'rejected':
      return event.reason === 'settled_elsewhere' && billed?.event === 'settled' ? undefined : billed;
  }
}

/** The longest settle horizon that was seen. */
interface Horizon {
  ms: number;
}

interface Source {
  readonly events: AsyncGenerator<BilledEvent>;
  head: IteratorResult<BilledEvent>;
}

function earliest(sources: readonly Source[]): readonly [Source, BilledEvent] | undefined {
  let found: readonly [Source, BilledEvent] | undefined;
  for (const source of sources) {
    if (source.head.done === true) continue;
    const event = source.head.value;
    if (found === undefined || event.atMs < found[1].atMs) found = [source, event];
  }
  return found;
}

async function* mergeLedger(
  folder: string,
  horizon: Horizon,
  onCorrupt: MergeOptions['onCorrupt'],
): AsyncGenerator<BilledEvent, undefined> {
  const open = new Map<string, Merged>();
  for (const segment of await listSegments(folder)) {
    const { lines } = await readSegment(segment);
    for (const { checked, line, ended } of lines) {
      const record = checked?.record;
      if (record === undefined) {
        if (ended) onCorrupt?.(segment.path, line);
      } else if (record.event === 'segment') {
        horizon.ms = Math.max(horizon.ms, record.horizonSeconds * 1000);
      } else {
        merge(open, record);
        yield* final(open, record.atMs - horizon.ms - SLACK_MS);
      }
    }
  }
  yield* final(open, Number.POSITIVE_INFINITY);
}

/** For clocks that differ, and for expired events, which are written later than all others. */
const SLACK_MS = 7_200_000;

interface Merged {
  readonly madeMs: number;
  readonly billed: BilledEvent | undefined;
  /** When the last event came. */
  readonly seenMs: number;
}

function merge(open: Map<string, Merged>, event: LedgerEvent): void {
  const known = open.get(event.id);
  const billed = mergeEvent(known?.billed, event);
  if (known === undefined && billed === undefined) return;
  const madeMs = known?.madeMs ?? parseReservationId(event.id)?.epochMs ?? 0;
  open.set(event.id, { madeMs, billed, seenMs: event.atMs });
}

/** What was made and last seen before a moment changes no more. A map is in the order of first events. */
function* final(open: Map<string, Merged>, beforeMs: number): Generator<BilledEvent> {
  for (const [id, { madeMs, seenMs, billed }] of open) {
    if (Math.max(madeMs, seenMs) >= beforeMs) return;
    open.delete(id);
    if (billed !== undefined) yield billed;
  }
}
