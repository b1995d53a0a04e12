import { join } from 'node:path';
import { isObject } from '../../decision/json.ts';
import { LANES, type Lane } from '../lane.ts';
import type { SpoolFiles } from './spool-files.ts';
import { readSpoolLines, toSpoolLine } from './spool-line.ts';
import type { Place } from './spool-reader.ts';

/** How far one sink has come in each lane. */
export type Cursor = { [lane in Lane]: Place };

export const START: Place = { segment: 0, offset: 0 };

/** Reads the cursor of a sink: the beginning where there is none, `undefined` where what is there is not one. */
export async function readCursor(folder: string, sink: string, files: SpoolFiles): Promise<Cursor | undefined> {
  const note = await files.readNote(cursorPath(folder, sink));
  if (note === '') return startOfSpool();
  const { lines, bad } = readSpoolLines(Buffer.from(note));
  const [line] = lines;
  if (line === undefined || lines.length > 1 || bad.length > 0) return undefined;
  const saved = parsed(line);
  if (!isObject(saved)) return undefined;
  const cursor = startOfSpool();
  for (const lane of LANES) {
    const place = toPlace(saved[lane]);
    if (place === undefined) return undefined;
    cursor[lane] = place;
  }
  return cursor;
}

export function startOfSpool(): Cursor {
  return { kept: START, denied: START };
}

/** With a checksum: a place that nobody vouches for would pass over events. */
export async function saveCursor(folder: string, sink: string, cursor: Cursor, files: SpoolFiles): Promise<void> {
  await files.writeNote(cursorPath(folder, sink), toSpoolLine(`${JSON.stringify(cursor)}\n`));
}

function cursorPath(folder: string, sink: string): string {
  return join(folder, `cursor-${sink}.json`);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function toPlace(value: unknown): Place | undefined {
  if (!isObject(value)) return undefined;
  const { segment, offset } = value;
  if (typeof segment !== 'number' || typeof offset !== 'number') return undefined;
  return Number.isSafeInteger(segment) && segment >= 0 && Number.isSafeInteger(offset) && offset >= 0
    ? { segment, offset }
    : undefined;
}
