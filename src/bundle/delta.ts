import { createHash } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import { DEFAULT_ARCHIVE_LIMITS, readArchive } from './archive.ts';
import type { Bundle } from './bundle.ts';
import { checkDataWithinRoots, parseExactJson, parseJson } from './documents.ts';
import { BundleError, nameBundle } from './errors.ts';
import { parseManifest, rootCovers } from './manifest.ts';

/** Whether an archive is in OPA's form of a delta: a `patch.json`, and no policy. Unpacks it, so believe it first. */
export function isDelta(bytes: Uint8Array): boolean {
  return readArchive(bytes).has('patch.json');
}

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
    const files = readArchive(bytes);
    const document: Document = { root: parseExactJson('data.json', base.data) };
    for (const patch of patchesOf(files)) applyPatch(document, patch, base.roots);
    const data = Buffer.from(JSON.stringify(document.root));
    if (data.length > DEFAULT_ARCHIVE_LIMITS.maxMemberBytes) {
      throw new BundleError('bundle_too_large', 'with the delta its data are larger than a bundle may have');
    }
    const dataValue: unknown = JSON.parse(data.toString());
    if (!isObject(dataValue)) throw invalid('the delta makes the data no object');
    checkDataWithinRoots(dataValue, base.roots);
    const archiveSha256 = createHash('sha256').update(bytes).digest('hex');
    return { ...base, revision, data, dataValue, sha256: deltaSha256(base.sha256, archiveSha256) };
  } catch (error) {
    throw nameBundle(base.name, error, 'bundle_invalid');
  }
}

interface Patch {
  readonly op: 'upsert' | 'remove' | 'replace';
  readonly path: readonly string[];
  readonly value: unknown;
}

interface Document {
  root: unknown;
}

const MEMBERS = new Set(['.manifest', '.signatures.json', 'patch.json']);

function patchesOf(files: ReadonlyMap<string, Uint8Array>): readonly Patch[] {
  for (const name of files.keys()) {
    if (!MEMBERS.has(name)) throw invalid(`member \`${name}\` has no meaning in a delta`);
  }
  const manifest = files.get('.manifest');
  const patches = files.get('patch.json');
  if (patches === undefined) throw invalid('a delta has no `patch.json`');
  parseManifest(manifest && parseJson('.manifest', manifest));
  const value = parseExactJson('patch.json', patches);
  const list = isObject(value) ? value['data'] : undefined;
  if (!Array.isArray(list)) throw invalid('`patch.json` has no list `data`');
  return list.map(toPatch);
}

function toPatch(value: unknown, index: number): Patch {
  const at = `\`patch.json\` data[${index}]`;
  if (!isObject(value)) throw invalid(`${at} is no object`);
  const { op, path, value: member } = value;
  if (op !== 'upsert' && op !== 'remove' && op !== 'replace') {
    throw invalid(`${at} has an \`op\` that is none of upsert, remove and replace`);
  }
  if (typeof path !== 'string') throw invalid(`${at} has no \`path\``);
  if (op !== 'remove' && member === undefined) throw invalid(`${at} has no \`value\``);
  const trimmed = path.replace(/^\/+/, '').replace(/\/+$/, '');
  // RFC 6901's escapes.
  const steps = trimmed === '' ? [] : trimmed.split('/');
  return { op, path: steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')), value: member };
}

function applyPatch(document: Document, { op, path, value }: Patch, roots: readonly string[]): void {
  const shown = path.join('/').slice(0, 120);
  if (!roots.some((root) => rootCovers(root, path.join('/')))) {
    throw invalid(`the delta changes \`${shown}\`, outside the roots of the bundle`);
  }
  const last = path.at(-1);
  if (last === undefined) {
    if (op === 'remove') throw invalid('the delta removes all data');
    document.root = value;
    return;
  }
  const parent = path.slice(0, -1).reduce((node, step) => descend(node, step, op === 'upsert', shown), document.root);
  if (Array.isArray(parent)) changeList(parent, last, op, value, shown);
  else if (isObject(parent)) changeObject(parent, last, op, value, shown);
  else throw invalid(`the delta’s path \`${shown}\` leads through what is neither object nor list`);
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

function changeList(list: unknown[], key: string, op: Patch['op'], value: unknown, shown: string): void {
  if (op === 'remove') list.splice(indexOf(key, list.length - 1, shown), 1);
  else if (op === 'replace') list[indexOf(key, list.length - 1, shown)] = value;
  else list.splice(key === '-' ? list.length : indexOf(key, list.length, shown), 0, value);
}

/** Defined, not assigned: `__proto__` is a key like any other. */
function put(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function indexOf(step: string, last: number, shown: string): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(step) ? Number(step) : Number.NaN;
  if (!(index <= last)) throw invalid(`the delta’s path \`${shown}\` is not there`);
  return index;
}

function invalid(message: string): BundleError {
  return new BundleError('bundle_invalid', message);
}
