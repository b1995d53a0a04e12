import { isObject } from '../decision/json.ts';
import type { ArchiveFiles } from './archive.ts';
import { BundleError } from './errors.ts';
import { rootCovers } from './manifest.ts';

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

  let merged: unknown = emptyObject();
  for (const [name, bytes] of documents) {
    const path = name.split('/').slice(0, -1);
    const placed = path.reduceRight<unknown>((value, step) => objectWith(step, value), parseExactJson(name, bytes));
    merged = mergeValues(merged, placed, name);
  }
  const text = Buffer.from(JSON.stringify(merged));
  return { text, value: rootObject(JSON.parse(text.toString())) };
}

/** Reads UTF-8 JSON of a member; a bad one is a `BundleError` that names it. */
export function parseJson(name: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch (error) {
    throw new BundleError('bundle_invalid', `\`${name}\` is not valid JSON in UTF-8`, { cause: error });
  }
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
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function rootObject(value: unknown): { readonly [key: string]: unknown } {
  if (!isObject(value)) throw new BundleError('bundle_invalid', '`data.json` at the root is not an object');
  return value;
}

/** V8's raw JSON (https://github.com/tc39/proposal-json-parse-with-source), not yet in TypeScript's library. */
interface RawJsonSupport {
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

// Node 24 has all three; `engines` in package.json demands it.
const rawJson = JSON as unknown as RawJsonSupport;

/** Like {@link parseJson}, but a number that JavaScript cannot hold keeps its text through `JSON.stringify`. */
export function parseExactJson(name: string, bytes: Uint8Array): unknown {
  parseJson(name, bytes);
  return rawJson.parse(UTF8.decode(bytes), (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined || String(value) === source) return value;
    return rawJson.rawJSON(source);
  });
}

function mergeValues(a: unknown, b: unknown, name: string): unknown {
  if (!isPlainObject(a) || !isPlainObject(b)) {
    throw new BundleError('bundle_invalid', `\`${name}\` says something that another data.json already says`);
  }
  const merged = emptyObject();
  for (const [key, value] of Object.entries(a)) merged[key] = value;
  for (const [key, value] of Object.entries(b)) {
    merged[key] = Object.hasOwn(merged, key) ? mergeValues(merged[key], value, name) : value;
  }
  return merged;
}

function isPlainObject(value: unknown): value is { readonly [key: string]: unknown } {
  return isObject(value) && !rawJson.isRawJSON(value);
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
