import { readArchive } from '../bundle/archive.ts';
import { parseJson } from '../bundle/documents.ts';
import { BundleError, nameBundle } from '../bundle/errors.ts';
import { parseManifest, rootCovers } from '../bundle/manifest.ts';
import { isObject } from '../decision/json.ts';

/**
 * Demands that an archive is a delta as OPA reads it (OPA documentation, "Delta Bundles"): a manifest of that revision
 * and `patch.json` with operations on data below its roots. Throws a `BundleError`.
 */
export function checkDelta(name: string, bytes: Uint8Array, revision: string): void {
  try {
    const files = readArchive(bytes);
    for (const member of files.keys()) {
      if (!MEMBERS.has(member)) throw invalid(`member \`${member}\` has no meaning in a delta`);
    }
    const manifestBytes = files.get('.manifest');
    const patchBytes = files.get('patch.json');
    if (manifestBytes === undefined || patchBytes === undefined) throw invalid('it has no `.manifest` or `patch.json`');
    const manifest = parseManifest(parseJson('.manifest', manifestBytes));
    if (manifest.revision !== revision) throw invalid('its manifest names another revision than its signature');
    const patch = parseJson('patch.json', patchBytes);
    const operations = isObject(patch) && Object.keys(patch).length === 1 ? patch['data'] : undefined;
    if (!Array.isArray(operations)) throw invalid('`patch.json` is no object with a list `data`');
    for (const operation of operations) checkOperation(operation, manifest.roots);
  } catch (error) {
    throw nameBundle(name, error, 'bundle_invalid');
  }
}

/** No `.signatures.json`: OPA refuses a delta that has one. */
const MEMBERS = new Set(['.manifest', 'patch.json']);
const OPERATIONS = new Set(['add', 'remove', 'replace', 'upsert']);

function checkOperation(operation: unknown, roots: readonly string[]): void {
  if (!isObject(operation)) throw invalid('an operation of `patch.json` is no object');
  const { op, path } = operation;
  if (typeof op !== 'string' || !OPERATIONS.has(op)) throw invalid('`patch.json` has an operation that is not known');
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalid('an operation of `patch.json` has no path');
  // RFC 6901: `~1` is a slash and `~0` a tilde within a step.
  const steps = path.slice(1).replaceAll('~1', '\u{fffd}').replaceAll('~0', '~');
  if (!roots.some((root) => rootCovers(root, steps))) throw invalid('`patch.json` changes data outside its roots');
}

function invalid(message: string): BundleError {
  return new BundleError('bundle_invalid', message);
}
