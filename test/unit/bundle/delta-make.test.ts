import { describe, expect, test } from 'vitest';
import { packArchive, readArchive } from '../../../src/bundle/archive.ts';
import { type Bundle, bundleData, parseBundle } from '../../../src/bundle/bundle.ts';
import { applyDelta } from '../../../src/bundle/delta.ts';
import { makeDelta } from '../../../src/bundle/delta-make.ts';
import { codeOf, SHIPPED } from './shipped.ts';

/** The shipped bundle with other text for its data. */
function withData(change: (text: string) => string): Bundle {
  const files = new Map<string, Uint8Array>(readArchive(SHIPPED));
  const text = Buffer.from(files.get('data.json') ?? []).toString();
  return parseBundle('authz', packArchive(files.set('data.json', Buffer.from(change(text)))));
}

const base = parseBundle('authz', SHIPPED);

/** A member of `catalog` more. */
const added = (member: string) => (text: string) => text.replace('"catalog":{', `"catalog":{${member},`);

describe('a delta between two bundles', () => {
  test.each<readonly [string, string, string]>([
    ['a member more', '"fresh":{"a":[1,2]}', '{"a":[1,2]}'],
    ['a number that JavaScript cannot hold', '"fresh":12345678901234567890.125', '12345678901234567890.125'],
    ['a member named like none', '"fresh":{"__proto__":1,"a/b~c":2}', '{"__proto__":1,"a/b~c":2}'],
    ['null', '"fresh":null', 'null'],
  ])('gives the data of the other one: %s', (_, member, text) => {
    const target = withData(added(member));
    const result = applyDelta(base, makeDelta(base, target), 'r2');
    expect(Buffer.from(result.data).toString()).toContain(`"fresh":${text}`);
    expect(bundleData(result)).toEqual(bundleData(target));
    // And the way back.
    expect(bundleData(applyDelta(target, makeDelta(target, base), 'r1'))).toEqual(bundleData(base));
  });

  test('names only what differs', () => {
    const target = withData(added('"fresh":1'));
    const patch = Buffer.from(readArchive(makeDelta(base, target)).get('patch.json') ?? []).toString();
    expect(JSON.parse(patch)).toEqual({ data: [{ op: 'upsert', path: '/catalog/fresh', value: 1 }] });
  });

  test('of equal bundles holds no patch', () => {
    const patch = Buffer.from(readArchive(makeDelta(base, base)).get('patch.json') ?? []).toString();
    expect(JSON.parse(patch)).toEqual({ data: [] });
  });

  test('is refused where more than the data differs', () => {
    expect(codeOf(() => makeDelta(base, { ...base, wasm: new Uint8Array([1]) }))).toBe('bundle_invalid');
    expect(codeOf(() => makeDelta(base, { ...base, cases: [] }))).toBe('bundle_invalid');
    expect(codeOf(() => makeDelta(base, { ...base, roots: ['other'] }))).toBe('bundle_invalid');
  });
});
