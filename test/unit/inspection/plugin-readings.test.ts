import { describe, expect, it } from 'vitest';
import { RequestFault } from '../../../src/decision/errors.ts';
import { type JsonValue, RawJson } from '../../../src/decision/json.ts';
import type { PluginReadings } from '../../../src/decision/ports.ts';
import type { CompatibilityConfig } from '../../../src/inspection/config.ts';
import { parsePluginPath } from '../../../src/inspection/plugin-path.ts';
import { parseForm, parsePluginQuery } from '../../../src/inspection/plugin-query.ts';
import { inspect, type RequestParts } from './access-requests.ts';

function plugin(parts: RequestParts, compatibility: Partial<CompatibilityConfig> = {}): PluginReadings {
  const result = inspect(parts, { routing: 'optional', compatibility: { ambiguous_paths: true, ...compatibility } });
  if (result.kind === 'refused') throw new Error(result.cause);
  return result.plugin;
}

const typed = (type: string, body: string): RequestParts => ({ headers: [['content-type', type]], body });
const DENIED = expect.objectContaining({ code: 'malformed_request' });

/** Raw JSON as `{raw}`, everything else as it is. */
function plain(value: JsonValue): unknown {
  if (value instanceof RawJson) return { raw: value.text };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, member]) => [key, plain(member ?? null)]));
}

describe('parsePluginPath', () => {
  it.each([
    ['', ['']],
    ['/', ['']],
    ['///a//b/', ['a', '', 'b', '']],
    ['/%2Fa%2Fb', ['a', 'b']],
    ['/a/../b', ['a', '..', 'b']],
    ['/a+b', ['a+b']],
    ['/%e2%82', ['\ufffd\ufffd']],
    ['/%f0%9f%98%80%ff', ['😀\ufffd']],
    ['/%ed%a0%80', ['\ufffd\ufffd\ufffd']],
    ['/é%c3%a9', ['éé']],
    ['/a?b/%zz', ['a']],
  ])('reads %s', (target, wanted) => {
    expect(parsePluginPath(target)).toEqual(wanted);
  });

  it.each(['/%', '/%1', '/%g1', '/a%zz?x', '/%-1'])('denies %s', (target) => {
    expect(() => parsePluginPath(target)).toThrow(RequestFault);
  });
});

describe('parsePluginQuery', () => {
  it('keeps hostile names as members of an object without a prototype', () => {
    const values = parsePluginQuery('/?__proto__=1&constructor=2&toString=3&__proto__=4');
    expect(Object.getPrototypeOf(values)).toBeNull();
    expect(Object.entries(values)).toEqual([
      ['__proto__', ['1', '4']],
      ['constructor', ['2']],
      ['toString', ['3']],
    ]);
  });

  it('reads pieces, names and values as Go does', () => {
    expect({ ...parseForm('a=1&&a=&b&=v&c=d=e&f=%26+%2b') }).toEqual({
      a: ['1', ''],
      b: [''],
      '': ['v'],
      c: ['d=e'],
      f: ['& +'],
    });
  });

  it.each(['a;b', 'x=%', 'x=%f', '%zz=1', 'a=1&b=2;'])('denies %s', (query) => {
    expect(() => parsePluginQuery(`/?${query}`)).toThrow(DENIED);
  });
});

