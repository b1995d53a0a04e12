import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalPath } from '../../../src/inspection/canonical-path.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { codeOf, INFER, inspect } from './access-requests.ts';

const ROUTES = [
  INFER,
  { name: 'admin', path: '/admin/keys', methods: ['POST'] },
  { name: 'model', path: '/{tenant}/models/{name}', methods: ['POST'] },
];

/** What callers put where a slash belongs. */
const SEPARATORS = [
  ...[
    '//',
    '///',
    '/./',
    '/../',
    '/x/../',
    '/x/../../',
    '/.//',
    '/.',
    '/..',
    '/..;/',
    '/.;/',
    '/;/',
    '/;x=1/',
    ';/',
    ';x/',
  ],
  ...[
    '\\',
    '/\\',
    '\\..\\',
    '/%5c',
    '%5C',
    '%2f',
    '%2F',
    '/%2f',
    '%2f%2f',
    '/%2e/',
    '/%2E/',
    '/%2e%2e/',
    '/.%2e/',
    '/%2e./',
  ],
  ...[
    '/%252e%252e/',
    '%252f',
    '%25252f',
    '%25%32%66',
    '%%32%66',
    '/%25%32%65%25%32%65/',
    '/%u002e%u002e/',
    '%u2215',
    '/%25u002e/',
  ],
  ...[
    '/%c0%ae%c0%ae/',
    '/%e0%80%ae/',
    '%c0%af',
    '%c1%9c',
    '%e0%80%af',
    '%f0%80%80%af',
    '/%ff/',
    '/%c3/',
    '/%ed%a0%80/',
    '/%f4%90%80%80/',
  ],
  ...[
    '/%ef%bc%8e%ef%bc%8e/',
    '%ef%bc%8f',
    '%ef%bc%bc',
    '%e2%88%95',
    '%e2%81%84',
    '/%e2%80%a5/',
    '/.%e2%80%8b./',
    '/%c2%a0../',
    '%ef%bc%9bx/',
  ],
  ...[
    '/%00/',
    '%00/',
    '/%0a/',
    '/%0d%0a/',
    '/%09/',
    '/%1f/',
    '/%7f/',
    '/%c2%85/',
    '/\u0000/',
    '/\t/',
    '/\n/',
    '/ /',
    '/\u00e9/',
    '/\u2215',
  ],
  ...[
    '/#/',
    '#',
    '/%23/',
    '%23/',
    '/%3f/',
    '%3f/',
    '/%3b/',
    '%3b/',
    '/%/',
    '/%2/',
    '/%zz/',
    '/% 2e/',
    '/.../',
    '/.. /',
    '/..%20/',
    '/%20../',
  ],
];
const BASES = ['/tenant-a/llama-3-8b/infer', '/tenant-b/llama-3-8b/infer', '/admin/keys', '/tenant-a/models/x'];
const WHOLE = [
  ...[
    '',
    '*',
    'admin/keys',
    'http://h/admin/keys',
    'https://h/tenant-a/x/infer',
    '//admin/keys',
    '///admin/keys',
    'h:443',
    '.',
    '..',
    '?x',
  ],
  ...[
    '/ADMIN/keys',
    '/Admin/KEYS',
    '/admin/keys/',
    '/admin/keys/.',
    '/admin/keys/..',
    '/admin/keys;',
    '/admin/keys%00',
    '/admin/keys%20',
  ],
  ...[
    '/admin/keys.',
    '/admin/keys%2e',
    '/tenant-a/../admin/keys',
    '/tenant-a/..%2fadmin/keys',
    '/%61dmin/keys/x',
    '/admin%2fkeys',
    '/admin%252fkeys',
  ],
  ...[
    `/${'a'.repeat(9000)}`,
    `/${'a/'.repeat(40_000)}`,
    `/?${'q'.repeat(70_000)}`,
    '/admin/keys#',
    '/admin/keys?#',
    '/admin/keys?\u0000',
    '/admin/keys?\u00e9',
  ],
];

