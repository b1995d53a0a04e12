import { describe, expect, test } from 'vitest';
import { RequestFault } from '../../../../src/decision/errors.ts';
import { readRawHeaders } from '../../../../src/protocols/ext-authz-http/raw-headers.ts';
import {
  callerDeadlineMs,
  originalTarget,
  toAccessRequest,
} from '../../../../src/protocols/ext-authz-http/to-access-request.ts';

const capabilities = { queryChanges: false, upstreamHeaders: new Set<string>() };
const context = { pathPrefix: '/ext-authz/', capabilities, deadlineMs: 120 };

function request(raw: readonly string[], body = '', target = '/ext-authz/tenant-a/m/infer?x=1') {
  return toAccessRequest(
    { method: 'POST', target, headers: readRawHeaders(raw), body: Buffer.from(body, 'latin1') },
    context,
  );
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'no fault';
  } catch (error) {
    return error instanceof RequestFault ? error.code : String(error);
  }
}

describe('originalTarget', () => {
  test.each([
    ['/ext-authz/tenant-a/m?x=%2f', '/tenant-a/m?x=%2f'],
    ['/ext-authz/', '/'],
    ['/ext-authz/../x', '/../x'],
    ['/ext-authz/..%2f../x', '/..%2f../x'],
    ['/ext-authz//x', '//x'],
    ['/ext-authz/?', '/?'],
    ['/ext-authz/ext-authz/x', '/ext-authz/x'],
    ['/ext-authz/#f', '/#f'],
    ['/ext-authz/\xc3\xa9', '/é'],
  ])('%s was %s', (raw, original) => {
    expect(originalTarget(raw, '/ext-authz/')).toBe(original);
  });

  test.each([
    '/ext-authz',
    '/ext-authz?x=/',
    '/ext-authzX/',
    '/ext-authz%2fx',
    '//ext-authz/',
    '/./ext-authz/x',
    '/x/../ext-authz/x',
    '/EXT-AUTHZ/x',
    '/%65xt-authz/x',
    'ext-authz/x',
    'http://h/ext-authz/x',
    'h:443',
    '*',
    '',
    '/ext-authz/\xff',
    '/ext-authz/\xc3',
  ])('%j is refused', (raw) => {
    expect(codeOf(() => originalTarget(raw, '/ext-authz/'))).toBe('malformed_request');
  });

  test('the prefix `/` leaves the whole target', () => {
    expect(originalTarget('/a/b', '/')).toBe('/a/b');
  });
});

describe('callerDeadlineMs', () => {
  const name = 'x-envoy-expected-rq-timeout-ms';
  test.each([
    [[], 150],
    [[name, '200'], 150],
    [[name, '50'], 50],
    [[name, '0'], 0],
  ])('%j: %d ms', (raw, ms) => {
    expect(callerDeadlineMs(readRawHeaders(raw), 150)).toBe(ms);
  });

  test.each([
    [[name, '']],
    [[name, '-1']],
    [[name, '1e3']],
    [[name, '0x10']],
    [[name, '1.5']],
    [[name, '9999999999']],
    [[name, '50', name, '50']],
  ])('%j is refused', (raw) => {
    expect(codeOf(() => callerDeadlineMs(readRawHeaders(raw), 150))).toBe('malformed_request');
  });
});

