import { describe, expect, test } from 'vitest';
import { URI_BUILTINS } from '../../../../src/policy/builtins/uri.ts';
import { callBuiltin } from './call-builtin.ts';

describe('uri.parse', () => {
  test.each<[string, { [part: string]: string }]>([
    [
      'https://example.com:8080/api?q=1#top',
      {
        scheme: 'https',
        hostname: 'example.com',
        port: '8080',
        path: '/api',
        raw_path: '/api',
        raw_query: 'q=1',
        fragment: 'top',
      },
    ],
    ['', {}],
    ['*', { path: '*', raw_path: '*' }],
    ['mailto:a@b.example?subject=x#y', { scheme: 'mailto', raw_query: 'subject=x', fragment: 'y' }],
    ['HTTP://ExAmple.com', { scheme: 'http', hostname: 'ExAmple.com' }],
    ['//h:80/p?a?b#c#d', { hostname: 'h', port: '80', path: '/p', raw_path: '/p', raw_query: 'a?b', fragment: 'c#d' }],
    ['///x//y', { path: '///x//y', raw_path: '///x//y' }],
    [
      'http://[fe80::1%25en0]:80/x',
      { scheme: 'http', hostname: 'fe80::1%en0', port: '80', path: '/x', raw_path: '/x' },
    ],
    ['http://foo]bar/', { scheme: 'http', hostname: 'foo]bar', path: '/', raw_path: '/' }],
    ['http://%e4%b8%ad:/', { scheme: 'http', hostname: '中', path: '/', raw_path: '/' }],
    ['http://u:p@h/%e4%b8%ad文', { scheme: 'http', hostname: 'h', path: '/中文', raw_path: '/%e4%b8%ad文' }],
    ['/a%2Fb', { path: '/a/b', raw_path: '/a%2Fb' }],
    // What the usual encoding gives is no raw path of its own.
    ['/a%21b%28%29', { path: '/a!b()', raw_path: '/a!b()' }],
    ['postgres://a:1,b:2/x', { scheme: 'postgres', hostname: 'a:1,b', port: '2', path: '/x', raw_path: '/x' }],
  ])('reads %s', (text, parts) => {
    expect(JSON.parse(callBuiltin(URI_BUILTINS, 'uri.parse', JSON.stringify(text)))).toEqual(parts);
    expect(callBuiltin(URI_BUILTINS, 'uri.is_valid', JSON.stringify(text))).toBe(String(text !== ''));
  });

  test.each([
    ['http://a<b@example.com/', 'parse "http://a<b@example.com/": net/url: invalid userinfo'],
    ['http://exa%6dple.com/', 'parse "http://exa%6dple.com/": invalid URL escape "%6d"'],
    ['http://example.com:٣٤/', 'parse "http://example.com:٣٤/": invalid port ":٣٤" after host'],
    ['http://a:1:2/', 'parse "http://a:1:2/": invalid port ":1:2" after host'],
    ['http://h ost/', 'parse "http://h ost/": invalid character " " in host name'],
    ['http://[::1', 'parse "http://[::1": missing \']\' in host'],
    ['http://[1.2.3.4]/', 'parse "http://[1.2.3.4]/": invalid IP-literal'],
    ['http://a[::1]/', 'parse "http://a[::1]/": invalid IP-literal'],
    ['http://[zz]/', 'parse "http://[zz]/": invalid host: ParseAddr("zz"): unable to parse IP'],
    ['http://h/x%zz#f', 'parse "http://h/x%zz": invalid URL escape "%zz"'],
    ['http://h/#a%2', 'parse "http://h/#a%2": invalid URL escape "%2"'],
    [':x', 'parse ":x": missing protocol scheme'],
    ['1:b/c', 'parse "1:b/c": first path segment in URL cannot contain colon'],
    ['/\n', 'parse "/\\n": net/url: invalid control character in URL'],
  ])('refuses %s', (text, message) => {
    const args = JSON.stringify(text);
    expect(callBuiltin(URI_BUILTINS, 'uri.parse', args, { strict: true })).toBe(`eval_builtin_error: ${message}`);
    expect(callBuiltin(URI_BUILTINS, 'uri.parse', args)).toBe('undefined');
    expect(callBuiltin(URI_BUILTINS, 'uri.is_valid', args)).toBe('false');
  });

  test('takes texts only', () => {
    expect(callBuiltin(URI_BUILTINS, 'uri.parse', '[]', { strict: true })).toBe(
      'eval_type_error: operand 1 must be string but got array',
    );
    expect(callBuiltin(URI_BUILTINS, 'uri.is_valid', '[]')).toBe('false');
  });

  test('tells a path that is no UTF-8 from others', () => {
    const parse = (path: string) => callBuiltin(URI_BUILTINS, 'uri.parse', `"${path}"`);
    expect(parse('/%ff')).not.toEqual(parse('/%fe'));
    expect(parse('/%ff')).not.toEqual(parse('/%ef%bf%bd'));
  });
});