/** Readings that upstreams are known to make of a target; each returns the resource it would serve. */
const UPSTREAMS: readonly ((target: string) => string)[] = [
  (target) => decodeURIComponent(new URL(target, 'http://upstream').pathname),
  (target) => posix.normalize(decodeLoosely(cut(target)).replaceAll('\\', '/')),
  (target) =>
    posix.normalize(decodeLoosely(decodeLoosely(cut(target).replaceAll(/;[^/]*/g, ''))).replaceAll(/;[^/]*/g, '')),
  (target) => cut(decodeLoosely(target)).normalize('NFKC').replaceAll(/\/+/g, '/'),
  (target) =>
    decodeLoosely(cut(target))
      .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
      .split('\u0000')[0] ?? '',
];

function cut(target: string): string {
  return target.replace(/[?#].*$/s, '');
}

function decodeLoosely(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex');
    // Overlong forms of `.` and `/`, as lenient decoders read them.
    const text = bytes.toString('latin1').replaceAll('\u00c0\u00ae', '.').replaceAll('\u00c0\u00af', '/');
    return Buffer.from(text, 'latin1').toString('utf8');
  });
}

/** Refused, on no route, or on a route of exactly the resource that every upstream serves. */
function expectHarmless(target: string): boolean {
  const result = inspect({ method: 'POST', target, body: '{}', complete: true }, { routes: ROUTES });
  if (result.kind === 'refused') {
    expect(['ambiguous_path', 'malformed_request', 'unknown_route', 'payload_too_large']).toContain(result.code);
    return true;
  }
  for (const serve of UPSTREAMS) expect(serve(target), target).toBe(result.path);
  return false;
}

describe('canonicalPath', () => {
  it('refuses path tricks, or resolves them as every upstream does, over 400 variants', () => {
    const variants = BASES.flatMap((base) => SEPARATORS.flatMap((separator) => replaceEachSlash(base, separator)));
    const all = new Set([...variants, ...WHOLE]);
    const passed = [...all].filter((target) => !expectHarmless(target));
    console.info(`path tricks: ${all.size} variants, ${all.size - passed.length} refused or on no route`);
    expect(all.size).toBeGreaterThanOrEqual(400);
    // What passed holds no trick: the separators `/.` and `/..` made plain names such as `.tenant-a` of the next word.
    expect(passed.filter((target) => !/^(?:\/\.{0,2}[a-z0-9][a-z0-9-]*)+$/.test(target))).toEqual([]);
  });

  it('stays harmless over random mixtures of tricks', () => {
    const random = createRandom(seedOf('path tricks'));
    for (let i = 0; i < caseCount(5000); i++) expectHarmless(mixture(random));
  });

  it.each([
    ['ambiguous_path', '/a//b'],
    ['ambiguous_path', '//a'],
    ['ambiguous_path', '/a/../b'],
    ['ambiguous_path', '/a/%2e%2E/b'],
    ['ambiguous_path', '/a/..'],
    ['ambiguous_path', '/.'],
    ['ambiguous_path', '/a%2fb'],
    ['ambiguous_path', '/a\\b'],
    ['ambiguous_path', '/a;x=1'],
    ['ambiguous_path', '/a#b'],
    ['ambiguous_path', '/a?b#c'],
    ['ambiguous_path', '/%252e'],
    ['ambiguous_path', '/a%00'],
    ['ambiguous_path', '/%c0%af'],
    ['ambiguous_path', 'http://h/a'],
    ['ambiguous_path', '*'],
    ['malformed_request', ''],
    ['malformed_request', '/%'],
    ['malformed_request', '/%2'],
    ['malformed_request', '/%g0'],
    ['malformed_request', '/a b'],
    ['malformed_request', '/a\u0000'],
    ['malformed_request', '/\u00e9'],
    ['malformed_request', `/${'a'.repeat(8 * 1024)}`],
    ['malformed_request', `/?${'a'.repeat(64 * 1024)}`],
  ])('answers %s to %s', (code, target) => {
    expect(canonicalPath(target)).toMatchObject({ kind: 'refusal', code });
    expect(inspect({ target })).toMatchObject({ kind: 'refused', code, dependsOnRoute: false });
  });

  it.each([
    ['/', '/', [''], ''],
    ['/a/b', '/a/b', ['a', 'b'], ''],
    ['/a/b/', '/a/b/', ['a', 'b', ''], ''],
    ['/a%20b/c?x=%2f..&y=1?2', '/a b/c', ['a b', 'c'], 'x=%2f..&y=1?2'],
    ['/caf%C3%A9', '/café', ['café'], ''],
    ['/%61%2Db', '/a-b', ['a-b'], ''],
    ['/100%25', '/100%', ['100%'], ''],
    ['/v1.0/..a/a..b/.well-known', '/v1.0/..a/a..b/.well-known', ['v1.0', '..a', 'a..b', '.well-known'], ''],
    ['/a?', '/a', ['a'], ''],
  ])('reads %s', (target, path, segments, query) => {
    expect(canonicalPath(target)).toEqual({ kind: 'path', path, segments, query });
  });

  it('accepts 200 ordinary URLs', () => {
    const urls = ORDINARY_SEGMENTS.flatMap((segment) =>
      ORDINARY_QUERIES.flatMap((query) => [`/${segment}${query}`, `/v1/${segment}/x/${query}`]),
    );
    expect(urls.length).toBeGreaterThanOrEqual(200);
    const denied = urls.filter((target) => codeOf(inspect({ target }, { routing: 'optional' })) !== 'inspected');
    expect(denied).toEqual([]);
  });

  it('lets the switch for ambiguous paths pass them without a route', () => {
    const options = { routing: 'optional', compatibility: { ambiguous_paths: true } } as const;
    for (const target of ['/tenant-a/x/../infer', '//tenant-a/x/infer', '*', '/a;b?x', 'http://h/p', '/%zz']) {
      expect(inspect({ method: 'POST', target }, options)).toMatchObject({
        kind: 'inspected',
        path: target.split('?')[0],
        route: null,
      });
      expect(codeOf(inspect({ method: 'POST', target }, { ...options, routing: 'required' }))).toBe('unknown_route');
    }
    expect(codeOf(inspect({ target: `/${'a'.repeat(1_000_000)}` }, options))).toBe('malformed_request');
  });

  it('decides a megabyte of anything at once', () => {
    for (const unit of ['a', '/', '%2e', '.', '%c3%a9', ';', '\\']) {
      expect(canonicalPath(`/${unit.repeat(1_000_000 / unit.length)}`)).toMatchObject({ kind: 'refusal' });
    }
  });
});

