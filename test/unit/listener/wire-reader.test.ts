import { describe, expect, it } from 'vitest';
import { WireFault } from '../../../src/listener/wire-fault.ts';
import { fieldOf, textOf } from '../../../src/listener/wire-message.ts';
import { readMessage } from '../../../src/listener/wire-reader.ts';
import {
  AttributeContext,
  CheckRequest,
  HttpRequest,
  Request,
  SocketAddress,
  Struct,
} from '../../../src/protocols/ext-authz-grpc/check-request.ts';

const { id, method, path, size, headers, body } = HttpRequest.fields;
const http = (hex: string) => readMessage(Buffer.from(hex.replaceAll(' ', ''), 'hex'), HttpRequest.table);

describe('a message is read as protobuf has it', () => {
  it.each([
    { what: 'the last scalar wins', hex: '0a0161 0a0162', id: 'b' },
    { what: 'a length in a longer form than needed is a length', hex: '0a8100 61', id: 'a' },
    { what: 'UTF-8 of two, three and four bytes is text', hex: '0a09 c3a9 e282ac f09f9880', id: 'é€😀' },
    { what: 'a byte order mark is part of the text', hex: '0a04 efbbbf 61', id: '\ufeffa' },
    {
      what: 'unknown fields of every wire type are stepped over',
      hex: 'a00601 a106 0102030405060708 a20602ffff a50601020304 a306 0801 a406 0a0161',
      id: 'a',
    },
    { what: 'nested unknown groups are stepped over', hex: 'a306 ab06 0801 ac06 a406 0a0161', id: 'a' },
  ])('$what', ({ hex, id: wanted }) => {
    expect(textOf(http(hex.replaceAll(/\s/g, '')), id)).toBe(wanted);
  });

  it.each([
    { hex: '48 00', size: 0 },
    { hex: '48 ffffffffffffff0f', size: Number.MAX_SAFE_INTEGER },
    { hex: '48 8180808080808010', size: 9007199254740993n },
    { hex: '48 ffffffffffffffffff01', size: -1 },
    { hex: '48 80808080808080808001', size: -9223372036854775808n },
    { hex: '48 ffffffffffffffff7f', size: 9223372036854775807n },
  ])('a 64-bit number keeps every digit: $size', ({ hex, size: wanted }) => {
    expect(fieldOf(http(hex), size)).toBe(wanted);
  });

  it('a 32-bit number keeps the low bits of a longer one', () => {
    const address = readMessage(Buffer.from('18ffffffffffffffffff01', 'hex'), SocketAddress.table);
    expect(fieldOf(address, SocketAddress.fields.portValue)).toBe(4_294_967_295);
  });

  it('the last member of a oneof stands', () => {
    const renamed = readMessage(Buffer.from('1805220161', 'hex'), SocketAddress.table);
    expect(fieldOf(renamed, SocketAddress.fields.portValue)).toBeUndefined();
    expect(fieldOf(renamed, SocketAddress.fields.namedPort)).toBe('a');
  });

  it('the last entry of a map key wins, and what an entry lacks is empty', () => {
    const map = fieldOf(http('1a06 0a0161 120162 1a06 0a0161 120163 1a00 1a03 0a0178'), headers);
    expect([...(map ?? [])]).toEqual([
      ['a', 'c'],
      ['', ''],
      ['x', ''],
    ]);
  });

  it('a message that is sent twice is merged', () => {
    const first = wrap(1, wrap(4, wrap(2, Buffer.from('120347455422022f61', 'hex'))));
    const second = wrap(1, wrap(4, wrap(2, Buffer.from('22022f62', 'hex'))));
    const attributes = fieldOf(
      readMessage(Buffer.concat([first, second]), CheckRequest.table),
      CheckRequest.fields.attributes,
    );
    const merged = fieldOf(fieldOf(attributes, AttributeContext.fields.request), Request.fields.http);
    expect([textOf(merged, method), textOf(merged, path)]).toEqual(['GET', '/b']);
  });

  it('bytes are views, not copies', () => {
    const source = Buffer.from('6201ff', 'hex');
    const raw = fieldOf(readMessage(source, HttpRequest.table), HttpRequest.fields.rawBody);
    expect(raw?.buffer).toBe(source.buffer);
    expect([...(raw ?? [])]).toEqual([0xff]);
  });
});

