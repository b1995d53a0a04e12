import { join } from 'node:path';
import { isObject } from '../../decision/json.ts';
import { LANES, type Lane } from '../lane.ts';
import type { SpoolFiles } from './spool-files.ts';
import type { Place } from './spool-reader.ts';

/** How far one sink has come in each lane. */
export type Cursor = { [lane in Lane]: Place };

const START: Place = { segment: 0, offset: 0 };

/** Reads the cursor of a sink; one that is missing or cannot be read is the beginning, so that nothing is passed over. */
export async function readCursor(folder: string, sink: string, files: SpoolFiles): Promise<Cursor> {
  const cursor: Cursor = { kept: START, denied: START };
  let saved: unknown;
  try {
    saved = JSON.parse(await files.readNote(cursorPath(folder, sink)));
  } catch {
    return cursor;
  }
  if (!isObject(saved)) return cursor;
  for (const lane of LANES) {
    const place = toPlace(saved[lane]);
    if (place !== undefined) cursor[lane] = place;
  }
  return cursor;
}

export async function saveCursor(folder: string, sink: string, cursor: Cursor, files: SpoolFiles): Promise<void> {
  await files.writeNote(cursorPath(folder, sink), `${JSON.stringify(cursor)}\n`);
}

function cursorPath(folder: string, sink: string): string {
  return join(folder, `cursor-${sink}.json`);
}

function toPlace(value: unknown): Place | undefined {
  if (!isObject(value)) return undefined;
  const { segment, offset } = value;
  if (typeof segment !== 'number' || typeof offset !== 'number') return undefined;
  return Number.isSafeInteger(segment) && segment >= 0 && Number.isSafeInteger(offset) && offset >= 0
    ? { segment, offset }
    : undefined;
}
