import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import type { Clock, Instant, StartTimer } from '../decision/ports.ts';
import type { KeyDirectory, KeyDirectoryEvent } from './api-key-directory.ts';
import { MAX_KEY_FILE_BYTES, parseKeyFile } from './api-key-file.ts';
import type { KeyRecord } from './api-key-record.ts';
import { CredentialFault } from './credential-fault.ts';

/** A file that is looked at again and again. */
export interface WatchedFile {
  /** Differs whenever the file does, but for changes within one tick of the file system's clock. */
  stamp(): Promise<string>;
  /** At most one byte more than is ever accepted. */
  read(): Promise<Uint8Array>;
}

export interface FileKeyDirectoryOptions {
  readonly file: WatchedFile;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly report: (event: KeyDirectoryEvent) => void;
}

/** Between two looks at the file; with the reading, a change is in force well within a second. */
const POLL_MS = 250;
/** Two writes in one tick have one stamp, so for so many looks after a change the file is read whatever its stamp. */
const UNSETTLED_POLLS = 8;
/** How long the last good content is used while the file is broken or gone. */
const MAX_AGE_MS = 900_000;
const START_WAIT_MS = 2000;
/** More of them in one line help nobody. */
const TOLD_FAULTS = 10;

/** The file of a path, as the file system has it. */
export function createWatchedFile(path: string): WatchedFile {
  return {
    stamp: async () => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(':');
    },
    read: async () => {
      const handle = await open(path, 'r');
      try {
        const bytes = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
        let length = 0;
        for (;;) {
          const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
          length += bytesRead;
          if (bytesRead === 0 || length === bytes.length) return bytes.subarray(0, length);
        }
      } finally {
        await handle.close();
      }
    },
  };
}

/**
 * The keys of a file, in memory, and the file watched. A broken file leaves the last good keys in force for a quarter
 * of an hour, but for those it says are revoked. A revocation is final: no later content of the file takes it back.
 */
export function createFileKeyDirectory(options: FileKeyDirectoryOptions): KeyDirectory {
  const { file, clock, startTimer, report } = options;
  const revoked = new Set<string>();
  let loaded: { readonly records: ReadonlyMap<string, KeyRecord>; readonly confirmedAtMs: number } | undefined;
  let last: { readonly stamp: string; readonly digest: string; readonly good: boolean } | undefined;
  let unsettled = 0;
  let lastFault = 'the keys file was never read';
  let told: string | undefined;
  let running = false;
  let cancelNext = (): void => {};

  async function look(): Promise<void> {
    const startedAtMs = clock.now().monotonicMs;
    try {
      const stamp = await file.stamp();
      if (stamp !== last?.stamp) unsettled = UNSETTLED_POLLS;
      if (unsettled > 0) {
        unsettled -= 1;
        take(await file.read(), stamp);
      }
      if (last?.good === true && loaded !== undefined) loaded = { ...loaded, confirmedAtMs: startedAtMs };
    } catch (error) {
      last = undefined;
      fail(error instanceof Error ? error.message : 'unknown failure');
    }
  }

  function take(bytes: Uint8Array, stamp: string): void {
    const digest = createHash('sha256').update(bytes).digest('base64');
    if (last?.digest === digest) {
      last = { ...last, stamp };
      return;
    }
    const content = parseKeyFile(bytes);
    for (const id of content.revoked) revoked.add(id);
    const good = content.faults.length === 0;
    last = { stamp, digest, good };
    const records = good ? content.records : loaded?.records;
    if (records !== undefined) {
      loaded = { records: withRevocations(records, revoked), confirmedAtMs: loaded?.confirmedAtMs ?? 0 };
    }
    if (good) {
      told = undefined;
      report({ kind: 'loaded', keys: content.records.size });
    } else fail(content.faults.slice(0, TOLD_FAULTS).join('; '));
  }

  function fail(cause: string): void {
    lastFault = cause;
    if (told === cause) return;
    told = cause;
    report({ kind: 'failed', cause });
  }

  async function watch(): Promise<void> {
    await look();
    if (running) cancelNext = startTimer(POLL_MS, () => void watch());
  }

  function current(at: Instant): ReadonlyMap<string, KeyRecord> | undefined {
    return loaded !== undefined && at.monotonicMs - loaded.confirmedAtMs <= MAX_AGE_MS ? loaded.records : undefined;
  }

  return {
    find: (id, at) => {
      const records = current(at);
      if (records === undefined) throw new CredentialFault('the keys file cannot be used', 'issuer_unavailable');
      return records.get(id);
    },
    start: () => {
      running = true;
      return new Promise((resolve) => {
        const cancel = startTimer(START_WAIT_MS, resolve);
        void watch().then(() => {
          cancel();
          resolve();
        });
      });
    },
    stop: () => {
      running = false;
      cancelNext();
    },
    fault: (at) => (current(at) === undefined ? `keys file: ${lastFault}` : undefined),
  };
}

function withRevocations(
  records: ReadonlyMap<string, KeyRecord>,
  revoked: ReadonlySet<string>,
): ReadonlyMap<string, KeyRecord> {
  return new Map([...records].map(([id, record]) => [id, revoked.has(id) ? { ...record, revoked: true } : record]));
}
