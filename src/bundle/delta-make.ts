import { isObject } from '../decision/json.ts';
import { packArchive } from './archive.ts';
import type { Bundle } from './bundle.ts';
import { applyDelta } from './delta.ts';
import { BundleError } from './errors.ts';
import { parseExactJson } from './member-json.ts';

/**
 * An archive of OPA's delta form that turns the data of one bundle into those of another. Lists are replaced whole;
 * numbers keep every digit. Throws a `BundleError` where more than the data differs: then the whole bundle has to be
 * published.
 */
export function makeDelta(base: Bundle, target: Bundle): Uint8Array {
  demandSamePolicy(base, target);
  const patches: Patch[] = [];
  const wanted = parseExactJson('data.json', target.data);
  compare(parseExactJson('data.json', base.data), wanted, '', patches);
  const manifest = { revision: target.revision, roots: base.roots };
  const bytes = packArchive(
    new Map([
      ['.manifest', Buffer.from(JSON.stringify(manifest))],
      ['patch.json', Buffer.from(JSON.stringify({ data: patches }))],
    ]),
  );
  const result = parseExactJson('data.json', applyDelta(base, bytes, target.revision).data);
  if (canonical(result) === canonical(wanted)) return bytes;
  throw new BundleError('bundle_invalid', 'the data cannot be told apart by a delta; publish the whole bundle');
}

interface Patch {
  readonly op: 'upsert' | 'remove';
  /** RFC 6901 below `data`. */
  readonly path: string;
  readonly value?: unknown;
}

function demandSamePolicy(base: Bundle, target: Bundle): void {
  const differs = [
    ['policy.wasm', Buffer.compare(base.wasm, target.wasm) !== 0],
    ['plan.json', Buffer.compare(base.plan, target.plan) !== 0],
    ['cases.json', JSON.stringify(base.cases) !== JSON.stringify(target.cases)],
    ['the roots', JSON.stringify(base.roots) !== JSON.stringify(target.roots)],
  ].flatMap(([what, different]) => (different === true ? [String(what)] : []));
  if (differs.length === 0) return;
  throw new BundleError(
    'bundle_invalid',
    `a delta changes data only, and these differ too: ${differs.join(', ')}; publish the whole bundle`,
  );
}

function compare(before: unknown, after: unknown, path: string, patches: Patch[]): void {
  if (!isObject(before) || !isObject(after) || isExactNumber(before) || isExactNumber(after)) {
    if (canonical(before) !== canonical(after)) patches.push({ op: 'upsert', path, value: after });
    return;
  }
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) patches.push({ op: 'remove', path: `${path}/${escaped(name)}` });
  }
  for (const [name, value] of Object.entries(after)) {
    const below = `${path}/${escaped(name)}`;
    if (Object.hasOwn(before, name)) compare(before[name], value, below, patches);
    else patches.push({ op: 'upsert', path: below, value });
  }
}

/** Numbers that JavaScript cannot hold are kept as their text, in objects of the engine's own. */
function isExactNumber(value: object): boolean {
  return 'rawJSON' in value && Object.getPrototypeOf(value) === null && Object.isFrozen(value);
}

/** The same text for the same value, whatever the order of members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value) || isExactNumber(value)) return JSON.stringify(value) ?? 'undefined';
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(',')}}`;
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
