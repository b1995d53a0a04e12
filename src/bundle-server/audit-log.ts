import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toSafeLine } from '../telemetry/json-line.ts';

/** One change, or that it came to nothing. */
export interface AuditEntry {
  readonly at: string;
  /** The name of the token. */
  readonly who: string;
  /** The address of the connection. */
  readonly from: string;
  readonly what: 'publish' | 'publish_delta' | 'promote' | 'order' | 'failed';
  readonly bundle: string;
  readonly sha256?: string;
  readonly version?: number;
  readonly [more: string]: unknown;
}

/** Who changed what: one JSON object a line, on the disk before the change is made. */
export interface AuditLog {
  /** Resolves once the line is durable; throws where it cannot be, and then nothing may be changed. */
  append(entry: AuditEntry): Promise<void>;
}

/** Appends to one file, opened for each line: who rotates it by moving it away needs to tell nobody. */
export function createAuditLog(path: string): AuditLog {
  let last: Promise<unknown> = Promise.resolve();
  return {
    append: (entry) => {
      const line = last.then(() => append(path, toSafeLine(JSON.stringify(entry))));
      last = line.catch(() => undefined);
      return line;
    },
  };
}

async function append(path: string, line: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  // A line that a full disk or a crash cut off stays one bad line and swallows no good one.
  const isWhole = size === 0 || (await lastByte(file, size)) === NEWLINE;
  const bytes = Buffer.from(`${isWhole ? '' : '\n'}${line}\n`);
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten !== bytes.length) throw new Error('the audit log took only a part of a line');
  await file.sync();
}

const NEWLINE = 0x0a;

async function lastByte(file: Awaited<ReturnType<typeof open>>, size: number): Promise<number | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 ? buffer[0] : undefined;
}
