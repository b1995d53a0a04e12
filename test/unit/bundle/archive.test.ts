import { describe, expect, it } from 'vitest';
import { packArchive, readArchive, unpackTar } from '../../../src/bundle/archive.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { HOSTILE } from './hostile-archives.ts';
import { archiveOf, END, gzip, member, tarOf } from './tar-blocks.ts';

const text = (content: string): Uint8Array => Buffer.from(content);
const codeOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return error instanceof BundleError ? error.code : `not a BundleError: ${String(error)}`;
  }
  return 'read';
};

describe('a strict archive reader', () => {
  it('reads what OPA and tar write: one leading slash or dot-slash, plain folders, either magic', () => {
    const archive = archiveOf(
      member({ name: './', type: '5' }, ''),
      member({ name: './authz/', type: '5' }, ''),
      member({ name: './authz/authz.rego', magic: 'ustar  \0' }, 'package authz'),
      member({ name: '/data.json', type: '\0' }, '{"a":1}'),
      member({ name: 'plain', prefix: 'deep/folder' }, 'x'),
    );
    const files = readArchive(archive);
    expect([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()])).toEqual([
      ['authz/authz.rego', 'package authz'],
      ['data.json', '{"a":1}'],
      ['deep/folder/plain', 'x'],
    ]);
  });

  it('takes the zero blocks that tar pads an archive with', () => {
    expect(readArchive(gzip(tarOf(member({}), END, new Uint8Array(512 * 17)))).size).toBe(1);
  });

  it.each(HOSTILE)('refuses an archive that %s: %s', (_fault, code, archive) => {
    expect(codeOf(() => readArchive(archive))).toBe(code);
  });

  it('has at least 40 hostile archives to refuse', () => {
    expect(HOSTILE.length).toBeGreaterThanOrEqual(40);
  });

  it('keeps a member called `__proto__` as a name like any other', () => {
    const files = readArchive(archiveOf(member({ name: '__proto__/data.json' }), member({ name: 'constructor' })));
    expect([...files.keys()]).toEqual(['__proto__/data.json', 'constructor']);
  });

  it('keeps to its bounds', () => {
    const archive = archiveOf(member({ name: 'a' }, 'xx'), member({ name: 'b' }, 'x'));
    const limits = { maxTotalBytes: 10_000, maxMemberBytes: 2, maxMembers: 2 };
    expect(readArchive(archive, limits).size).toBe(2);
    expect(codeOf(() => readArchive(archive, { ...limits, maxMemberBytes: 1 }))).toBe('bundle_too_large');
    expect(codeOf(() => readArchive(archive, { ...limits, maxMembers: 1 }))).toBe('bundle_too_large');
    expect(codeOf(() => readArchive(archive, { ...limits, maxTotalBytes: 3071 }))).toBe('bundle_too_large');
    expect(codeOf(() => readArchive(archive, { ...limits, maxTotalBytes: 3072 }))).toBe('read');
  });

  it('refuses every truncation of the packed file and of the tar in it', () => {
    const content = createRandom(7).bytes(3_000);
    const whole = archiveOf(member({ name: 'policy.wasm' }, content), member({}));
    for (let length = 0; length < whole.length; length += 1) {
      expect(codeOf(() => readArchive(whole.subarray(0, length)))).toBe('bundle_truncated');
    }
    const tar = unpackTar(whole);
    for (let length = 0; length < tar.length; length += 512) {
      expect(codeOf(() => readArchive(gzip(tar.subarray(0, length))))).toBe('bundle_truncated');
    }
  });

  it('never fails but with a BundleError, whatever bytes of the tar are flipped', () => {
    const seed = seedOf('tar flips');
    const random = createRandom(seed);
    const tar = unpackTar(archiveOf(member({ name: 'a/data.json' }), member({ name: 'b.rego' }, 'package b')));
    for (let round = 0; round < 3_000; round += 1) {
      const damaged = Uint8Array.from(tar);
      const at = random.below(damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 + random.below(255));
      expect(codeOf(() => readArchive(gzip(damaged)))).toMatch(/^(bundle_\w+|read)$/);
    }
  });
});

describe('the archive writer', () => {
  const files = new Map([
    ['b.rego', text('package b')],
    ['a/data.json', text('{}')],
    [`${'long-folder-name/'.repeat(7)}policy.rego`, text('package long')],
    ['.manifest', text('{"revision":"1"}')],
  ]);

  it('gives equal bytes whatever the order of the files', () => {
    const reversed = new Map([...files].reverse());
    expect(Buffer.compare(packArchive(files), packArchive(reversed))).toBe(0);
  });

  it('is read back as it was written, sorted by name', () => {
    const read = readArchive(packArchive(files));
    expect([...read.keys()]).toEqual([...files.keys()].sort());
    for (const [name, content] of files) expect(Buffer.from(read.get(name) ?? [])).toEqual(Buffer.from(content));
  });

  it.each(['../x', '/', 'a//b', `${'x'.repeat(300)}`, 'a\\b'])(
    'writes no name that the reader would refuse: %s',
    (name) => {
      expect(codeOf(() => packArchive(new Map([[name, text('')]])))).toBe('bundle_invalid');
    },
  );

  it('writes no twins', () => {
    expect(
      codeOf(() =>
        packArchive(
          new Map([
            ['a', text('')],
            ['A', text('')],
          ]),
        ),
      ),
    ).toBe('bundle_invalid');
  });
});
