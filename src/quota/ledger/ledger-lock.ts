import { readFileSync, readlinkSync } from 'node:fs';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { StartTimer } from '../../decision/ports.ts';

/** Says that a folder is this process's own. */
export interface FolderLock {
  /** `false` once another process has taken the folder over: nothing more may be written. */
  held(): boolean;
  release(): Promise<void>;
}

export interface LockOptions {
  readonly startTimer: StartTimer;
  readonly randomId: () => string;
  readonly nowMs: () => number;
}

/** How often a lock says that it is alive, and after which silence one of another machine or container is dead. */
const BEAT_MS = 2_000;
const SILENCE_MS = 15_000;

/**
 * One process to a folder. A lock whose process is gone is taken over: at once where it ran here, after 15 s without a
 * sign of life where it ran in another container or machine. Throws when the folder is in use.
 */
export async function lockFolder(folder: string, { startTimer, randomId, nowMs }: LockOptions): Promise<FolderLock> {
  const path = join(folder, 'lock');
  const token = randomId();
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid), where: place(), token });
  const draft = `${path}.${token}`;
  await writeFile(draft, own, { mode: 0o600 });
  try {
    for (let attempt = 0; !(await linked(draft, path)); attempt += 1) {
      const other = await readText(path);
      if (other !== undefined && (attempt >= ATTEMPTS || !(await isStale(path, other, nowMs())))) {
        throw new Error(
          `\`${folder}\` is in use by ${ownerOf(other)}: every process needs a \`quota.data_dir\` of its own`,
        );
      }
      if (other !== undefined) await remove(path, other, token);
    }
  } finally {
    await rm(draft, { force: true });
  }

  let held = true;
  let cancel = (): void => undefined;
  const beat = async (): Promise<void> => {
    if ((await readText(path)) !== own) {
      held = false;
      return;
    }
    const now = nowMs() / 1000;
    await utimes(path, now, now);
  };
  const keep = (): void => {
    cancel = startTimer(BEAT_MS, () => {
      // A disk that fails here fails the appends too, which say so.
      void beat()
        .catch(() => undefined)
        .then(() => (held ? keep() : undefined));
    });
  };
  keep();
  return {
    held: () => held,
    release: async () => {
      cancel();
      const mine = held && (await readText(path)) === own;
      held = false;
      if (mine) await rm(path, { force: true });
    },
  };
}

const ATTEMPTS = 3;

/** A link appears whole or not at all, and never replaces another. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Takes a stale lock away; puts back one that another process made meanwhile. */
async function remove(path: string, stale: string, token: string): Promise<void> {
  const aside = `${path}.${token}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readText(aside)) !== stale) await linked(aside, path);
  await rm(aside, { force: true });
}

async function isStale(path: string, text: string, nowMs: number): Promise<boolean> {
  const owner = parseOwner(text);
  if (owner?.where === place()) return !isAlive(owner);
  try {
    return nowMs - (await stat(path)).mtimeMs > SILENCE_MS;
  } catch {
    return true;
  }
}

interface Owner {
  readonly pid: number;
  readonly started: string;
  readonly where: string;
}

function parseOwner(text: string): Owner | undefined {
  try {
    // Only this function's own form is looked for, and each member is compared, never used.
    const { pid, started, where } = JSON.parse(text) as Partial<Owner>;
    if (typeof pid !== 'number' || typeof started !== 'string' || typeof where !== 'string') return undefined;
    return { pid, started, where };
  } catch {
    return undefined;
  }
}

function ownerOf(text: string): string {
  const pid = parseOwner(text)?.pid;
  return pid === undefined ? 'another process' : `process ${pid}`;
}

/** A number is given to another process some day: the time of its start tells them apart. */
function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return !isCode(error, 'ESRCH');
  }
  return startOf(pid) === started;
}

/** In clock ticks since boot; empty where there is no `/proc`. proc(5): field 22, the 20th after the name. */
function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Where process numbers mean the same: one boot of one machine, and one namespace in it. */
function place(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
