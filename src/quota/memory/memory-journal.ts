import {
  appendFileSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { StoreFault } from '../bucket-store.ts';
import { parseJournalLine, toJournalLine } from './memory-journal-line.ts';
import type { MemoryView, WindowJournal } from './memory-steps.ts';
import { type KeptWindow, readWindow, readWindows, restoreWindow } from './memory-windows.ts';

/** What a memory store's windows are after a restart: append-only, one batch of lines for each turn of the event loop. */
export interface MemoryJournal extends WindowJournal {
  /** Puts back what was kept, and writes it anew; nothing may be taken before. */
  restore(view: MemoryView): Restored;
  flush(): void;
  close(): void;
}

export interface Restored {
  readonly windows: number;
  /** Lines that were put aside because their checksum does not fit. */
  readonly corrupt: number;
}

export interface MemoryJournalOptions {
  readonly folder: string;
  /** `false` once another process has taken the folder over. */
  readonly isOurs: () => boolean;
  /** Told once when windows cannot be kept any more, and once when they can again. */
  readonly report: (event: { readonly kept: boolean; readonly cause?: unknown }) => void;
  readonly write?: (file: number, text: string) => number;
}

const RETRY_MS = 1000;
/** A file grows to this and thrice what it began with before it is written anew. */
const MOST_GROWTH = 8 * 2 ** 20;

/** Reads the key of the digests, or makes one. Without it what was kept says nothing: then it throws. */
export function loadDigestKey(folder: string, random: (bytes: number) => Buffer): Buffer {
  const path = join(folder, 'key');
  const known = readIfThere(path);
  if (known !== undefined) {
    const text = known.toString('latin1').trim();
    if (/^[0-9a-f]{32}$/.test(text)) return Buffer.from(text, 'hex');
    throw new Error(`\`${path}\` is damaged: put back its copy, or remove the folder to begin with unused quotas`);
  }
  if (readIfThere(join(folder, WINDOWS)) !== undefined) {
    throw new Error(`\`${path}\` is missing: put back its copy, or remove the folder to begin with unused quotas`);
  }
  const key = random(16);
  replaceFile(path, `${key.toString('hex')}\n`);
  return key;
}

export function createMemoryJournal({
  folder,
  isOurs,
  report,
  write = writeText,
}: MemoryJournalOptions): MemoryJournal {
  const path = join(folder, WINDOWS);
  const written = new Map<number, number>();
  let view: MemoryView | undefined;
  let file = -1;
  let size = 0;
  let firstSize = 0;
  let failing = false;
  let torn = false;
  let triedMs = 0;
  let scheduled = false;

  function rewrite(from: MemoryView): void {
    const lines = Array.from(readWindows(from, from.now.epochMs), toJournalLine).join('');
    replaceFile(path, lines);
    if (file !== -1) closeSync(file);
    file = openSync(path, 'a', 0o600);
    size = lines.length;
    firstSize = size;
    torn = false;
  }

  function append(from: MemoryView): void {
    if (!isOurs()) throw new Error(`another process has taken \`${folder}\` over`);
    let text = torn ? '\n' : '';
    for (const [bucket, lock] of written) {
      const kept = readWindow(from, { bucket, lock });
      if (kept !== undefined) text += toJournalLine(kept);
    }
    if (text === '') return;
    // What is cut off by a full disk becomes a line of its own, which its checksum gives away.
    torn = true;
    if (write(file, text) !== text.length) throw new Error(`\`${path}\` was not written whole`);
    torn = false;
    size += text.length;
    written.clear();
    if (size > MOST_GROWTH + 3 * firstSize) rewrite(from);
  }

  function flush(): void {
    scheduled = false;
    if (view === undefined || file === -1) return;
    try {
      append(view);
      if (failing) report({ kept: true });
      failing = false;
    } catch (cause) {
      if (!failing) report({ kept: false, cause });
      failing = true;
      triedMs = view.now.steadyMs;
    }
  }

  return {
    demand: (now) => {
      if (failing && Math.abs(now.steadyMs - triedMs) >= RETRY_MS) flush();
      if (failing) throw new StoreFault('refused', `\`${path}\` cannot be written, so no window is taken from`);
    },
    note: ({ bucket }, lock) => {
      written.set(bucket, lock);
      if (scheduled) return;
      scheduled = true;
      setImmediate(flush);
    },
    restore: (into) => {
      const { windows, corrupt } = parse(readIfThere(path)?.toString('latin1') ?? '');
      if (corrupt.length > 0) {
        appendFileSync(join(folder, 'windows.corrupt'), `${corrupt.join('\n')}\n`, { mode: 0o600, encoding: 'latin1' });
      }
      let restored = 0;
      for (const kept of windows) {
        if (kept.endMs <= into.now.epochMs || kept.used === 0) continue;
        restoreWindow(into, kept);
        restored += 1;
      }
      rewrite(into);
      view = into;
      return { windows: restored, corrupt: corrupt.length };
    },
    flush,
    close: () => {
      flush();
      if (file !== -1) closeSync(file);
      file = -1;
      view = undefined;
    },
  };
}

const WINDOWS = 'windows';

/** The last line of each bucket counts; what stands behind the last end of a line was never whole. */
function parse(text: string): { readonly windows: Iterable<KeptWindow>; readonly corrupt: readonly string[] } {
  const windows = new Map<string, KeptWindow>();
  const corrupt: string[] = [];
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue;
    const kept = parseJournalLine(line);
    if (kept === undefined) corrupt.push(line);
    else windows.set(`${kept.h0} ${kept.h1} ${kept.h2} ${kept.h3} ${kept.region} ${kept.shared?.group}`, kept);
  }
  return { windows: windows.values(), corrupt };
}

function writeText(file: number, text: string): number {
  return writeSync(file, text, null, 'latin1');
}

/** Whole or not at all, for its owner only. */
function replaceFile(path: string, text: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeFileSync(file, text, 'latin1');
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
