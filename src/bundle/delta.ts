import { createHash } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import { type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS, readArchive } from './archive.ts';
import type { Bundle } from './bundle.ts';
import { checkDataWithinRoots } from './documents.ts';
import { BundleError, nameBundle } from './errors.ts';
import { type BundleManifest, parseManifest, rootCovers } from './manifest.ts';
import { parseExactJson, parseJson, put } from './member-json.ts';

/** The digest that stands for a base with a delta applied to it; the next delta of the chain names it as its base. */
export function deltaSha256(baseSha256: string, archiveSha256: string): string {
  return createHash('sha256').update(`${baseSha256}+${archiveSha256}`).digest('hex');
}

/**
 * The bundle with a delta archive of OPA's form applied to its data; policy, roots and cases stay. Throws a
 * `BundleError`: a path outside the roots, a removal of what is not there, an operation that OPA does not have.
 */
export function applyDelta(base: Bundle, bytes: Uint8Array, revision: string): Bundle {
  try {
    const { patches } = readDelta(bytes);
    const document: Document = { root: parseExactJson('data.json', base.data), moved: 0 };
    for (const patch of patches) applyPatch(document, patch, base.roots);
    const data = Buffer.from(JSON.stringify(document.root));
    if (data.length > DEFAULT_ARCHIVE_LIMITS.maxMemberBytes) {
      throw new BundleError('bundle_too_large', 'with the delta its data are larger than a bundle may have');
    }
    const dataValue: unknown = JSON.parse(data.toString());
    if (!isObject(dataValue)) throw invalid('the delta makes the data no object');
    checkDataWithinRoots(dataValue, base.roots);
    const archiveSha256 = createHash('sha256').update(bytes).digest('hex');
    return { ...base, revision, data, sha256: deltaSha256(base.sha256, archiveSha256) };
  } catch (error) {
    throw nameBundle(base.name, error, 'bundle_invalid');
  }
}

/** One change of a delta. */
export interface Patch {
  readonly op: 'upsert' | 'remove' | 'replace';
  /** Steps below `data`, unescaped. */
  readonly path: readonly string[];
  readonly value: unknown;
}

export interface Delta {
  readonly members: ReadonlySet<string>;
  readonly manifest: BundleManifest;
  readonly patches: readonly Patch[];
}

/** Reads a delta, within bounds: whoever publishes it and whoever applies it read the same. Throws a `BundleError`. */
export function readDelta(bytes: Uint8Array): Delta {
  const files = readArchive(bytes, DELTA_LIMITS);
  for (const name of files.keys()) {
    if (!MEMBERS.has(name)) throw invalid(`member \`${name}\` has no meaning in a delta`);
  }
  const manifest = files.get('.manifest');
  const patches = files.get('patch.json');
  if (patches === undefined) throw invalid('a delta has no `patch.json`');
  const value = parseExactJson('patch.json', patches);
  const list = isObject(value) ? value['data'] : undefined;
  if (!Array.isArray(list)) throw invalid('`patch.json` has no list `data`');
  if (list.length > MAX_PATCHES) throw tooMuch(`has more than ${MAX_PATCHES} operations`);
  return {
    members: new Set(files.keys()),
    manifest: parseManifest(manifest && parseJson('.manifest', manifest)),
    patches: list.map(toPatch),
  };
}

/** Whether what a patch changes lies at or below one of the roots. */
export function isWithinRoots({ path }: Patch, roots: readonly string[]): boolean {
  // A slash within a name parts no steps.
  const steps = path.map((step) => step.replaceAll('/', '\u{fffd}')).join('/');
  return roots.some((root) => rootCovers(root, steps));
}

/** Applied where requests are decided: what takes longer is a whole bundle's to bring. */
const DELTA_LIMITS: ArchiveLimits = { maxTotalBytes: 8 * 2 ** 20, maxMemberBytes: 8 * 2 ** 20, maxMembers: 16 };
const MAX_PATCHES = 10_000;
const MAX_PATH_LENGTH = 4_096;
/** Members of lists that move up or down, all in all. */
const MAX_MOVED = 20_000_000;

