import { describe, expect, it } from 'vitest';
import { parseManifest, rootCovers, rootsOverlap } from '../../../src/bundle/manifest.ts';
import { codeOf } from './shipped.ts';

describe('a manifest', () => {
  it('that is absent or says nothing owns everything, as in OPA', () => {
    expect(parseManifest(undefined)).toEqual({ revision: '', roots: [''], metadata: {} });
    expect(parseManifest({})).toEqual({ revision: '', roots: [''], metadata: {} });
  });

  it('has its roots without slashes at their ends', () => {
    expect(parseManifest({ roots: ['/a/b/', 'c'] }).roots).toEqual(['a/b', 'c']);
  });

  it('is read with what OPA writes into it', () => {
    const manifest = parseManifest({
      revision: 'r1',
      roots: ['a'],
      metadata: { team: 'x' },
      rego_version: 0,
      wasm: [],
      file_rego_versions: {},
    });
    expect(manifest).toEqual({ revision: 'r1', roots: ['a'], metadata: { team: 'x' }, regoVersion: 0 });
  });

  it.each<[string, unknown]>([
    ['is a list', []],
    ['has a number as revision', { revision: 1 }],
    ['has a control character in its revision', { revision: 'a\nb' }],
    ['has an endless revision', { revision: 'x'.repeat(300) }],
    ['has roots that are no list', { roots: 'a' }],
    ['has a root that is no text', { roots: [1] }],
    ['has roots inside one another', { roots: ['a', 'a/b'] }],
    ['has a root twice', { roots: ['a', '/a/'] }],
    ['owns everything and more', { roots: ['', 'a'] }],
    ['has metadata that are no object', { metadata: [] }],
    ['has a Rego version of the future', { rego_version: 2 }],
    ['has an unknown key', { rollback: true }],
  ])('that %s is refused', (_fault, value) => {
    expect(codeOf(() => parseManifest(value))).toBe('bundle_invalid');
  });
});

describe('roots', () => {
  it.each<[string, string, boolean]>([
    ['', 'a', true],
    ['a', 'a', true],
    ['a', 'a/b', true],
    ['a/b', 'a', true],
    ['a', 'ab', false],
    ['a/b', 'a/c', false],
  ])('`%s` and `%s` overlap: %s', (a, b, expected) => {
    expect(rootsOverlap(a, b)).toBe(expected);
  });

  it('cover their own steps only', () => {
    expect(rootCovers('a/b', 'a/b/c')).toBe(true);
    expect(rootCovers('a/b', 'a')).toBe(false);
  });
});
