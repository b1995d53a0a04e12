import { describe, expect, it } from 'vitest';
import { packArchive } from '../../../src/bundle/archive.ts';
import { type Bundle, parseBundle } from '../../../src/bundle/bundle.ts';
import { applyDelta, deltaSha256 } from '../../../src/bundle/delta.ts';
import { codeOf, pinOf, revised } from './shipped.ts';

const text = JSON.stringify;
const shipped = parseBundle('authz', revised('r1'));
const base: Bundle = {
  ...shipped,
  roots: ['tiers', 'models/a'],
  data: Buffer.from('{"tiers":{"gold":{"n":12345678901234567890,"list":[1,2]}},"models":{"a":{}}}'),
};

const deltaOf = (patch: unknown, more: Readonly<Record<string, string>> = {}) =>
  packArchive(
    new Map(
      Object.entries({ '.manifest': '{"revision":"r2","roots":["tiers"]}', 'patch.json': text(patch), ...more }).map(
        ([name, content]) => [name, Buffer.from(content)],
      ),
    ),
  );

const dataAfter = (...data: readonly unknown[]): string =>
  Buffer.from(applyDelta(base, deltaOf({ data }), 'r2').data).toString();

const upsert = { op: 'upsert', path: '/tiers/x', value: 1 };

describe('a delta', () => {
  it.each<[string, readonly unknown[], string]>([
    ['sets what is there', [{ op: 'upsert', path: '/tiers/gold', value: 1 }], '{"tiers":{"gold":1},"models":{"a":{}}}'],
    [
      'makes the objects on its way',
      [{ op: 'upsert', path: 'models/a/b/c', value: [] }],
      '{"tiers":{"gold":{"n":12345678901234567890,"list":[1,2]}},"models":{"a":{"b":{"c":[]}}}}',
    ],
    ['removes', [{ op: 'remove', path: '/tiers/gold/' }], '{"tiers":{},"models":{"a":{}}}'],
    [
      'changes lists',
      [
        { op: 'upsert', path: '/tiers/gold/list/-', value: 4 },
        { op: 'upsert', path: '/tiers/gold/list/2', value: 3 },
        { op: 'replace', path: '/tiers/gold/list/0', value: 0 },
        { op: 'remove', path: '/tiers/gold/list/1' },
      ],
      '{"tiers":{"gold":{"n":12345678901234567890,"list":[0,3,4]}},"models":{"a":{}}}',
    ],
    [
      'takes escaped names and `__proto__` as names',
      [
        { op: 'remove', path: '/tiers/gold' },
        { op: 'upsert', path: '/tiers/a~1b~0', value: 1 },
        { op: 'upsert', path: '/tiers/__proto__/x', value: 2 },
      ],
      '{"tiers":{"a/b~":1,"__proto__":{"x":2}},"models":{"a":{}}}',
    ],
    ['does nothing', [], '{"tiers":{"gold":{"n":12345678901234567890,"list":[1,2]}},"models":{"a":{}}}'],
  ])('%s', (_what, data, expected) => {
    expect(dataAfter(...data)).toBe(expected);
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it('gives a bundle with a digest of its own and the rest of its base', () => {
    const bytes = deltaOf({ data: [] });
    const after = applyDelta(base, bytes, 'r2');
    expect(after).toMatchObject({ name: 'authz', revision: 'r2', roots: base.roots });
    expect(after.sha256).toBe(deltaSha256(base.sha256, pinOf(bytes).sha256));
    expect(after.wasm).toBe(base.wasm);
  });

  it.each<[string, Uint8Array]>([
    ['changes what is not its bundle’s', deltaOf({ data: [{ op: 'upsert', path: '/catalog', value: 1 }] })],
    ['replaces all data', deltaOf({ data: [{ op: 'replace', path: '/', value: {} }] })],
    ['removes what is not there', deltaOf({ data: [{ op: 'remove', path: '/tiers/silver' }] })],
    ['replaces what is not there', deltaOf({ data: [{ op: 'replace', path: '/tiers/silver', value: 1 }] })],
    ['goes through a number', deltaOf({ data: [{ op: 'upsert', path: '/tiers/gold/n/x', value: 1 }] })],
    ['goes beyond a list', deltaOf({ data: [{ op: 'upsert', path: '/tiers/gold/list/9', value: 1 }] })],
    ['has an operation that OPA has not', deltaOf({ data: [{ op: 'move', path: '/tiers/gold', value: 1 }] })],
    ['has no value', deltaOf({ data: [{ op: 'upsert', path: '/tiers/gold' }] })],
    ['has no list', deltaOf({})],
    ['brings a policy', deltaOf({ data: [] }, { 'policy.wasm': 'x' })],
    ['is a whole bundle', revised('r2')],
    ['is garbage', Buffer.from('x')],
  ])('that %s is refused', (_fault, bytes) => {
    expect(codeOf(() => applyDelta(base, bytes, 'r2'))).toMatch(/^bundle_(?:invalid|truncated)$/);
  });

  it.each<[string, readonly unknown[]]>([
    ['has more than ten thousand operations', Array(10_001).fill(upsert)],
    ['has a path of thousands of characters', [{ ...upsert, path: `/tiers/${'x'.repeat(4_096)}` }]],
    [
      'moves the members of a long list again and again',
      [
        { op: 'upsert', path: '/tiers/long', value: Array(200_000).fill(0) },
        ...Array(101).fill({ op: 'remove', path: '/tiers/long/0' }),
      ],
    ],
    ['is larger than a delta may be', [{ ...upsert, value: 'x'.repeat(8 * 2 ** 20) }]],
  ])('that %s is refused: it would hold up requests', (_fault, data) => {
    expect(codeOf(() => applyDelta(base, deltaOf({ data }), 'r2'))).toBe('bundle_too_large');
  });

  it('does not take a slash within a name for a step into a root', () => {
    const data = [{ op: 'upsert', path: '/models~1a/x', value: 1 }];
    expect(codeOf(() => applyDelta(base, deltaOf({ data }), 'r2'))).toBe('bundle_invalid');
  });
});
