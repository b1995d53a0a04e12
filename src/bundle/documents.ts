import { isObject } from '../decision/json.ts';
import type { ArchiveFiles } from './archive.ts';
import { BundleError } from './errors.ts';
import { rootCovers } from './manifest.ts';
import { isRawJson, parseExactJson, parseJson, put } from './member-json.ts';

/** `data` of a bundle: the text as it will be handed to an engine, and the same parsed. */
export interface BundleDocument {
  /** UTF-8 JSON; numbers keep every digit. */
  readonly text: Uint8Array;
  readonly value: { readonly [key: string]: unknown };
}

/** Puts every `data.json` at the path of its folder, as OPA does; two that say different things at one path are refused. */
export function mergeDocuments(files: ArchiveFiles): BundleDocument {
  const documents = [...files].filter(([name]) => name === DATA || name.endsWith(`/${DATA}`));
  const [only, ...others] = documents;
  if (only === undefined) return { text: Buffer.from('{}'), value: {} };
  if (others.length === 0 && only[0] === DATA) return { text: only[1], value: rootObject(parseJson(...only)) };

  const merged = emptyObject();
  for (const [name, bytes] of documents) {
    const path = name.split('/').slice(0, -1);
    const placed = path.reduceRight<unknown>((value, step) => objectWith(step, value), parseExactJson(name, bytes));
    mergeInto(merged, placed, name);
  }
  const text = Buffer.from(JSON.stringify(merged));
  return { text, value: rootObject(JSON.parse(text.toString())) };
}

/** Refuses data outside the bundle's roots: it would be another bundle's to say. */
export function checkDataWithinRoots(value: unknown, roots: readonly string[], path: readonly string[] = []): void {
  const here = path.join('/');
  if (roots.some((root) => rootCovers(root, here))) return;
  const leadsToRoot = path.length === 0 || roots.some((root) => rootCovers(here, root));
  if (!leadsToRoot || !isObject(value)) {
    throw new BundleError('bundle_invalid', `there is data at \`${here}\`, outside the roots of \`.manifest\``);
  }
  for (const [key, inner] of Object.entries(value)) checkDataWithinRoots(inner, roots, [...path, key]);
}

const DATA = 'data.json';

function rootObject(value: unknown): { readonly [key: string]: unknown } {
  if (!isObject(value)) throw new BundleError('bundle_invalid', '`data.json` at the root is not an object');
  return value;
}

/** Changes `target`, which is nobody else's: each member of each document is looked at once. */
function mergeInto(target: unknown, added: unknown, name: string): void {
  if (!isPlainObject(target) || !isPlainObject(added)) {
    throw new BundleError('bundle_invalid', `\`${name}\` says something that another data.json already says`);
  }
  for (const [key, value] of Object.entries(added)) {
    if (Object.hasOwn(target, key)) mergeInto(target[key], value, name);
    else put(target, key, value);
  }
}

function isPlainObject(value: unknown): value is { readonly [key: string]: unknown } {
  return isObject(value) && !isRawJson(value);
}

function objectWith(key: string, value: unknown): unknown {
  const object = emptyObject();
  object[key] = value;
  return object;
}

/** Without a prototype, so that a key such as `__proto__` is a key like any other. */
function emptyObject(): Record<string, unknown> {
  // `Object.create` is typed `any`; it is an object without a single property.
  return Object.create(null) as Record<string, unknown>;
}
