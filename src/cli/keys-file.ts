import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Document, isMap, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { ConfigError } from '../config/fault.ts';
import { parseKeyFile } from '../identity/api-key-file.ts';
import type { KeyEntry } from '../identity/api-key-record.ts';

/** A keys file that is being changed; its comments and its order stay. */
export interface KeysFile {
  entries(): readonly KeyEntry[];
  add(entry: KeyEntry): void;
  /** Sets one field of the entry with that id, which must be there. */
  set(id: string, name: 'expires' | 'revoked', value: string | boolean): void;
}

/** Reads a keys file; throws a {@link ConfigError} with every fault, and an Error when there is none to read. */
export async function readKeysFile(path: string): Promise<KeysFile> {
  return toKeysFile(parse(path, await readBytes(path)));
}

/**
 * Changes a keys file as a whole or not at all: one writer at a time, the new content checked, written beside it with
 * mode 0600 and moved into its place. What `change` throws leaves the file as it was.
 */
export async function changeKeysFile<T>(
  path: string,
  { create }: { readonly create: boolean },
  change: (file: KeysFile) => T,
): Promise<T> {
  const target = await realPath(path);
  const unlock = await lock(target);
  try {
    const bytes = await readBytes(target, create ? EMPTY : undefined);
    const document = parse(path, bytes);
    const result = change(toKeysFile(document));
    const text = document.toString({ lineWidth: 0 });
    parse(path, Buffer.from(text));
    await replace(target, text);
    return result;
  } finally {
    await unlock();
  }
}

const EMPTY = `# API keys of Sallyport, written by \`sallyport keys\`. Digests of secrets only: a lost key cannot be read from here.
keys: []
`;

function parse(path: string, bytes: Uint8Array): Document {
  const { faults } = parseKeyFile(bytes);
  if (faults.length > 0)
    throw new ConfigError(
      path,
      faults.map((message) => ({ path: '', message })),
    );
  return parseDocument(Buffer.from(bytes).toString('utf8'));
}

function toKeysFile(document: Document): KeysFile {
  const list = document.get('keys');
  if (!isSeq(list)) throw new Error('the keys file has no list `keys`');
  const maps = (): readonly YAMLMap[] => list.items.filter(isMap);
  return {
    // The file was parsed without a fault: every member is an entry.
    entries: () => maps().map((map) => map.toJSON() as KeyEntry),
    add: (entry) => {
      list.flow = false;
      list.add(document.createNode(entry));
    },
    set: (id, name, value) => {
      const map = maps().find((one) => one.get('id') === id);
      if (map === undefined) throw new Error(`there is no key \`${id}\``);
      map.set(name, value);
    },
  };
}

async function readBytes(path: string, otherwise?: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if (otherwise !== undefined && codeOf(error) === 'ENOENT') return Buffer.from(otherwise);
    const reason =
      codeOf(error) === 'ENOENT' ? 'there is no such file; `sallyport keys create` makes it' : codeOf(error);
    throw new Error(`cannot read \`${path}\`: ${reason}`, { cause: error });
  }
}

/** Of a link the file behind it, so that the link stays one. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return path;
  }
}

const LOCK_WAIT_MS = 2000;
const LOCK_RETRY_MS = 50;

async function lock(path: string): Promise<() => Promise<void>> {
  const name = `${path}.lock`;
  for (let waitedMs = 0; ; waitedMs += LOCK_RETRY_MS) {
    try {
      const handle = await open(name, 'wx', 0o600);
      await handle.close();
      return () => rm(name, { force: true });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw new Error(`cannot lock \`${path}\`: ${codeOf(error)}`, { cause: error });
      if (waitedMs >= LOCK_WAIT_MS) {
        throw new Error(`\`${name}\` says that another writer is at it; remove it if there is none`, { cause: error });
      }
      await pause(LOCK_RETRY_MS);
    }
  }
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.sallyport-keys-${randomBytes(8).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new Error(`cannot write \`${path}\`: ${codeOf(error)}`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
