/** One package of a lock file's `packages`. */
export interface LockedPackage {
  readonly path: string;
  readonly name: string;
  readonly version: string;
}

/** The oldest versions that may be installed, wherever in the tree: older ones have known holes. */
export const MINIMUM_VERSIONS: Readonly<Record<string, string>> = {
  '@grpc/grpc-js': '1.14.4',
  protobufjs: '7.5.6',
  tar: '7.5.16',
};

/** Every package in the text of a package-lock.json, nested copies included. */
export function lockedPackages(lock: string): readonly LockedPackage[] {
  // npm's own file format, lockfileVersion 3.
  const { packages } = JSON.parse(lock) as { packages: Record<string, { version?: string; link?: boolean }> };
  return Object.entries(packages).flatMap(([path, { version }]) => {
    const name = path.split('node_modules/').at(-1) ?? '';
    return path === '' || version === undefined ? [] : [{ path, name, version }];
  });
}

export function tooOld(packages: readonly LockedPackage[]): readonly LockedPackage[] {
  return packages.filter(({ name, version }) => {
    const minimum = Object.hasOwn(MINIMUM_VERSIONS, name) ? MINIMUM_VERSIONS[name] : undefined;
    return minimum !== undefined && isOlder(version, minimum);
  });
}

/** Dependencies of a package.json whose version is a range or a tag. */
export function inexactVersions(packageJson: string): readonly string[] {
  const manifest = JSON.parse(packageJson) as Record<string, Record<string, string> | undefined>;
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((section) =>
    Object.entries(manifest[section] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(version))
      .map(([name, version]) => `${name}@${version}`),
  );
}

function isOlder(version: string, minimum: string): boolean {
  const [release = '', prerelease] = version.split('-', 2);
  const numbers = release.split('.').map(Number);
  const wanted = minimum.split('.').map(Number);
  for (const [at, want] of wanted.entries()) {
    const have = numbers[at] ?? 0;
    if (have !== want) return have < want;
  }
  return prerelease !== undefined;
}
