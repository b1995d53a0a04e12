import { isWithinRoots, readDelta } from '../bundle/delta.ts';
import { BundleError, nameBundle } from '../bundle/errors.ts';

/**
 * Demands that an archive is a delta as agents and OPA read it (OPA documentation, "Delta Bundles"): a manifest of that
 * revision and `patch.json` with operations on data below its roots. Throws a `BundleError`.
 */
export function checkDelta(name: string, bytes: Uint8Array, revision: string): void {
  try {
    const { members, manifest, patches } = readDelta(bytes);
    if (!members.has('.manifest')) throw invalid('it has no `.manifest`');
    // OPA refuses a delta that has one.
    if (members.has('.signatures.json')) throw invalid('member `.signatures.json` has no meaning in a delta');
    if (manifest.revision !== revision) throw invalid('its manifest names another revision than its signature');
    if (patches.some((patch) => !isWithinRoots(patch, manifest.roots))) {
      throw invalid('`patch.json` changes data outside its roots');
    }
    if (patches.some(({ op, path }) => op === 'remove' && path.length === 0)) throw invalid('it removes all data');
  } catch (error) {
    throw nameBundle(name, error, 'bundle_invalid');
  }
}

function invalid(message: string): BundleError {
  return new BundleError('bundle_invalid', message);
}
