import { describe, expect, it } from 'vitest';
import { loadDefinition, parseDefinition } from '../../../src/bundle/definition.ts';
import { codeOf } from './shipped.ts';

const GOOD = { source: 'policies', entrypoints: ['a/b'], capabilities: 'c.json' };

describe('a bundle definition', () => {
  it('is read, ignoring nothing by default', () => {
    expect(parseDefinition('f.json', JSON.stringify(GOOD))).toEqual({ ...GOOD, ignore: [] });
  });

  it('names where its request cases are, or leaves them beside the sources', () => {
    const read = parseDefinition('f.json', JSON.stringify({ ...GOOD, cases: ['policies', 'more.cases.yaml'] }));
    expect(read.cases).toEqual(['policies', 'more.cases.yaml']);
    expect(parseDefinition('f.json', JSON.stringify(GOOD))).not.toHaveProperty('cases');
  });

  it.each<[string, unknown]>([
    ['has one file of cases in place of a list', { ...GOOD, cases: 'policies' }],
    ['is no object', []],
    ['has an unknown key', { ...GOOD, optimise: 2 }],
    ['has no source', { ...GOOD, source: '' }],
    ['has no entrypoints', { ...GOOD, entrypoints: [] }],
    ['has an entrypoint that is no text', { ...GOOD, entrypoints: [1] }],
    ['has no capabilities', { ...GOOD, capabilities: undefined }],
    ['has one pattern in place of a list', { ...GOOD, ignore: '*' }],
  ])('that %s is refused', (_fault, value) => {
    expect(codeOf(() => parseDefinition('f.json', JSON.stringify(value)))).toBe('bundle_invalid');
  });

  it('that is no JSON is refused by its file name', () => {
    expect(() => parseDefinition('f.json', '{')).toThrow('bundle definition `f.json`: it is not JSON');
  });

  it('that is not there is missing', async () => {
    await expect(loadDefinition('/nowhere/f.json')).rejects.toMatchObject({ code: 'bundle_missing' });
  });
});