const ORDINARY_SEGMENTS = [
  ...[
    'tenant-a',
    'llama-3-8b',
    'mistral_7b',
    'gpt-4o',
    'index.html',
    'v1.2.3',
    '~user',
    'a:b',
    'user@example.com',
    'a,b',
    "it's",
  ],
  ...[
    'a+b',
    'x=y',
    '$metadata',
    '(paren)',
    'star*',
    'bang!',
    'amp&co',
    '.well-known',
    '..hidden',
    'a..b',
    'file...txt',
    '%20',
    'a%20b',
  ],
  ...[
    'caf%C3%A9',
    '%E6%97%A5%E6%9C%AC',
    '%F0%9F%98%80',
    '%D0%9F%D1%80',
    '50%25',
    '100%25%20cotton',
    '%7Euser',
    'a%2Bb',
    '%40me',
    'a%3Ab',
    '%5Bx%5D',
  ],
  ...[
    '%7Bid%7D',
    'a|b',
    'a[0]',
    'x%C2%BDy',
    'ADMIN',
    '0',
    '-',
    '_',
    'predict:stream',
    'sha256:0123abcd',
    'a%27b',
    '%22q%22',
    'a%C2%A0b',
  ],
];
const ORDINARY_QUERIES = ['', '?', '?a=1&b=%20c+d', '?url=https://x/../y//z;w&e=%2e%2e%2f&p=100%'];

function replaceEachSlash(base: string, separator: string): readonly string[] {
  const variants: string[] = [];
  for (let at = base.indexOf('/'); at >= 0; at = base.indexOf('/', at + 1)) {
    variants.push(base.slice(0, at) + separator + base.slice(at + 1));
  }
  return [...variants, base + separator];
}

const WORDS = [
  'tenant-a',
  'tenant-b',
  'admin',
  'keys',
  'models',
  'llama',
  'infer',
  '%61',
  '.',
  '..',
  '%2e',
  'é',
  '%c3%a9',
  '%25',
  '2e',
];

function mixture(random: Random): string {
  const pieces = Array.from({ length: 1 + random.below(5) }, () => {
    const separator = random.chance(0.7) ? '/' : random.pick(SEPARATORS);
    return separator + random.pick(WORDS) + (random.chance(0.2) ? random.pick(WORDS) : '');
  });
  return `${pieces.join('')}${random.chance(0.2) ? '?x=/../' : ''}`;
}
