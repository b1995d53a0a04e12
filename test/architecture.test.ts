import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkAnyFile, checkSource } from './support/architecture-rules.ts';
import { inexactVersions, lockedPackages, tooOld } from './support/dependency-rules.ts';
import { projectFiles } from './support/project-files.ts';
import { ROOT } from './support/tools.ts';

describe('the project keeps its own rules', () => {
  test('every file under src/ keeps the import rules, the words, the types and the size of DESIGN', () => {
    const files = projectFiles('src', ['.ts']);
    expect(files.length).toBeGreaterThan(10);
    expect(checkSource(files)).toEqual([]);
  });

  test('no file is left unfinished or reads what is not part of the project', () => {
    const files = projectFiles('.', [
      '.ts',
      '.js',
      '.json',
      '.yaml',
      '.yml',
      '.md',
      '.rego',
      '.sh',
      'Dockerfile',
      'run',
    ]);
    expect(files.flatMap(checkAnyFile)).toEqual([]);
  });
});

describe('dependencies', () => {
  const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

  test('package.json names exact versions', () => expect(inexactVersions(read('package.json'))).toEqual([]));

  test.each(['package-lock.json', 'node_modules/.package-lock.json'])('nothing in %s has a known hole', (file) => {
    const packages = lockedPackages(read(file));
    expect(packages.map(({ name }) => name)).toContain('@grpc/grpc-js');
    expect(tooOld(packages)).toEqual([]);
  });
});
