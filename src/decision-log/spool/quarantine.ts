import { join } from 'node:path';
import type { SpoolFiles } from './spool-files.ts';

/** Copies of what no event could be read from, a file beside each segment that had some. */
export interface Quarantine {
  /** Lists what is there. */
  open(): Promise<void>;
  /** On the disk. */
  readonly bytes: number;
  /**
   * Whether the piece of a segment is new: each is new once, whoever reads it and however it is cut. A new one is copied
   * where there is room, if need be in place of the oldest copies. Empty: all of the segment from there on is gone.
   */
  keep(segment: number, offset: number, piece: Buffer): Promise<boolean>;
  /** Deletes the oldest copies; answers whether there were any. Rejects when the disk refuses. */
  shed(): Promise<boolean>;
  /** Nothing of the segment will be read any more. */
  forget(segment: number): void;
}

export interface QuarantineOptions {
  readonly folder: string;
  readonly files: SpoolFiles;
  /** Bytes that copies may have beside all else, now. */
  readonly room: () => number;
  /** Bytes that are kept no longer, or never were. */
  readonly onLost: (bytes: number) => void;
  readonly onFailed: (error: unknown) => void;
}

export function createQuarantine({ folder, files, room, onLost, onFailed }: QuarantineOptions): Quarantine {
  const copies: Copy[] = [];
  /** By segment: up to where its damage is known. */
  const known = new Map<number, number>();
  let stored = 0;
  let turn: Promise<unknown> = Promise.resolve();

  /** One after the other: a file that is deleted is not being written to. */
  const inTurn = <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  const shed = async (): Promise<boolean> => {
    const oldest = copies.shift();
    if (oldest === undefined) return false;
    try {
      await files.remove(copyPath(folder, oldest.segment));
    } catch (error) {
      copies.unshift(oldest);
      throw error;
    }
    stored -= oldest.bytes;
    onLost(oldest.bytes);
    return true;
  };
  const copy = async (segment: number, piece: Buffer): Promise<void> => {
    const bytes = piece.length + 1;
    while (stored + bytes > room() && (await shed()));
    if (stored + bytes > room()) return onLost(piece.length);
    // Before it is written: a part of it may be there where that fails.
    stored += bytes;
    const found = copies.find((one) => one.segment === segment);
    if (found !== undefined) found.bytes += bytes;
    else {
      copies.push({ segment, bytes });
      copies.sort((a, b) => a.segment - b.segment);
    }
    await files.append(copyPath(folder, segment), Buffer.concat([piece, NEWLINE]));
  };

  return {
    open: async () => {
      for (const { name, bytes } of await files.list(folder)) {
        const segment = Number(COPY.exec(name)?.[1] ?? Number.NaN);
        if (Number.isNaN(segment)) continue;
        copies.push({ segment, bytes });
        stored += bytes;
      }
      copies.sort((a, b) => a.segment - b.segment);
    },
    get bytes() {
      return stored;
    },
    keep: async (segment, offset, piece) => {
      const from = known.get(segment) ?? -1;
      const end = piece.length === 0 ? Number.MAX_SAFE_INTEGER : offset + piece.length;
      if (end <= from) return false;
      known.set(segment, end);
      const fresh = piece.subarray(Math.max(0, from - offset));
      if (fresh.length > 0) await inTurn(() => copy(segment, fresh)).catch(onFailed);
      return true;
    },
    shed: () => inTurn(shed),
    forget: (segment) => {
      known.delete(segment);
    },
  };
}

interface Copy {
  readonly segment: number;
  bytes: number;
}

const COPY = /^(\d{10})\.spool\.quarantine$/;
const NEWLINE = Buffer.from('\n');

function copyPath(folder: string, segment: number): string {
  return join(folder, `${String(segment).padStart(10, '0')}.spool.quarantine`);
}
