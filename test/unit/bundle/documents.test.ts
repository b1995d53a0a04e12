import { describe, expect, it } from 'vitest';
import { checkDataWithinRoots, mergeDocuments } from '../../../src/bundle/documents.ts';
import { codeOf } from './shipped.ts';

function merge(files: Readonly<Record<string, string>>): string {
  const { text, value } = mergeDocuments(
    new Map(Object.entries(files).map(([name, json]) => [name, Buffer.from(json)])),
  );
  expect(JSON.parse(Buffer.from(text).toString())).toEqual(value);
  return Buffer.from(text).toString();
}

describe('the data of a bundle', () => {
  it.each<[string, Record<string, string>, string]>([
    ['nothing is an empty object', {}, '{}'],
    ['one at the root is taken as it is', { 'data.json': '{ "a" : 1.0 }' }, '{ "a" : 1.0 }'],
    ['a folder is a path', { 'a/b/data.json': '[1]' }, '{"a":{"b":[1]}}'],
    [
      'folders meet',
      { 'a/data.json': '{"x":1}', 'a/b/data.json': '{"y":2}', 'data.json': '{"c":3}' },
      '{"a":{"x":1,"b":{"y":2}},"c":3}',
    ],
    [
      'objects at one path are joined',
      { 'data.json': '{"a":{"x":1}}', 'a/data.json': '{"y":2}' },
      '{"a":{"x":1,"y":2}}',
    ],
    [
      'numbers keep their digits',
      { 'a/data.json': '[12345678901234567890, 1.10, 1e400]' },
      '{"a":[12345678901234567890,1.10,1e400]}',
    ],
    [
      'also beside texts that look like them',
      { 'a/data.json': '{"1.0":["\\\\\\"1.0",-0,0,-7,0.5,"\\\\",1.0]}' },
      '{"a":{"1.0":["\\\\\\"1.0",-0,0,-7,0.5,"\\\\",1.0]}}',
    ],
    [
      'a hostile key is a key',
      { 'data.json': '{"__proto__":{"x":1}}', '__proto__/data.json': '{"y":2}' },
      '{"__proto__":{"x":1,"y":2}}',
    ],
    ['a folder may be called constructor', { 'constructor/data.json': '1' }, '{"constructor":1}'],
    ['other files are not data', { 'a/other.json': '{"x":1}', 'a/xdata.json': '{}' }, '{}'],
  ])('%s', (_title, files, expected) => {
    expect(merge(files)).toBe(expected);
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it.each<[string, Record<string, string>]>([
    ['say two things at one path', { 'data.json': '{"a":1}', 'a/data.json': '2' }],
    ['say the same thing twice', { 'data.json': '{"a":1}', 'a/data.json': '1' }],
    ['put an object where a list is', { 'data.json': '{"a":[]}', 'a/data.json': '{}' }],
    ['are no object at the root', { 'data.json': '1', 'a/data.json': '2' }],
    ['hold two documents', { 'a/data.json': '{}{}' }],
  ])('files that %s are refused', (_fault, files) => {
    expect(codeOf(() => merge(files))).toBe('bundle_invalid');
  });

  it.each<[unknown, readonly string[], string]>([
    [{ a: { b: 1 } }, [''], 'none'],
    [{ a: { b: 1 } }, ['a'], 'none'],
    [{ a: { b: 1 } }, ['a/b'], 'none'],
    [{}, [], 'none'],
    [{ a: { b: 1, c: 2 } }, ['a/b'], 'bundle_invalid'],
    [{ a: 1 }, ['a/b'], 'bundle_invalid'],
    [{ ab: 1 }, ['a'], 'bundle_invalid'],
    [{ a: 1 }, [], 'bundle_invalid'],
  ])('%j under the roots %j: %s', (value, roots, expected) => {
    expect(codeOf(() => checkDataWithinRoots(value, roots))).toBe(expected);
  });

  it('are read in bounded time: so many numbers that need care are too many', () => {
    expect(codeOf(() => merge({ 'a/data.json': `[${'1.0,'.repeat(250_000)}1.0]` }))).toBe('bundle_too_large');
    expect(codeOf(() => merge({ 'a/data.json': `["${'x'.repeat(2 ** 23)}",1.0]` }))).toBe('none');
  });
});
