import { archiveOf, END, gzip, member, rawHeader, tarOf } from './tar-blocks.ts';

const text = (content: string): Uint8Array => Buffer.from(content);

const honest = archiveOf(member({ name: '/data.json' }), member({ name: '/.manifest' }, '{"roots":["a"]}'));

/** Archives that no reader may take, each with what is wrong and the code of its refusal. */
export const HOSTILE: readonly (readonly [fault: string, code: string, archive: Uint8Array])[] = [
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
  ['is a global PAX header', 'bundle_invalid', archiveOf(member({ type: 'g' }, '20 path=../data.json\n'), member({}))],
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
  ['has a folder twin in another case', 'bundle_invalid', archiveOf(member({ name: 'a/x' }), member({ name: 'A/y' }))],
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
