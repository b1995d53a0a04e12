import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../decision/ports.ts';
import type { FileSinkConfig } from './config.ts';
import { createLineWriter } from './descriptor.ts';
import type { Sink } from './sink.ts';

export interface FileSinkParts {
  readonly clock: Clock;
}

/**
 * Appends lines to a file, made with mode 0600: events name who did what. With `rotate` the file is renamed to
 * `PATH.<UTC time>` when it has the size or the age, and the oldest of those are deleted.
 */
export function createFileSink({ path, rotate }: FileSinkConfig, { clock }: FileSinkParts): Sink {
  const writeLines = createLineWriter();
  let file: FileHandle | undefined;
  let length = 0;
  let sinceMs = 0;

  const openFile = async (): Promise<FileHandle> => {
    try {
      const opened = await open(path, 'a', 0o600);
      const { size, birthtimeMs } = await opened.stat();
      length = size;
      sinceMs = size === 0 ? clock.now().epochMs : Math.min(birthtimeMs, clock.now().epochMs);
      return opened;
    } catch (cause) {
      throw new Error(`cannot open the decision log \`${path}\`: check its folder and permissions`, { cause });
    }
  };
  const reopen = async (): Promise<void> => {
    const former = file;
    // Opened first: if that fails, the former file stays in use.
    file = await openFile();
    await former?.close();
  };
  const isDue = (): boolean => {
    if (rotate === undefined || length === 0) return false;
    const { max_mb: maxMb, hours } = rotate;
    const isOld = hours !== undefined && clock.now().epochMs - sinceMs >= hours * 3_600_000;
    return isOld || length >= maxMb * 1_048_576;
  };
  const rotateNow = async (keep: number): Promise<void> => {
    await rename(path, `${path}.${stampOf(clock.now().epochMs)}`);
    await reopen();
    const former = await rotatedFiles(path);
    for (const name of former.slice(0, Math.max(0, former.length - keep))) await rm(name, { force: true });
  };

  return {
    name: 'file',
    open: async () => {
      file = await openFile();
    },
    write: async (lines) => {
      if (rotate !== undefined && isDue()) {
        // Lines are worth more than the size of a file: where it cannot be rotated it grows on.
        await rotateNow(rotate.keep).catch(() => undefined);
      }
      if (file === undefined) throw new Error(`the decision log \`${path}\` is not open`);
      length += await writeLines(file.fd, lines);
    },
    reopen,
    close: async () => {
      const former = file;
      file = undefined;
      await former?.close();
    },
  };
}

/** Sorts as text in order of time, and two in one millisecond are told apart by their number. */
function stampOf(epochMs: number): string {
  rotations += 1;
  const number = String(rotations % 10_000).padStart(4, '0');
  return `${new Date(epochMs).toISOString().replaceAll(/[-:.]/g, '')}-${number}`;
}

let rotations = 0;

async function rotatedFiles(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = (await readdir(folder)).filter(
    (name) => name.startsWith(prefix) && STAMP.test(name.slice(prefix.length)),
  );
  return names.sort().map((name) => join(folder, name));
}

const STAMP = /^\d{8}T\d{9}Z-\d{4}$/;
