import { describe, expect, it } from 'vitest';
import { packArchive, readArchive, unpackTar } from '../../../src/bundle/archive.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { archiveOf, END, gzip, member, rawHeader, tarOf } from './tar-blocks.ts';

const text = (content: string): Uint8Array => Buffer.from(content);
const codeOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    return error instanceof BundleError ? error.code : `not a BundleError: ${String(error)}`;
  }
  return 'read';
};

const honest = archiveOf(member({ name: '/data.json' }), member({ name: '/.manifest' }, '{"roots":["a"]}'));

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

  const HOSTILE: readonly (readonly [fault: string, code: string, archive: Uint8Array])[] = [
    ['climbs with ..', 'bundle_invalid', archiveOf(member({ name: '../data.json' }))],
    ['climbs in the middle', 'bundle_invalid', archiveOf(member({ name: 'a/../../data.json' }))],
    ['climbs after the stripped slash', 'bundle_invalid', archiveOf(member({ name: '/../data.json' }))],
    ['climbs at the end', 'bundle_invalid', archiveOf(member({ name: 'a/..' }))],
    ['climbs in the prefix', 'bundle_invalid', archiveOf(member({ name: 'data.json', prefix: '..' }))],
    ['is absolute behind the stripped slash', 'bundle_invalid', archiveOf(member({ name: '//etc/passwd' }))],
    ['is absolute behind dot-slash', 'bundle_invalid', archiveOf(member({ name: './/etc/passwd' }))],
    ['leads with dot-slash twice', 'bundle_invalid', archiveOf(member({ name: '././data.json' }))],
    ['has an empty step', 'bundle_invalid', archiveOf(member({ name: 'a//data.json' }))],
    ['has a dot step', 'bundle_invalid', archiveOf(member({ name: 'a/./data.json' }))],
    ['has an empty name', 'bundle_invalid', archiveOf(member({ name: '' }))],
    ['is a file that ends in a slash', 'bundle_invalid', archiveOf(member({ name: 'data.json/' }))],
    ['has a backslash', 'bundle_invalid', archiveOf(member({ name: '..\\data.json' }))],
    ['has bytes after the NUL of its name', 'bundle_invalid', archiveOf(member({ name: 'data.json\0.rego' }))],
    ['has a line feed in its name', 'bundle_invalid', archiveOf(member({ name: 'data\n.json' }))],
    ['has a C1 control character in its name', 'bundle_invalid', archiveOf(member({ name: 'data\u0085.json' }))],
    ['has a name that is not UTF-8', 'bundle_invalid', archiveOf(member({ name: Buffer.from([0x61, 0xff]) }))],
    ['has an overlong UTF-8 dot', 'bundle_invalid', archiveOf(member({ name: Buffer.from([0xc0, 0xae, 0x2f]) }))],
    ['lies too deep', 'bundle_invalid', archiveOf(member({ name: `${'a/'.repeat(40)}x` }))],
    ['is a hard link', 'bundle_invalid', archiveOf(member({ type: '1', link: '/etc/passwd' }, ''))],
    ['is a symbolic link', 'bundle_invalid', archiveOf(member({ type: '2', link: '/etc/passwd' }, ''))],
    ['is a character device', 'bundle_invalid', archiveOf(member({ type: '3' }, ''))],
    ['is a block device', 'bundle_invalid', archiveOf(member({ type: '4' }, ''))],
    ['is a FIFO', 'bundle_invalid', archiveOf(member({ type: '6' }, ''))],
    ['is a contiguous file', 'bundle_invalid', archiveOf(member({ type: '7' }))],
    ['is a file with a link target', 'bundle_invalid', archiveOf(member({ link: 'other' }))],
    ['is a PAX header', 'bundle_invalid', archiveOf(member({ type: 'x' }, '20 path=../data.json\n'), member({}))],
    [
      'is a global PAX header',
      'bundle_invalid',
      archiveOf(member({ type: 'g' }, '20 path=../data.json\n'), member({})),
    ],
    ['is a GNU long name', 'bundle_invalid', archiveOf(member({ type: 'L' }, '../data.json\0'), member({}))],
    ['is a GNU long link', 'bundle_invalid', archiveOf(member({ type: 'K' }, '/etc/passwd\0'), member({}))],
    ['is a GNU sparse file', 'bundle_invalid', archiveOf(member({ type: 'S', magic: 'ustar  \0' }))],
    ['is of no known kind', 'bundle_invalid', archiveOf(member({ type: 'Z' }))],
    ['is a folder with content', 'bundle_invalid', archiveOf(member({ name: 'a/', type: '5' }, 'x'))],
    ['is there twice', 'bundle_invalid', archiveOf(member({}, '{"a":1}'), member({}, '{"a":2}'))],
    ['is there twice, once with a slash', 'bundle_invalid', archiveOf(member({}), member({ name: '/data.json' }))],
    ['has a twin in another case', 'bundle_invalid', archiveOf(member({}), member({ name: 'Data.JSON' }))],
    [
      'has a twin in another Unicode form',
      'bundle_invalid',
      archiveOf(member({ name: 'é' }), member({ name: 'e\u0301' })),
    ],
    [
      'has a folder twin in another case',
      'bundle_invalid',
      archiveOf(member({ name: 'a/x' }), member({ name: 'A/y' })),
    ],
    ['is a file and then a folder', 'bundle_invalid', archiveOf(member({ name: 'a' }), member({ name: 'a/b' }))],
    ['is a folder and then a file', 'bundle_invalid', archiveOf(member({ name: 'a/b' }), member({ name: 'A' }))],
    [
      'names a folder twice',
      'bundle_invalid',
      archiveOf(member({ name: 'a/', type: '5' }, ''), member({ name: 'A/', type: '5' }, '')),
    ],
    ['has a wrong checksum', 'bundle_invalid', archiveOf(member({ checksum: '000001\0 ' }))],
    ['has a checksum that is no number', 'bundle_invalid', archiveOf(member({ checksum: 'zzzzzz\0 ' }))],
    ['has a blank checksum', 'bundle_invalid', archiveOf(member({ checksum: '        ' }))],
    ['has no magic', 'bundle_invalid', archiveOf(member({ magic: '\0\0\0\0\0\0\0\0' }))],
    ['has a GNU magic and a prefix', 'bundle_invalid', archiveOf(member({ magic: 'ustar  \0', prefix: 'x' }))],
    ['has bytes after its last field', 'bundle_invalid', archiveOf(member({ tail: 'x' }))],
    ['has a negative size', 'bundle_invalid', archiveOf(rawHeader({ size: '-0000000001\0' }))],
    ['has a size in base 256', 'bundle_invalid', archiveOf(rawHeader({ size: '\x80\0\0\0\0\0\0\0\0\0\0\x01' }))],
    ['has a size that is not octal', 'bundle_invalid', archiveOf(rawHeader({ size: '00000000009\0' }))],
    ['has an empty size', 'bundle_invalid', archiveOf(rawHeader({ size: '\0' }))],
    ['has a mode that is not octal', 'bundle_invalid', archiveOf(member({ mode: 'rw-r--r-' }))],
    ['has a size beyond its end', 'bundle_truncated', archiveOf(rawHeader({ size: '00000100000\0' }))],
    ['has the greatest size', 'bundle_too_large', archiveOf(rawHeader({ size: '777777777777' }))],
    [
      'is padded with more than zeros',
      'bundle_invalid',
      archiveOf(rawHeader({ size: '00000000001\0' }), Buffer.alloc(512, 'x')),
    ],
    ['has no end mark', 'bundle_truncated', gzip(member({}))],
    ['has half an end mark', 'bundle_truncated', gzip(tarOf(member({}), new Uint8Array(512)))],
    ['has a member after its end', 'bundle_invalid', gzip(tarOf(member({}), END, member({ name: 'b' }), END))],
    ['has bytes after its end', 'bundle_invalid', gzip(tarOf(member({}), END, Buffer.alloc(512, 'x')))],
    ['has half a block after its end', 'bundle_truncated', gzip(tarOf(member({}), END, new Uint8Array(100)))],
    ['is empty', 'bundle_truncated', gzip(new Uint8Array())],
    ['is no bytes at all', 'bundle_truncated', new Uint8Array()],
    ['is a bare tar', 'bundle_invalid', tarOf(member({}), END)],
    ['is a zip', 'bundle_invalid', text('PK\x03\x04 and some more bytes of it')],
    ['has two gzip members', 'bundle_invalid', Buffer.concat([honest, honest])],
    ['has an empty second gzip member', 'bundle_invalid', Buffer.concat([honest, gzip(new Uint8Array())])],
    ['has bytes after the gzip member', 'bundle_invalid', Buffer.concat([honest, text('x')])],
    ['has a file name in the gzip header', 'bundle_invalid', flagged(honest, 8)],
    ['has extra fields in the gzip header', 'bundle_invalid', flagged(honest, 4)],
    ['has a wrong gzip checksum', 'bundle_invalid', changed(honest, honest.length - 8)],
    ['has a wrong gzip length', 'bundle_invalid', changed(honest, honest.length - 4)],
    ['has another compression method', 'bundle_invalid', changed(honest, 2)],
    ['unpacks to too much', 'bundle_too_large', gzip(Buffer.alloc(65 * 2 ** 20))],
    ['has too large a member', 'bundle_too_large', archiveOf(member({}, Buffer.alloc(49 * 2 ** 20)))],
    [
      'has too many members',
      'bundle_too_large',
      archiveOf(...Array.from({ length: 4097 }, (_, at) => member({ name: `${at}` }, ''))),
    ],
  ];

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

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}

function flagged(bytes: Uint8Array, flags: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[3] = flags;
  return copy;
}