describe('a message that cannot be trusted is refused, by message and field', () => {
  it.each([
    { what: 'a truncated text', hex: '0a0561', fault: '`HttpRequest.id` is truncated' },
    { what: 'a truncated length', hex: '0a80', fault: '`HttpRequest.id` is truncated' },
    {
      what: 'a length beyond 32 bits',
      hex: '0affffffff1f',
      fault: '`HttpRequest.id` has a tag or length beyond 32 bits',
    },
    {
      what: 'a length that never ends',
      hex: '0a808080808000',
      fault: '`HttpRequest.id` has a tag or length beyond 32 bits',
    },
    { what: 'a truncated number', hex: '4880', fault: '`HttpRequest.size` is truncated' },
    {
      what: 'a number beyond 64 bits',
      hex: '48ffffffffffffffffff02',
      fault: '`HttpRequest.size` is a number beyond 64 bits',
    },
    { what: 'a text as a number', hex: '0801', fault: '`HttpRequest.id` has the wrong wire type' },
    { what: 'a number as a text', hex: '4a0161', fault: '`HttpRequest.size` has the wrong wire type' },
    {
      what: 'a number in a map entry',
      hex: '1a020801',
      fault: '`HttpRequest.headers` has the wrong wire type in a map entry',
    },
    { what: 'field number 0', hex: '020161', fault: '`HttpRequest` has a field number 0' },
    { what: 'field number 0 in a longer form', hex: '82000161', fault: '`HttpRequest` has a field number 0' },
    { what: 'wire type 6', hex: 'a606', fault: '`HttpRequest` has a stray end of group or an unknown wire type' },
    { what: 'wire type 7', hex: 'a706', fault: '`HttpRequest` has a stray end of group or an unknown wire type' },
    {
      what: 'an end without a group',
      hex: 'a406',
      fault: '`HttpRequest` has a stray end of group or an unknown wire type',
    },
    { what: 'a group without an end', hex: 'a306', fault: '`HttpRequest` has a group without an end' },
    { what: 'a group that ends as another', hex: 'a306ac06', fault: '`HttpRequest` has a group that ends as another' },
    { what: 'a truncated unknown field', hex: 'a206056161', fault: 'an unknown field of `HttpRequest` is truncated' },
    { what: 'a stray byte', hex: '0a016180', fault: 'a field of `HttpRequest` is truncated' },
    { what: 'a lone continuation byte', hex: '0a0180', fault: '`HttpRequest.id` is not valid UTF-8' },
    { what: 'an overlong slash', hex: '0a02c0af', fault: '`HttpRequest.id` is not valid UTF-8' },
    { what: 'a surrogate', hex: '0a03eda080', fault: '`HttpRequest.id` is not valid UTF-8' },
    { what: 'a code point beyond Unicode', hex: '0a04f4908080', fault: '`HttpRequest.id` is not valid UTF-8' },
    { what: 'bad UTF-8 in a header name', hex: '1a030a01ff', fault: '`HttpRequest.headers` is not valid UTF-8' },
    { what: 'bad UTF-8 in a header value', hex: '1a031201ff', fault: '`HttpRequest.headers` is not valid UTF-8' },
    { what: 'bad UTF-8 in `body`', hex: '5a01ff', fault: '`HttpRequest.body` is not valid UTF-8' },
    {
      what: 'bad UTF-8 deep in a long text',
      hex: `0a80 01${'61'.repeat(127)}ff`,
      fault: '`HttpRequest.id` is not valid UTF-8',
    },
  ])('$what', ({ hex, fault }) => {
    expect(() => http(hex)).toThrow(new WireFault(fault));
  });

  it('structs nested too deep', () => {
    const nested = (levels: number): Buffer => {
      let bytes: Buffer = Buffer.alloc(0);
      for (let level = 0; level < levels; level++) bytes = wrap(1, wrap(2, wrap(5, bytes)));
      return bytes;
    };
    expect(() => readMessage(nested(30), Struct.table)).not.toThrow();
    expect(() => readMessage(nested(60), Struct.table)).toThrow(WireFault);
  });

  it('groups nested too deep', () => {
    const nested = (levels: number): string => 'a306'.repeat(levels) + 'a406'.repeat(levels);
    expect(() => http(nested(90))).not.toThrow();
    expect(() => http(nested(100_000))).toThrow(new WireFault('`HttpRequest` has groups nested too deep'));
  });

  it('keeps an invalid byte of a bytes field', () => {
    expect(() => http('6201ff')).not.toThrow();
    expect(fieldOf(http('5a0161'), body)).toEqual(Buffer.from('a'));
  });
});

function wrap(field: number, content: Buffer): Buffer {
  const length = content.length;
  const head = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >>> 7];
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...head]), content]);
}