describe('the parsed body', () => {
  it('is read when it is asked for, and once', () => {
    const readings = plugin(typed('application/json', '{"a":1e400}'));
    const first = readings.parsedBody();
    expect(first).toEqual(new RawJson('{"a":1e400}'));
    expect(readings.parsedBody()).toBe(first);
    expect(readings.truncatedBody()).toBe(false);
    const broken = plugin(typed('application/json', '{'));
    expect(() => broken.parsedBody()).toThrow(DENIED);
    expect(() => broken.truncatedBody()).toThrow(DENIED);
    expect(broken.parsedPath()).toEqual(['']);
  });

  it('denies twin keys unless the switch is on', () => {
    const request = typed('application/json', '{"a":1,"a":2}');
    expect(() => plugin(request).parsedBody()).toThrow(DENIED);
    expect(plain(plugin(request, { duplicate_keys: true }).parsedBody())).toEqual({ raw: '{"a":2}' });
  });

  it('is read from requests with a header map only while the switch is on', () => {
    const request = { ...typed('application/json', '{"a":1}'), headersAreRaw: true };
    expect(plain(plugin(request).parsedBody())).toEqual({ raw: '{"a":1}' });
    expect(plugin(request, { header_map_bodies: false }).parsedBody()).toBeNull();
    expect(plugin(request, { header_map_bodies: false }).truncatedBody()).toBe(false);
  });

  it.each<[string, RequestParts, unknown, boolean]>([
    [
      'a length in front of zeros',
      {
        headers: [
          ['content-type', 'application/json'],
          ['content-length', '007'],
        ],
        body: '{"a":1}',
      },
      { raw: '{"a":1}' },
      false,
    ],
    [
      'a negative length',
      {
        headers: [
          ['content-type', 'application/json'],
          ['content-length', '-1'],
        ],
        body: '1',
      },
      { raw: '1' },
      false,
    ],
    [
      'a huge length',
      {
        headers: [
          ['content-type', 'application/json'],
          ['content-length', '9223372036854775807'],
        ],
        body: '1',
      },
      null,
      true,
    ],
    ['a partial body', { headers: [['x-envoy-auth-partial-body', 'true']], body: '1' }, null, true],
    ['gRPC', typed('application/grpc', 'x'), null, false],
    ['an unknown type', typed('text/plain', '{"a":1}'), null, false],
    [
      'a form with bytes that are no UTF-8',
      { ...typed('application/x-www-form-urlencoded', ''), body: Uint8Array.of(0x61, 0x3d, 0xff, 0xe2, 0x82) },
      new Map([['a', ['\ufffd\ufffd\ufffd']]]),
      false,
    ],
  ])('of %s', (_, parts, wanted, truncated) => {
    const readings = plugin(parts);
    expect(plain(readings.parsedBody())).toEqual(wanted);
    expect(readings.truncatedBody()).toBe(truncated);
  });

  it.each(['9223372036854775808', '1,1', '1e3', ' 1', '1_000', '9'.repeat(100_000)])(
    'denies the length %.20j',
    (length) => {
      const readings = plugin({
        headers: [
          ['content-type', 'application/json'],
          ['content-length', length],
        ],
        body: '1',
      });
      expect(() => readings.parsedBody()).toThrow(DENIED);
    },
  );
});

const part = (headers: string, content: string, newline = '\r\n') =>
  `--B${newline}${headers === '' ? '' : headers + newline}${newline}${content}${newline}`;
const NAMED = 'Content-Disposition: form-data; name="a"';

describe('a multipart body', () => {
  const read = (body: string, type = 'multipart/form-data; boundary=B') =>
    plain(plugin(typed(type, body)).parsedBody());

  it.each<[string, string, [string, unknown[]][]]>([
    ['several parts', `${part(NAMED, 'v')}${part(NAMED, 'w')}--B--\r\n`, [['a', ['v', 'w']]]],
    ['a preamble and an epilogue', `pre\r\n\r\n${part(NAMED, 'v')}--B--\r\nepilogue`, [['a', ['v']]]],
    ['no line break at the end', `${part(NAMED, 'v')}--B--`, [['a', ['v']]]],
    ['bare line feeds', `${part(NAMED, 'v', '\n')}--B--\n`, [['a', ['v']]]],
    ['an empty part', `--B\r\n${NAMED}\r\n\r\n--B--\r\n`, [['a', ['']]]],
    ['spaces behind the boundary', `--B \t\r\n${NAMED}\r\n\r\nv\r\n--B-- \r\n`, [['a', ['v']]]],
    [
      'a longer boundary inside',
      `${part(NAMED, 'v\r\n--Bx\r\n--B-x\r\nw')}--B--`,
      [['a', ['v\r\n--Bx\r\n--B-x\r\nw']]],
    ],
    ['line breaks in the content', `${part(NAMED, '\r\nv\r\n')}--B--`, [['a', ['\r\nv\r\n']]]],
    ['a part without a name', `${part('Content-Type: text/plain', 'v')}--B--`, []],
    ['a part without headers', `${part('', 'v')}--B--`, []],
    ['another disposition', `${part('Content-Disposition: attachment; name=a', 'v')}--B--`, []],
    [
      'a file',
      `${part('content-disposition: form-data; name=a; filename="C:\\x\\"y"; filename*=utf-8\'\'x', 'v')}--B--`,
      [['a', ['v']]],
    ],
    ['a folded header', `${part('Content-Disposition: form-data;\r\n name="a"', 'v')}--B--`, [['a', ['v']]]],
    ['JSON', `${part(`${NAMED}\r\nContent-Type: application/json`, '[1.0]')}--B--`, [['a', [{ raw: '[1.0]' }]]]],
    ['hostile names', `${part('Content-Disposition: form-data; name=__proto__', 'v')}--B--`, [['__proto__', ['v']]]],
    ['nothing but the end', '--B--', []],
  ])('with %s', (_, body, wanted) => {
    expect(read(body)).toEqual(new Map(wanted));
  });

  it('is null without a boundary', () => {
    expect(read('x', 'multipart/form-data')).toBeNull();
    expect(read('x', 'multipart/form-data; charset=utf-8')).toBeNull();
  });

  it.each<[string, string, string?]>([
    ['no boundary line', 'x'],
    ['no end', part(NAMED, 'v')],
    ['no end of the content', `--B\r\n${NAMED}\r\n\r\nv`],
    ['headers without end', `--B\r\n${NAMED}\r\n`],
    ['text behind a boundary', `${part(NAMED, 'v')}--B x\r\n`],
    ['a header without a colon', `${part('nonsense', 'v')}--B--`],
    ['a header beginning with a space', `${part(` ${NAMED}`, 'v')}--B--`],
    ['a twin header', `${part(`${NAMED}\r\n${NAMED}`, 'v')}--B--`],
    ['a twin name', `${part(`${NAMED}; name="b"`, 'v')}--B--`],
    ['a malformed disposition', `${part('Content-Disposition: form-data; name="a', 'v')}--B--`],
    ['an extended name', `${part("Content-Disposition: form-data; name*=utf-8''a", 'v')}--B--`],
    ['quoted-printable', `${part(`${NAMED}\r\nContent-Transfer-Encoding: quoted-printable`, '=41')}--B--`],
    ['malformed JSON', `${part(`${NAMED}\r\nContent-Type: application/json`, '{')}--B--`],
    ['twin keys', `${part(`${NAMED}\r\nContent-Type: application/json`, '{"a":1,"a":2}')}--B--`],
    ['an empty boundary', '----', 'multipart/form-data; boundary=""'],
    ['a boundary without value', 'x', 'multipart/form-data; boundary'],
    ['a twin boundary', '--B--', 'multipart/form-data; boundary=B; boundary=C'],
  ])('is denied for %s', (_, body, type) => {
    expect(() => read(body, type)).toThrow(DENIED);
  });
});

