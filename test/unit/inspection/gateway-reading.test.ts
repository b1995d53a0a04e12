import { describe, expect, it } from 'vitest';
import type { JsonValue } from '../../../src/decision/json.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { CHAT, codeOf, inspect, type RequestParts } from './access-requests.ts';

const HEADERS = [['content-type', 'application/json']] as const;
const ROUTE = { ...CHAT, body: 'metadata', upstream_keys: 'case_sensitive' };
const TYPE = 'type.googleapis.com/envoy.data.ai.v3.RequestInfo';
const STRUCT = 'type.googleapis.com/google.protobuf.Struct';

const text = (number: number, value: string): number[] => bytes(number, Buffer.from(value));
const bytes = (number: number, value: Iterable<number>): number[] => [number * 8 + 2, [...value].length, ...value];
const wrapped = (number: number, ...value: number[]): number[] => bytes(number, value);

/** llama-3-8b, stream, 100 tokens, 2 messages, an estimate of 300. */
const WHOLE = [
  8,
  1,
  ...text(2, 'llama-3-8b'),
  ...wrapped(3, 8, 1),
  ...wrapped(4, 8, 100),
  ...wrapped(5, 8, 2),
  ...wrapped(6, 8, 1),
  ...wrapped(7, 8, 0xac, 2),
];

function typed(value: readonly number[], typeUrl: string = TYPE): JsonValue {
  return {
    typedFilterMetadata: { 'envoy.ai.request_info': { typeUrl, value: Buffer.from(value).toString('base64') } },
  };
}

function plain(fields: JsonValue): JsonValue {
  return { filterMetadata: { 'envoy.ai.request_info': fields } };
}

function ask(metadataContext: JsonValue | undefined, parts: RequestParts = {}, route: object = ROUTE) {
  return inspect(
    {
      method: 'POST',
      target: '/v1/chat/completions',
      headers: HEADERS,
      declaredLength: 400,
      attributes: () => (metadataContext === undefined ? {} : { metadataContext }),
      ...parts,
    },
    { routes: [route] },
  );
}

const body = (text: string): RequestParts => ({ body: text, complete: true, declaredLength: Buffer.byteLength(text) });