describe('toAccessRequest', () => {
  test('says what the door knows and leaves out what it does not', () => {
    const made = request(['Host', 'API.example:8443', 'Authorization', 'Bearer x', 'X-Request-Id', 'r-1']);
    expect(made).toEqual({
      door: 'ext_authz_http',
      method: 'POST',
      target: '/tenant-a/m/infer?x=1',
      host: 'API.example:8443',
      headers: expect.anything(),
      body: { bytes: Buffer.alloc(0), complete: undefined },
      contextExtensions: new Map(),
      attributes: expect.any(Function),
      headersAreRaw: false,
      capabilities,
      deadlineMs: 120,
      requestId: 'r-1',
    });
    expect([...made.headers.names()]).toEqual(['authorization', 'x-request-id']);
  });

  test('keeps every value of a header, in order, names lower case', () => {
    const made = request(['Host', 'h', 'X-A', '1', 'x-b', '', 'x-a', '2']);
    expect(made.headers.all('x-a')).toEqual(['1', '2']);
    expect(made.headers.all('x-b')).toEqual(['']);
    expect(made.headers.all('__proto__')).toEqual([]);
    expect(made.headers.all('constructor')).toEqual([]);
  });

  test.each(['Host', 'content-length', 'Transfer-Encoding', 'X-Forwarded-Client-Cert', 'expect', 'x-envoy-internal'])(
    'hides `%s`, which is not the client’s',
    (name) => {
      const made = request(name === 'Host' ? ['Host', 'h'] : ['Host', 'h', name, '1']);
      expect(made.headers.all(name.toLowerCase())).toEqual([]);
      expect([...made.headers.names()]).toEqual([]);
      expect(made).not.toHaveProperty('declaredLength');
    },
  );

  test('reads header bytes as UTF-8, a byte order mark included', () => {
    const made = request(['Host', 'h', 'x-a', 'caf\xc3\xa9', 'x-b', '\xef\xbb\xbfx']);
    expect(made.headers.all('x-a')).toEqual(['café']);
    expect(made.headers.all('x-b')).toEqual(['\ufeffx']);
  });

  test.each([
    ['a header that is not UTF-8', ['Host', 'h', 'x-a', 'caf\xe9']],
    ['an overlong encoding', ['Host', 'h', 'x-a', '\xc0\xaf']],
    ['a surrogate', ['Host', 'h', 'x-a', '\xed\xa0\x80']],
    ['no host', []],
    ['two hosts', ['Host', 'a', 'host', 'a']],
    ['a partial-body header that is neither', ['Host', 'h', 'x-envoy-auth-partial-body', 'True']],
    [
      'a partial-body header twice',
      ['Host', 'h', 'x-envoy-auth-partial-body', 'false', 'x-envoy-auth-partial-body', 'false'],
    ],
    ['partial-body values joined', ['Host', 'h', 'x-envoy-auth-partial-body', 'false,true']],
  ])('refuses %s', (_name, raw) => {
    expect(codeOf(() => request(raw))).toBe('malformed_request');
  });

  test.each([
    [['x-envoy-auth-partial-body', 'false'], true],
    [['x-envoy-auth-partial-body', 'true'], false],
    [[], undefined],
    [['content-length', '4'], undefined],
  ])('with %j the body is complete: %s', (raw, complete) => {
    expect(request(['Host', 'h', ...raw], 'body').body).toEqual({ bytes: Buffer.from('body'), complete });
  });

  test('a repeated request id is none', () => {
    expect(request(['Host', 'h', 'x-request-id', 'a', 'x-request-id', 'b'])).not.toHaveProperty('requestId');
  });
});

describe('attributes', () => {
  test('have opa-envoy-plugin’s shape with what travelled and nothing else', () => {
    const made = request(['Host', 'h', 'X-A', '1', 'x-a', '2', '__proto__', 'p', 'content-length', '3'], 'abc');
    expect(JSON.stringify(made.attributes())).toBe(
      '{"request":{"http":{"method":"POST","path":"/tenant-a/m/infer?x=1","host":"h","headers":{"x-a":"1,2","__proto__":"p"},"body":"abc"}}}',
    );
  });

  test('leave out what is empty, and carry a body that is no text as rawBody', () => {
    expect(request(['Host', '']).attributes()).toEqual({
      request: { http: { method: 'POST', path: '/tenant-a/m/infer?x=1' } },
    });
    expect(request(['Host', ''], '\xff\xfe').attributes()).toEqual({
      request: { http: { method: 'POST', path: '/tenant-a/m/infer?x=1', rawBody: '//4=' } },
    });
  });
});
