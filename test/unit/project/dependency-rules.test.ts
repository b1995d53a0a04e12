import { describe, expect, test } from 'vitest';
import { inexactVersions, lockedPackages, tooOld } from '../../support/dependency-rules.ts';

const lock = (packages: Record<string, { version: string }>): string =>
  JSON.stringify({ packages: { '': { version: '1.0.0' }, ...packages } });

describe('the gate for versions with known holes', () => {
  test.each([
    ['an old grpc-js', 'node_modules/@grpc/grpc-js', '1.14.3'],
    ['an old nested protobufjs', 'node_modules/@grpc/proto-loader/node_modules/protobufjs', '7.5.5'],
    ['a protobufjs of an older line', 'node_modules/protobufjs', '6.99.99'],
    ['a pre-release of the first good version', 'node_modules/tar', '7.5.16-rc.1'],
  ])('%s is found', (_title, path, version) => {
    expect(tooOld(lockedPackages(lock({ [path]: { version } })))).toHaveLength(1);
  });

  test.each([
    ['the first good version', 'node_modules/protobufjs', '7.5.6'],
    ['a newer minor', 'node_modules/@grpc/grpc-js', '1.15.0'],
    ['a newer major', 'node_modules/protobufjs', '8.0.0'],
    ['a package of a similar name', 'node_modules/@types/tar', '1.0.0'],
    ['a package named as an inherited property', 'node_modules/constructor', '0.0.1'],
  ])('%s is not', (_title, path, version) => {
    expect(tooOld(lockedPackages(lock({ [path]: { version } })))).toEqual([]);
  });
});

describe('exact versions', () => {
  test.each(['^1.2.3', '~1.2.3', '1.2', 'latest', '>=1.0.0', '1.x', '*', 'npm:other@1.2.3'])(
    '%s is not one',
    (version) => {
      expect(inexactVersions(JSON.stringify({ devDependencies: { a: version } }))).toEqual([`a@${version}`]);
    },
  );

  test('1.2.3 and 1.2.3-rc.1 are', () => {
    expect(inexactVersions(JSON.stringify({ dependencies: { a: '1.2.3', b: '1.2.3-rc.1' } }))).toEqual([]);
  });
});