describe('what the readings may cost', () => {
  const part = '--x\r\ncontent-disposition: form-data; name=a\r\n\r\n\r\n';

  it.each<[string, RequestParts]>([
    ['fields of a form', typed('application/x-www-form-urlencoded', 'a&'.repeat(10_000))],
    ['parts', typed('multipart/form-data; boundary=x', `${part.repeat(1_001)}--x--`)],
    ['lines before the first part', typed('multipart/form-data; boundary=x', `${'\n'.repeat(70_000)}${part}--x--`)],
  ])('is bounded in %s', (_, parts) => {
    expect(() => plugin(parts).parsedBody()).toThrow(DENIED);
  });

  it('is enough for a form of 10,000 fields and a body of 1,000 parts', () => {
    expect(plain(plugin(typed('application/x-www-form-urlencoded', `a${'&a'.repeat(9_999)}`)).parsedBody())).toEqual(
      new Map([['a', new Array(10_000).fill('')]]),
    );
    expect(plain(plugin(typed('multipart/form-data; boundary=x', `${part.repeat(1_000)}--x--`)).parsedBody())).toEqual(
      new Map([['a', new Array(1_000).fill('')]]),
    );
  });

  it('bounds the query too', () => {
    expect(() => parsePluginQuery(`/?${'&'.repeat(10_000)}`)).toThrow(DENIED);
  });
});

describe('bytes that are no UTF-8', () => {
  // What Go's `range` over a string makes of them: each byte that belongs to no character is one U+FFFD.
  it.each([
    ['%ff%fe', '\ufffd\ufffd'],
    ['%c0%af', '\ufffd\ufffd'],
    ['%c3', '\ufffd'],
    ['%c3%a9', 'é'],
    ['%e0%80%80', '\ufffd\ufffd\ufffd'],
    ['%e0%a0%80', '\u0800'],
    ['%e2%82', '\ufffd\ufffd'],
    ['%e2%82%ac%ff', '€\ufffd'],
    ['%ed%a0%80', '\ufffd\ufffd\ufffd'],
    ['%ed%9f%bf%80', '\ud7ff\ufffd'],
    ['%f0%8f%bf%bf', '\ufffd\ufffd\ufffd\ufffd'],
    ['%f0%9f%98%80%80', '😀\ufffd'],
    ['%f4%90%80%80', '\ufffd\ufffd\ufffd\ufffd'],
    ['%f4%8f%bf%bf%f5', '\u{10ffff}\ufffd'],
  ])('in %s are read as by Go', (escaped, wanted) => {
    expect(parsePluginPath(`/${escaped}`)).toEqual([wanted]);
  });
});
