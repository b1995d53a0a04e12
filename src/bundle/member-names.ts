import { BundleError } from './errors.ts';
import { shown, type TarHeader } from './tar-header.ts';

export interface MemberNames {
  /** The member's relative name (a folder's may be empty: the root), or a `BundleError` when it is no good. */
  add(member: Pick<TarHeader, 'name' | 'kind'>): string;
}

/**
 * Judges the names of one archive's members: relative, canonical, and no two of them the same on a file system that
 * folds case or composes Unicode.
 */
export function createMemberNames(): MemberNames {
  const files = new Set<string>();
  const explicitFolders = new Set<string>();
  /** Folded name of every folder that is named or implied, with its one spelling. */
  const folders = new Map<string, string>();

  const addFolder = (segments: readonly string[], member: string): void => {
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const spelling = segments.slice(0, depth).join('/');
      const folded = fold(spelling);
      if (files.has(folded)) throw invalid(member, 'lies inside a file');
      const known = folders.get(folded);
      if (known !== undefined && known !== spelling)
        throw invalid(member, `has a folder that is a twin of \`${shown(known)}\``);
      folders.set(folded, spelling);
    }
  };

  return {
    add: ({ name, kind }) => {
      const segments = toSegments(name, kind);
      const relative = segments.join('/');
      const folded = fold(relative);
      if (kind === 'folder') {
        if (explicitFolders.has(folded)) throw invalid(name, 'is there twice');
        explicitFolders.add(folded);
        addFolder(segments, name);
        return relative;
      }
      if (files.has(folded)) throw invalid(name, 'is there twice, or differs from another in case only');
      if (folders.has(folded)) throw invalid(name, 'is a file and a folder');
      addFolder(segments.slice(0, -1), name);
      files.add(folded);
      return relative;
    },
  };
}

const MAX_NAME_LENGTH = 255;
const MAX_DEPTH = 32;

/** Strips exactly one leading `/` or `./` (OPA writes the first, tar the second) and refuses what is left unclear. */
function toSegments(name: string, kind: TarHeader['kind']): readonly string[] {
  if (name.length > MAX_NAME_LENGTH) throw invalid(name, 'has too long a name');
  if (/\p{Cc}/u.test(name)) throw invalid(name, 'has a control character in its name');
  if (name.includes('\\')) throw invalid(name, 'has a backslash in its name');
  let relative = name.startsWith('./') ? name.slice(2) : name.startsWith('/') ? name.slice(1) : name;
  if (kind === 'folder') {
    if (name === '/' || name === './' || name === '.') return [];
    if (relative.endsWith('/')) relative = relative.slice(0, -1);
  }
  if (relative.startsWith('/')) throw invalid(name, 'has an absolute name');
  const segments = relative.split('/');
  if (segments.length > MAX_DEPTH) throw invalid(name, 'lies too deep');
  for (const segment of segments) {
    if (segment === '..') throw invalid(name, 'climbs out of the archive');
    if (segment === '' || segment === '.') throw invalid(name, 'has an empty step in its name');
  }
  return segments;
}

function fold(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
}

function invalid(name: string, fault: string): BundleError {
  return new BundleError('bundle_invalid', `member \`${shown(name)}\` ${fault}`);
}
