import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isObject } from '../../decision/json.ts';
import { BundleError } from '../errors.ts';
import { parseCanonicalJson } from './canonical-json.ts';
import { FORM, readClaims } from './claim-members.ts';
import type { BundleMark, OrderMark } from './mark-check.ts';

/** The marks of a machine. */
export interface MarkDocument {
  /** The latest time seen, in epoch seconds; 0 when none was. */
  readonly latestEpochS: number;
  /** By {@link markKey}. */
  readonly bundles: ReadonlyMap<string, BundleMark>;
  readonly orders: ReadonlyMap<string, OrderMark>;
}

/** Neither a scope nor a name holds a blank. */
export function markKey(scope: string, name: string): string {
  return `${scope} ${name}`;
}

/** Reads the marks; none when there is no file. Throws `bundle_untrusted` for a file that it did not write as it is. */
export async function readMarks(file: string): Promise<MarkDocument> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NONE;
    throw unreadable(file, error);
  }
  try {
    return parseMarks(text);
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** Replaces the file: a reader, and a machine that loses power, finds the old marks or the new ones. */
export async function writeMarks(file: string, marks: MarkDocument): Promise<void> {
  const text = `${toText(marks)}\n`;
  parseMarks(text);
  const partial = `${file}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await writeSynced(partial, text);
    await rename(partial, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(partial, { force: true });
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new BundleError('bundle_untrusted', `cannot write the marks of bundles, \`${file}\` (${code})`, {
      cause: error,
    });
  }
}

const NONE: MarkDocument = { latestEpochS: 0, bundles: new Map(), orders: new Map() };

async function writeSynced(file: string, text: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o600);
  await handle.writeFile(text);
  await handle.sync();
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

function toText({ latestEpochS, bundles, orders }: MarkDocument): string {
  const marks = {
    latest: latestEpochS,
    bundles: [...bundles].map(([key, { version, sha256, minRollbackVersion }]) => ({
      key,
      version,
      sha256,
      min_rollback_version: minRollbackVersion,
    })),
    orders: [...orders].map(([key, { version, digest }]) => ({ key, version, digest })),
  };
  return JSON.stringify({ ...marks, checksum: checksumOf(marks) });
}

const MARK_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127} [a-z0-9][a-z0-9_-]{0,63}$/;
const DOCUMENT_MEMBERS = new Set(['latest', 'bundles', 'orders', 'checksum']);
const BUNDLE_MEMBERS = new Set(['key', 'version', 'sha256', 'min_rollback_version']);
const ORDER_MEMBERS = new Set(['key', 'version', 'digest']);

function parseMarks(text: string): MarkDocument {
  const value = text.endsWith('\n') ? parseCanonicalJson(text.slice(0, -1)) : undefined;
  if (value === undefined) throw new TypeError('it is no strict JSON');
  const document = readClaims(value, DOCUMENT_MEMBERS);
  const { checksum, ...marks } = value;
  if (checksum !== checksumOf(marks)) throw new TypeError('its checksum does not match');
  const latestEpochS = document.whole('latest');
  const bundles = new Map<string, BundleMark>();
  for (const entry of entriesOf(value['bundles'])) {
    const read = readClaims(entry, BUNDLE_MEMBERS);
    const version = read.whole('version', 1);
    const minRollbackVersion = read.whole('min_rollback_version');
    addOnce(bundles, read.text('key', MARK_KEY), {
      version,
      sha256: read.text('sha256', FORM.sha256),
      minRollbackVersion,
    });
  }
  const orders = new Map<string, OrderMark>();
  for (const entry of entriesOf(value['orders'])) {
    const read = readClaims(entry, ORDER_MEMBERS);
    addOnce(orders, read.text('key', MARK_KEY), {
      version: read.whole('version', 1),
      digest: read.text('digest', FORM.sha256),
    });
  }
  return { latestEpochS, bundles, orders };
}

/** Against damage, not against whoever may write here: he could remove the file too. */
function checksumOf(marks: object): string {
  return createHash('sha256').update(JSON.stringify(marks)).digest('hex');
}

function entriesOf(value: unknown): readonly { readonly [name: string]: unknown }[] {
  if (!Array.isArray(value) || !value.every(isObject)) throw new TypeError('it has no list of marks');
  return value;
}

function addOnce<T>(marks: Map<string, T>, key: string, mark: T): void {
  if (marks.has(key)) throw new TypeError('it has a mark twice');
  marks.set(key, mark);
}

function unreadable(file: string, cause: unknown): BundleError {
  return new BundleError(
    'bundle_untrusted',
    `the marks of bundles, \`${file}\`, cannot be read or were damaged, so no version can be believed; put the file back from a copy, or remove it deliberately`,
    { cause },
  );
}
