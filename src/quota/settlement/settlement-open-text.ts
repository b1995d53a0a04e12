import type { Reservation } from '../bucket-store.ts';
import { parseNote } from '../note.ts';
import { parseReservationId } from '../reservation-id.ts';

export type OnExpiry = 'charge' | 'release';

/** What a settle must know of a reservation. */
export type Reserved = Pick<Reservation, 'plan' | 'note' | 'amounts'>;

/** A reservation that nobody settled yet, as it is kept for the next process. */
export interface OpenEntry {
  readonly id: string;
  readonly expiresMs: number;
  readonly onExpiry: readonly OnExpiry[];
  /** Absent where only the store knows it. */
  readonly reserved?: Reserved;
}

/** Beyond so many characters of notes the rest are kept without theirs. */
const MAX_NOTES = 16 * 1024 * 1024;
const NOTE = 'note ';

/** One line each, below the note that they share; those without one come first. */
export function toOpenText(entries: Iterable<readonly [string, Omit<OpenEntry, 'id'>]>): string {
  const bare: string[] = [];
  const byNote = new Map<string, string[]>();
  let size = 0;
  for (const [id, { expiresMs, onExpiry, reserved }] of entries) {
    const line = `${id} ${expiresMs} ${onExpiry.join()}`;
    let lines = reserved === undefined ? undefined : byNote.get(reserved.note);
    if (reserved !== undefined && lines === undefined && size + reserved.note.length <= MAX_NOTES) {
      size += reserved.note.length;
      lines = [];
      byNote.set(reserved.note, lines);
    }
    if (reserved === undefined || lines === undefined) bare.push(`${line}\n`);
    else lines.push(`${line} ${reserved.plan} ${reserved.amounts.join()}\n`);
  }
  for (const [note, lines] of byNote) bare.push(`${NOTE}${note}\n`, ...lines);
  return bare.join('');
}

/** Leaves out what cannot be read. */
export function* parseOpenText(text: string, toReserved = createNoteReader()): Generator<OpenEntry> {
  let note: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith(NOTE)) {
      note = line.slice(NOTE.length);
      continue;
    }
    const [id = '', expires = '', ends = '', plan, amounts] = line.split(' ');
    const expiresMs = Number(expires);
    if (parseReservationId(id) === undefined || !Number.isFinite(expiresMs)) continue;
    const onExpiry = ends.split(',').flatMap((end): OnExpiry[] => (end === 'charge' || end === 'release' ? [end] : []));
    const reserved =
      note === undefined || plan === undefined || amounts === undefined
        ? undefined
        : toReserved({ note, plan: Number(plan), amounts: amounts.split(',').map(Number) });
    yield { id, expiresMs, onExpiry, ...(reserved === undefined ? {} : { reserved }) };
  }
}

/** `undefined` for a note that cannot be read, or is of other charges. */
export type NoteReader = (reserved: Reserved) => Reserved | undefined;

/** Calls that are the same have the same note: the last 4,096 are read once, and each is there once. */
export function createNoteReader(): NoteReader {
  const read = new Map<string, { readonly note: string; readonly charges: number }>();
  const readOnce = (plan: number, note: string): { readonly note: string; readonly charges: number } => {
    const key = `${plan} ${note}`;
    const known = read.get(key);
    if (known !== undefined) return known;
    if (read.size >= MAX_READ) read.clear();
    const one = { note, charges: note.includes('\n') ? -1 : countCharges(note, plan) };
    read.set(key, one);
    return one;
  };
  return ({ plan, note, amounts }) => {
    const known = readOnce(plan, note);
    const isWhole = known.charges === amounts.length && amounts.every((amount) => Number.isSafeInteger(amount));
    return isWhole ? { plan, note: known.note, amounts } : undefined;
  };
}

const MAX_READ = 4_096;

function countCharges(note: string, plan: number): number {
  try {
    return parseNote(note, plan).charges.length;
  } catch {
    return -1;
  }
}
