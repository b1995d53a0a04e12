import { describe, expect, it } from 'vitest';
import type { AccessRequest } from '../../../../src/decision/access-request.ts';
import { toAccessRequest } from '../../../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { checkRequestWith } from '../../../support/check-request-bytes.ts';
import { encodeCheckRequest } from '../../../support/ext-authz-proto.ts';

const claiming = {
  source: {
    address: { socketAddress: { address: '10.0.0.1', portValue: 45_123 } },
    principal: 'spiffe://td/client',
    certificate: '-----BEGIN%20CERTIFICATE-----',
  },
  destination: { principal: 'spiffe://td/gateway', certificate: 'x' },
  contextExtensions: { 'sallyport.decision': 'legacy' },
  metadataContext: { filterMetadata: { m: { fields: { a: { stringValue: 'b' } } } } },
  routeMetadataContext: { filterMetadata: {} },
  tlsSession: { sni: 'gateway.test' },
};

function read(
  http: { readonly [name: string]: unknown },
  context = { believed: true },
  more: object = claiming,
): AccessRequest {
  const request = toAccessRequest(
    encodeCheckRequest({ attributes: { ...more, request: { http: { method: 'GET', path: '/', ...http } } } }),
    context,
  );
  if ('unreadable' in request) throw new Error(request.unreadable.cause);
  return request;
}

function causeOf(bytes: Uint8Array): string {
  const request = toAccessRequest(bytes, { believed: true });
  if (!('unreadable' in request)) throw new Error('it was read');
  expect(request).toMatchObject({ door: 'ext_authz_grpc', unreadable: { code: 'malformed_request' } });
  return request.unreadable.cause;
}

describe('a CheckRequest becomes an access request', () => {
  it('with all that Envoy tells', () => {
    const request = read({
      id: '123',
      method: 'POST',
      path: '/a/../b?x=1',
      host: 'Gateway.test:8443',
      scheme: 'https',
      protocol: 'HTTP/2',
      size: 999,
      rawBody: Buffer.from('{}'),
      headers: {
        ':path': '/a/../b?x=1',
        'content-length': '2',
        'x-request-id': 'r-1',
        traceparent: '00-1-2-3',
        'x-envoy-auth-partial-body': 'false',
      },
    });
    expect(request).toMatchObject({
      door: 'ext_authz_grpc',
      method: 'POST',
      target: '/a/../b?x=1',
      host: 'Gateway.test:8443',
      scheme: 'https',
      protocol: 'HTTP/2',
      declaredLength: 2,
      requestId: 'r-1',
      traceparent: '00-1-2-3',
      sourceAddress: '10.0.0.1',
      sourcePrincipal: 'spiffe://td/client',
      sourceCertificate: '-----BEGIN%20CERTIFICATE-----',
      contextExtensions: new Map([['sallyport.decision', 'legacy']]),
      headersAreRaw: false,
      body: { complete: true },
      capabilities: { queryChanges: true, upstreamHeaders: 'all' },
    });
    expect(Buffer.from(request.body.bytes).toString()).toBe('{}');
    expect([...request.headers.names()]).not.toContain(':path');
    expect(request.headers.all(':path')).toEqual([]);
  });

  it('with nothing invented where Envoy is silent', () => {
    const request = read({}, { believed: true }, {});
    for (const absent of [
      'scheme',
      'protocol',
      'declaredLength',
      'sourceAddress',
      'sourcePrincipal',
      'requestId',
      'deadlineMs',
    ]) {
      expect(request).not.toHaveProperty(absent);
    }
    expect(request.body).toEqual({ bytes: new Uint8Array(), complete: undefined });
  });

  it('with the stream id where no single request id was sent', () => {
    expect(read({ id: '77' }).requestId).toBe('77');
  });

  it.each([
    { sent: 'true', complete: false },
    { sent: 'false', complete: true },
  ])('with `complete` $complete when the partial-body header says $sent', ({ sent, complete }) => {
    expect(read({ headers: { 'x-envoy-auth-partial-body': sent } }).body.complete).toBe(complete);
  });

  it.each([
    { sent: '12', declared: 12 },
    { sent: '0', declared: 0 },
    { sent: '1,1', declared: 'malformed' },
    { sent: '-1', declared: 'malformed' },
    { sent: '+1', declared: 'malformed' },
    { sent: '1e3', declared: 'malformed' },
    { sent: '', declared: 'malformed' },
    { sent: '9'.repeat(30), declared: 'malformed' },
  ])('with the declared length $declared for `$sent`', ({ sent, declared }) => {
    expect(read({ headers: { 'content-length': sent } }).declaredLength).toBe(declared);
  });

  it('with `body` before `raw_body`, as opa-envoy-plugin reads it', () => {
    const request = read({ body: 'text', rawBody: Buffer.from('raw') });
    expect(Buffer.from(request.body.bytes).toString()).toBe('text');
  });
});

