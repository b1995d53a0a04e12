import { describe, expect, test } from 'vitest';
import { claimsSpiffe, isTrustDomain, parseSpiffeId } from '../../../src/identity/spiffe-id.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const longest = (bytes: number): string => {
  const head = 'spiffe://td/';
  return head + 'a'.repeat(bytes - head.length);
};

describe('a SPIFFE ID', () => {
  test.each([
    ['spiffe://example.org', 'example.org', ''],
    ['spiffe://example.org/a', 'example.org', '/a'],
    ['spiffe://example.org/ns/default/sa/web', 'example.org', '/ns/default/sa/web'],
    ['spiffe://a_b-c.9/A_Z-z.0', 'a_b-c.9', '/A_Z-z.0'],
    ['spiffe://td/...', 'td', '/...'],
    ['spiffe://td/..a/.b', 'td', '/..a/.b'],
    [`spiffe://${'d'.repeat(255)}/a`, 'd'.repeat(255), '/a'],
    [longest(2048), 'td', longest(2048).slice('spiffe://td'.length)],
  ])('%s is read', (id, trustDomain, path) => {
    expect(parseSpiffeId(id)).toEqual({ id, trustDomain, path });
  });

  test.each([
    ['nothing', ''],
    ['the scheme alone', 'spiffe://'],
    ['no trust domain', 'spiffe:///a'],
    ['one slash', 'spiffe:/td/a'],
    ['no slash', 'spiffe:td/a'],
    ['three slashes', 'spiffe:///td/a'],
    ['the scheme in upper case', 'SPIFFE://td/a'],
    ['the scheme in mixed case', 'Spiffe://td/a'],
    ['another scheme', 'https://td/a'],
    ['a scheme that ends so', 'xspiffe://td/a'],
    ['a trust domain in upper case', 'spiffe://TD/a'],
    ['a trust domain of 256 bytes', `spiffe://${'d'.repeat(256)}/a`],
    ['a port', 'spiffe://td:443/a'],
    ['an empty port', 'spiffe://td:/a'],
    ['user info', 'spiffe://user@td/a'],
    ['empty user info', 'spiffe://@td/a'],
    ['an IPv6 address', 'spiffe://[::1]/a'],
    ['a percent sign in the trust domain', 'spiffe://t%64/a'],
    ['a trailing slash', 'spiffe://td/a/'],
    ['a slash for a path', 'spiffe://td/'],
    ['an empty segment', 'spiffe://td//a'],
    ['an empty segment inside', 'spiffe://td/a//b'],
    ['a dot segment', 'spiffe://td/./a'],
    ['a last dot segment', 'spiffe://td/a/.'],
    ['a double dot segment', 'spiffe://td/a/../b'],
    ['a last double dot segment', 'spiffe://td/..'],
    ['an encoded character', 'spiffe://td/%61'],
    ['an encoded dot segment', 'spiffe://td/%2e%2e'],
    ['a query', 'spiffe://td/a?b'],
    ['an empty query', 'spiffe://td/a?'],
    ['a fragment', 'spiffe://td/a#b'],
    ['an empty fragment', 'spiffe://td/a#'],
    ['a query without path', 'spiffe://td?a'],
    ['a space in front', ' spiffe://td/a'],
    ['a space behind', 'spiffe://td/a '],
    ['a line break behind', 'spiffe://td/a\n'],
    ['NUL', 'spiffe://td/a\0'],
    ['a backslash', 'spiffe://td\\a'],
    ['a letter beyond ASCII', 'spiffe://td/ä'],
    ['a digit beyond ASCII', 'spiffe://td/١'],
    ['a letter that lower case makes ASCII', 'spiffe://td/\u212a'],
    ['a comma', 'spiffe://td/a,b'],
    ['a semicolon', 'spiffe://td/a;b'],
    ['2,049 bytes', longest(2049)],
  ])('with %s is none', (_title, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  test('of any characters is one only when it is built as the standard says', () => {
    const random = createRandom(seedOf('SPIFFE IDs'));
    const alphabet = [
      'a',
      'Z',
      '0',
      '.',
      '..',
      '-',
      '_',
      '/',
      '//',
      ':',
      '@',
      '?',
      '#',
      '%2f',
      ' ',
      'é',
      '\0',
      '~',
      '+',
    ];
    const count = caseCount(2_000);
    let read = 0;
    for (let done = 0; done < count; done += 1) {
      const pieces = Array.from({ length: random.below(8) }, () => random.pick(alphabet)).join('');
      const text = `spiffe://td${pieces}`;
      const [authority = '', ...segments] = text.slice('spiffe://'.length).split('/');
      const wanted =
        Array.from(authority).every((one) => 'abcdefghijklmnopqrstuvwxyz0123456789._-'.includes(one)) &&
        segments.every((one) => one !== '' && one !== '.' && one !== '..' && Array.from(one).every(isSegmentCharacter));
      expect(parseSpiffeId(text) !== undefined, text).toBe(wanted);
      if (wanted) read += 1;
    }
    console.info(`SPIFFE IDs: ${count} texts, ${read} read`);
    expect(read).toBeGreaterThan(0);
  });

  test('of great length is refused in no time', () => {
    expect(parseSpiffeId(`spiffe://td${'/.'.repeat(1_000_000)}`)).toBeUndefined();
  });
});

function isSegmentCharacter(one: string): boolean {
  return 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'.includes(one);
}

test.each([
  ['example.org', true],
  ['EXAMPLE.org', false],
  ['spiffe://example.org', false],
  ['example.org/', false],
  ['', false],
  ['d'.repeat(255), true],
  ['d'.repeat(256), false],
])('`%s` as a trust domain: %s', (text, wanted) => {
  expect(isTrustDomain(text)).toBe(wanted);
});

test.each([
  ['spiffe://td/a', true],
  ['SPIFFE://td/a', true],
  [' spiffe:x', true],
  ['spiffe', false],
  ['https://spiffe:', false],
])('`%s` means to be a SPIFFE ID: %s', (text, wanted) => {
  expect(claimsSpiffe(text)).toBe(wanted);
});