interface Document {
  root: unknown;
  /** How many members of lists were moved. */
  moved: number;
}

const MEMBERS = new Set(['.manifest', '.signatures.json', 'patch.json']);

function toPatch(value: unknown, index: number): Patch {
  const at = `\`patch.json\` data[${index}]`;
  if (!isObject(value)) throw invalid(`${at} is no object`);
  const { op, path, value: member } = value;
  if (op !== 'upsert' && op !== 'remove' && op !== 'replace') {
    throw invalid(`${at} has an \`op\` that is none of upsert, remove and replace`);
  }
  if (typeof path !== 'string') throw invalid(`${at} has no \`path\``);
  if (path.length > MAX_PATH_LENGTH) throw tooMuch(`has a path of more than ${MAX_PATH_LENGTH} characters`);
  if (op !== 'remove' && member === undefined) throw invalid(`${at} has no \`value\``);
  const trimmed = path.replace(/^\/+/, '').replace(/\/+$/, '');
  // RFC 6901's escapes.
  const steps = trimmed === '' ? [] : trimmed.split('/');
  return { op, path: steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')), value: member };
}

function applyPatch(document: Document, patch: Patch, roots: readonly string[]): void {
  const { op, path, value } = patch;
  const shown = path.join('/').slice(0, 120);
  if (!isWithinRoots(patch, roots)) {
    throw invalid(`the delta changes \`${shown}\`, outside the roots of the bundle`);
  }
  const last = path.at(-1);
  if (last === undefined) {
    if (op === 'remove') throw invalid('the delta removes all data');
    document.root = value;
    return;
  }
  const parent = path.slice(0, -1).reduce((node, step) => descend(node, step, op === 'upsert', shown), document.root);
  if (Array.isArray(parent)) document.moved += changeList(parent, last, op, value, shown);
  else if (isObject(parent)) changeObject(parent, last, op, value, shown);
  else throw invalid(`the delta’s path \`${shown}\` leads through what is neither object nor list`);
  if (document.moved > MAX_MOVED) throw tooMuch('moves too many members of long lists');
}

/** The member of that name; an upsert makes the objects on its way, as OPA does. */
function descend(node: unknown, step: string, make: boolean, shown: string): unknown {
  if (Array.isArray(node)) {
    const found: unknown = node[indexOf(step, node.length - 1, shown)];
    return found;
  }
  if (!isObject(node)) throw invalid(`the delta’s path \`${shown}\` leads through what is neither object nor list`);
  if (!Object.hasOwn(node, step)) {
    if (!make) throw invalid(`the delta’s path \`${shown}\` is not there`);
    put(node, step, {});
  }
  return node[step];
}

function changeObject(object: object, key: string, op: Patch['op'], value: unknown, shown: string): void {
  if (op !== 'upsert' && !Object.hasOwn(object, key)) throw invalid(`the delta’s path \`${shown}\` is not there`);
  if (op === 'remove') Reflect.deleteProperty(object, key);
  else put(object, key, value);
}

/** Answers how many members had to move. */
function changeList(list: unknown[], key: string, op: Patch['op'], value: unknown, shown: string): number {
  const last = op === 'upsert' ? list.length : list.length - 1;
  const index = op === 'upsert' && key === '-' ? list.length : indexOf(key, last, shown);
  if (op === 'remove') list.splice(index, 1);
  else if (op === 'replace') list[index] = value;
  else list.splice(index, 0, value);
  return op === 'replace' ? 0 : list.length - index;
}

function indexOf(step: string, last: number, shown: string): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(step) ? Number(step) : Number.NaN;
  if (!(index <= last)) throw invalid(`the delta’s path \`${shown}\` is not there`);
  return index;
}

function invalid(message: string): BundleError {
  return new BundleError('bundle_invalid', message);
}

function tooMuch(fault: string): BundleError {
  return new BundleError('bundle_too_large', `the delta ${fault}; publish a whole bundle in its place`);
}