describe('headers', () => {
  it('of one name in two cases are two values of it', () => {
    const bytes = checkRequestWith({
      method: 'GET',
      path: '/',
      headers: [
        ['Authorization', 'a'],
        ['authorization', 'b'],
      ],
    });
    const request = toAccessRequest(bytes, { believed: true });
    expect('headers' in request && request.headers.all('authorization')).toEqual(['a', 'b']);
  });

  it('joined by Envoy with a comma are not split', () => {
    expect(read({ headers: { accept: 'a,b' } }).headers.all('accept')).toEqual(['a,b']);
  });

  it('of a header map keep every value, lower-case names and no pseudo headers', () => {
    const headerMap = {
      headers: [
        { key: ':method', rawValue: Buffer.from('GET') },
        { key: 'X-A', rawValue: Buffer.from('1') },
        { key: 'x-a', rawValue: Buffer.from('é') },
        { key: 'x-b', value: 'text' },
      ],
    };
    const { headers, headersAreRaw } = read({ headerMap });
    expect(headersAreRaw).toBe(true);
    expect([...headers.names()]).toEqual(['x-a', 'x-b']);
    expect(headers.all('x-a')).toEqual(['1', 'é']);
    expect(headers.all('x-b')).toEqual(['text']);
  });

  it('are found under names that every object has only if they were sent', () => {
    const request = read({});
    for (const name of ['constructor', '__proto__', 'toString']) expect(request.headers.all(name)).toEqual([]);
  });
});

describe('a CheckRequest that cannot be read is refused by name', () => {
  const http = (fields: object): Buffer =>
    encodeCheckRequest({ attributes: { request: { http: { method: 'GET', path: '/', ...fields } } } });

  it.each([
    { what: 'no bytes', bytes: Buffer.alloc(0), cause: '`CheckRequest.attributes` is missing' },
    {
      what: 'no http',
      bytes: encodeCheckRequest({ attributes: { request: {} } }),
      cause: '`AttributeContext.request.http` is missing',
    },
    {
      what: 'no request',
      bytes: encodeCheckRequest({ attributes: {} }),
      cause: '`AttributeContext.request.http` is missing',
    },
    { what: 'garbage', bytes: Buffer.from('ffffff', 'hex'), cause: 'a field of `CheckRequest` is truncated' },
    {
      what: 'a header value that is no UTF-8',
      bytes: http({ headerMap: { headers: [{ key: 'a', rawValue: Buffer.of(0xff) }] } }),
      cause: '`HeaderValue.rawValue` is not valid UTF-8',
    },
    {
      what: 'a header value given twice',
      bytes: http({ headerMap: { headers: [{ key: 'a', value: 'x', rawValue: Buffer.from('y') }] } }),
      cause: '`HeaderValue` has both `value` and `raw_value`',
    },
    {
      what: 'both kinds of headers',
      bytes: http({ headers: { a: 'b' }, headerMap: { headers: [] } }),
      cause: '`HttpRequest` has both `headers` and `header_map`',
    },
    {
      what: 'an unclear partial-body header',
      bytes: http({ headers: { 'x-envoy-auth-partial-body': 'false,true' } }),
      cause: '`x-envoy-auth-partial-body` is neither `true` nor `false`',
    },
    {
      what: 'two partial-body headers',
      bytes: http({
        headerMap: {
          headers: [
            { key: 'x-envoy-auth-partial-body', rawValue: Buffer.from('false') },
            { key: 'x-envoy-auth-partial-body', rawValue: Buffer.from('false') },
          ],
        },
      }),
      cause: '`x-envoy-auth-partial-body` is neither `true` nor `false`',
    },
  ])('$what', ({ bytes, cause }) => {
    expect(causeOf(bytes)).toBe(cause);
  });
});

describe('a caller that is not believed', () => {
  const xfcc = { 'X-Forwarded-Client-Cert': 'By=x', 'x-forwarded-client-cert': 'URI=spiffe://td/x', other: '1' };

  it('says nothing of identities, settings, metadata or TLS', () => {
    const request = read({ headers: xfcc }, { believed: false });
    expect(request).not.toHaveProperty('sourcePrincipal');
    expect(request).not.toHaveProperty('sourceCertificate');
    expect(request.contextExtensions.size).toBe(0);
    expect([...request.headers.names()]).toEqual(['other']);
    expect(request.sourceAddress).toBe('10.0.0.1');
    expect(request.attributes()).toEqual({
      source: { address: { socketAddress: { address: '10.0.0.1', portValue: 45_123 } } },
      destination: {},
      request: { http: { method: 'GET', path: '/', headers: { other: '1' } } },
    });
  });

  it('says nothing of client certificates in a header map', () => {
    const headerMap = { headers: [{ key: 'X-Forwarded-Client-Cert', rawValue: Buffer.from('x') }] };
    const request = read({ headerMap }, { believed: false }, {});
    expect([...request.headers.names()]).toEqual([]);
    expect(request.attributes()).toEqual({ request: { http: { method: 'GET', path: '/', headerMap: {} } } });
  });

  it('is told from one that is', () => {
    expect(read({ headers: xfcc }).headers.all('x-forwarded-client-cert')).toHaveLength(2);
  });
});