describe('what the gateway says that it read of a body', () => {
  it('is read where no body is sent', () => {
    const result = ask(typed(WHOLE));
    if (result.kind === 'refused') throw new Error(result.cause);
    expect(result).toMatchObject({
      size: { known: true, bytes: 400 },
      route: { model: 'llama-3-8b' },
      inference: {
        model: 'llama-3-8b',
        stream: true,
        max_tokens: 100,
        message_count: 2,
        estimated_prompt_tokens: 300,
      },
    });
  });

  it.each<[string, JsonValue, object]>([
    ['zeroes', typed([...text(2, 'm'), ...wrapped(3), ...wrapped(4)]), { model: 'm', stream: false, max_tokens: 0 }],
    [
      'unknown fields',
      typed([...text(2, 'm'), ...text(12, 'x'), 0x4d, 1, 2, 3, 4, 0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x70, 1]),
      { model: 'm' },
    ],
    [
      'a Struct',
      plain({ model: 'm', stream: false, max_output_tokens: 7, other: [1] }),
      { model: 'm', stream: false, max_tokens: 7 },
    ],
    ['both alike', { ...(typed(text(2, 'm')) as object), ...(plain({ model: 'm' }) as object) }, { model: 'm' }],
    ['an Any of a Struct', typed(bytes(1, [...text(1, 'model'), ...bytes(2, text(3, 'm'))]), STRUCT), { model: 'm' }],
    [
      'numbers in an Any of a Struct',
      typed(
        [
          ...bytes(1, [...text(1, 'model'), ...bytes(2, text(3, 'm'))]),
          ...bytes(1, [...text(1, 'max_output_tokens'), ...bytes(2, [17, 0, 0, 0, 0, 0, 0, 0x1c, 0x40])]),
          ...bytes(1, [...text(1, 'stream'), ...bytes(2, [32, 1])]),
        ],
        STRUCT,
      ),
      { model: 'm', max_tokens: 7, stream: true },
    ],
  ])('is understood with %s', (_, metadata, wanted) => {
    const result = ask(metadata);
    if (result.kind === 'refused') throw new Error(result.cause);
    expect(result.inference).toEqual(wanted);
  });

  it.each<[string, JsonValue]>([
    ['no model', typed(wrapped(3, 8, 1))],
    ['another type', typed(WHOLE, 'type.googleapis.com/envoy.data.ai.v3.TokenUsage')],
    ['a type of another host', typed(WHOLE, TYPE.replace('googleapis', 'example'))],
    ['half of its bytes', typed(WHOLE.slice(0, 20))],
    ['a field twice', typed([...text(2, 'cheap'), ...text(2, 'dear')])],
    ['a field of another wire type', typed([16, 1])],
    ['a group', typed([...text(2, 'm'), 11, 12])],
    ['bytes that are no UTF-8', typed(bytes(2, [0xff]))],
    ['a model with a line break', typed(text(2, 'm\n'))],
    ['an integer beyond 2^53', typed([...text(2, 'm'), ...wrapped(4, 8, ...Array(9).fill(0xff), 1)])],
    ['a varint that never ends', typed([...text(2, 'm'), ...Array(40).fill(0x80)])],
    ['a Struct of the wrong types', plain({ model: 'm', stream: 'true' })],
    ['a Struct with a fraction', plain({ model: 'm', max_output_tokens: 1.5 })],
    ['a text in its place', plain('model')],
    ['a list as model', plain({ model: ['m'] })],
    ['two accounts that differ', { ...(typed(text(2, 'm')) as object), ...(plain({ model: 'n' }) as object) }],
    ['no text as value', { typedFilterMetadata: { 'envoy.ai.request_info': { typeUrl: TYPE, value: 7 } } }],
  ])('is refused with %s', (_, metadata) => {
    expect(codeOf(ask(metadata))).toBe('malformed_request');
  });

  it('is not enough where the route does not say that its upstream reads keys case-sensitively', () => {
    for (const route of [{ ...ROUTE, upstream_keys: 'any_case' }, { ...CHAT, body: 'metadata' }, CHAT]) {
      expect(codeOf(ask(typed(WHOLE), {}, route))).toBe('payload_size_unknown');
    }
    expect(codeOf(ask(undefined))).toBe('payload_size_unknown');
    expect(codeOf(ask({ typedFilterMetadata: { other: { typeUrl: TYPE, value: '' } } }))).toBe('payload_size_unknown');
  });

  it('needs the label of a JSON body all the same', () => {
    expect(codeOf(ask(typed(WHOLE), { headers: [] }))).toBe('malformed_request');
    expect(codeOf(ask(typed(WHOLE), { headers: [...HEADERS, ['content-encoding', 'gzip']] }))).toBe(
      'malformed_request',
    );
  });

  it.each<[string, JsonValue | undefined, string, string]>([
    ['the body alone', undefined, '{"model":"m","stream":true}', 'inspected'],
    ['both alike', typed([...text(2, 'm'), ...wrapped(3, 8, 1)]), '{"model":"m","stream":true}', 'inspected'],
    ['a gateway that left out a limit', typed(text(2, 'm')), '{"model":"m","max_tokens":3}', 'inspected'],
    ['another model', typed(text(2, 'cheap')), '{"model":"dear"}', 'malformed_request'],
    ['no model at the gateway', typed([]), '{"model":"dear"}', 'malformed_request'],
    [
      'another stream',
      typed([...text(2, 'm'), ...wrapped(3, 8, 1)]),
      '{"model":"m","stream":false}',
      'malformed_request',
    ],
    [
      'a limit that only the gateway read',
      typed([...text(2, 'm'), ...wrapped(4, 8, 7)]),
      '{"model":"m"}',
      'malformed_request',
    ],
    ['garbage of the gateway', typed([255]), '{"model":"m"}', 'malformed_request'],
  ])('must agree with a body that is there: %s', (_, metadata, sent, wanted) => {
    for (const route of [ROUTE, { ...CHAT, body: 'metadata' }, CHAT]) {
      expect(codeOf(ask(metadata, body(sent), route))).toBe(wanted);
    }
  });

  it('never passes damaged bytes that say another model', () => {
    const random = createRandom(seedOf('request info'));
    const count = caseCount(20_000);
    for (let i = 0; i < count; i++) {
      const damaged = [...WHOLE];
      for (let hits = 1 + random.below(3); hits > 0; hits--) damaged[random.below(damaged.length)] = random.below(256);
      const result = ask(typed(damaged), body('{"model":"llama-3-8b","stream":true,"max_tokens":100}'));
      if (result.kind === 'inspected') expect(result.inference?.model).toBe('llama-3-8b');
      else expect(result.code).toBe('malformed_request');
    }
  });
});
