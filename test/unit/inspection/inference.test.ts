import { describe, expect, it } from 'vitest';
import { CHAT, codeOf, inspect, type RequestParts } from './access-requests.ts';

const JSON_TYPE = ['content-type', 'application/json'] as const;
const target = '/v1/chat/completions';

function chat(body: string, parts: RequestParts = {}) {
  return inspect({ method: 'POST', target, headers: [JSON_TYPE], body, complete: true, ...parts });
}

/** A valid request's members with others in their place or beside them. */
const withField = (field: string) => `{"model":"llama-3-8b",${field}}`;

describe('the typed fields of an inference request', () => {
  it('are read, and the model becomes the route’s', () => {
    const body = JSON.stringify({
      model: 'llama-3-8b',
      stream: true,
      max_tokens: 100,
      n: 2,
      messages: [
        { role: 'system', content: 'abcd' },
        { role: 'user', content: [{ type: 'text', text: 'efgh' }] },
      ],
    });
    expect(chat(body)).toMatchObject({
      kind: 'inspected',
      contentType: 'application/json',
      route: { name: 'chat', model: 'llama-3-8b', operation: 'chat', requiredLimits: ['tokens'] },
      inference: {
        model: 'llama-3-8b',
        stream: true,
        max_tokens: 100,
        candidates: 2,
        message_count: 2,
        estimated_prompt_tokens: Math.ceil('systemabcdusertextefgh'.length / 4),
      },
    });
  });

  it.each<[string, object]>([
    [withField('"stream":false'), { stream: false }],
    [withField('"max_tokens":null,"stream":null,"n":null,"max_completion_tokens":null'), {}],
    [withField('"max_completion_tokens":7'), { max_tokens: 7 }],
    [withField('"max_completion_tokens":7,"max_tokens":7'), { max_tokens: 7 }],
    [withField('"max_completion_tokens":7,"max_tokens":null'), { max_tokens: 7 }],
    [withField('"max_tokens":0'), { max_tokens: 0 }],
    [withField('"max_tokens":9007199254740991'), { max_tokens: 9007199254740991 }],
    [withField('"prompt":"12345"'), { estimated_prompt_tokens: 2 }],
    [withField('"prompt":[1,2,[3]]'), { estimated_prompt_tokens: 3 }],
    [withField('"prompt":["1234","5678"]'), { estimated_prompt_tokens: 2 }],
    [withField('"input":"1234","system":"1234"'), { estimated_prompt_tokens: 2 }],
    [withField('"messages":[]'), { message_count: 0, estimated_prompt_tokens: 0 }],
    [withField('"messages":[{"Model":"x","a":[1]},{}]'), { message_count: 2, estimated_prompt_tokens: 2 }],
    [withField('"constructor":{"prototype":1},"x__proto__":1,"__proto_":"__proto__"'), {}],
    [withField('"Temperature":1,"top_P":2'), {}],
    ['{"mod\\u0065l":"llama-3-8b"}', {}],
  ])('accepts %s', (body, wanted) => {
    const result = chat(body);
    if (result.kind === 'refused') throw new Error(result.cause);
    expect(result.inference).toEqual({ model: 'llama-3-8b', ...wanted });
  });

  it.each([
    ['no object', '[]'],
    ['a text', '"llama-3-8b"'],
    ['nothing', ''],
    ['no model', '{}'],
    ['a null model', '{"model":null}'],
    ['a listed model', '{"model":["x"]}'],
    ['a numeric model', '{"model":1}'],
    ['an empty model', '{"model":""}'],
    ['a model with a space', '{"model":"llama 3"}'],
    ['a model with a line break', '{"model":"llama\\n"}'],
    ['a model with a NUL', '{"model":"llama\\u0000"}'],
    ['a model with a lone surrogate', '{"model":"llama\\ud800"}'],
    ['a model in other letters', '{"model":"llаma"}'],
    ['a long model', `{"model":"${'a'.repeat(257)}"}`],
    ['a twin model', '{"model":"cheap","model":"dear"}'],
    ['an escaped twin model', '{"model":"cheap","\\u006dodel":"dear"}'],
    ['a model in capitals', '{"model":"cheap","Model":"dear"}'],
    ['only a model in capitals', '{"MODEL":"dear"}'],
    ['a Kelvin sign', withField('"max_to\\u212aens":1')],
    ['a long s', withField('"me\\u017f\\u017fages":[]')],
    ['a stream in another case', withField('"sTream":true')],
    ['N', withField('"N":5')],
    ['a maximum in camel case', withField('"maxTokens":5')],
    ['a maximum with hyphens', withField('"max-completion-tokens":5')],
    ['two other keys that differ in case only', withField('"top_p":1,"Top_P":2')],
    ['two keys in capitals and mixed case', withField('"TOP_P":1,"Top_P":2')],
    ['a prototype', withField('"__proto__":{"model":"dear"}')],
    ['an escaped prototype', withField('"\\u005f_proto\\u005F_":1')],
    ['a prototype deep inside', withField('"messages":[{"x":[{"__proto__":1}]}]')],
    ['stream as text', withField('"stream":"true"')],
    ['stream as number', withField('"stream":1')],
    ['max_tokens as text', withField('"max_tokens":"100"')],
    ['max_tokens as list', withField('"max_tokens":[100]')],
    ['max_tokens as object', withField('"max_tokens":{}')],
    ['max_tokens as boolean', withField('"max_tokens":true')],
    ['negative max_tokens', withField('"max_tokens":-1')],
    ['negative zero', withField('"max_tokens":-0')],
    ['fractional max_tokens', withField('"max_tokens":1.5')],
    ['max_tokens with a point', withField('"max_tokens":1.0')],
    ['max_tokens with an exponent', withField('"max_tokens":1e2')],
    ['max_tokens beyond 2^53', withField('"max_tokens":9007199254740992')],
    ['endless max_tokens', withField(`"max_tokens":${'9'.repeat(400)}`)],
    ['max_completion_tokens as text', withField('"max_completion_tokens":"1"')],
    ['two maxima that differ', withField('"max_tokens":1,"max_completion_tokens":9')],
    ['no candidates', withField('"n":0')],
    ['n as text', withField('"n":"1"')],
    ['messages as object', withField('"messages":{}')],
    ['messages as null', withField('"messages":null')],
    ['messages as text', withField('"messages":"x"')],
    ['prompt as number', withField('"prompt":1')],
    ['prompt as object', withField('"prompt":{"a":"b"}')],
    ['a second document', '{"model":"cheap"}{"model":"dear"}'],
    ['a byte order mark', '\ufeff{"model":"cheap"}'],
    ['a deep body', withField(`"x":${'['.repeat(60_000)}`)],
  ])('refuses %s', (_, body) => {
    expect(chat(body)).toMatchObject({
      kind: 'refused',
      code: 'malformed_request',
      dependsOnRoute: true,
      route: 'chat',
    });
  });

  it.each<[string, readonly (readonly [string, string])[], string]>([
    ['plain', [JSON_TYPE], 'inspected'],
    ['in capitals', [['content-type', 'Application/JSON']], 'inspected'],
    ['with its charset', [['content-type', 'application/json; charset=utf-8']], 'inspected'],
    ['with a quoted charset', [['content-type', 'application/json;charset="UTF-8"']], 'inspected'],
    ['with a trailing semicolon', [['content-type', 'application/json;']], 'inspected'],
    ['absent', [], 'malformed_request'],
    ['empty', [['content-type', '']], 'malformed_request'],
    ['another', [['content-type', 'text/plain']], 'malformed_request'],
    ['a longer one', [['content-type', 'application/jsonx']], 'malformed_request'],
    ['hidden in a parameter', [['content-type', 'text/plain; x=application/json']], 'malformed_request'],
    ['of another charset', [['content-type', 'application/json; charset=utf-16']], 'malformed_request'],
    ['with two charsets', [['content-type', 'application/json; charset=utf-8; charset=utf-16']], 'malformed_request'],
    ['with another parameter', [['content-type', 'application/json; x=y']], 'malformed_request'],
    ['joined', [['content-type', 'application/json,text/plain']], 'malformed_request'],
    ['repeated', [JSON_TYPE, JSON_TYPE], 'malformed_request'],
    ['compressed', [JSON_TYPE, ['content-encoding', 'gzip']], 'malformed_request'],
    ['of the identity encoding', [JSON_TYPE, ['content-encoding', 'identity']], 'malformed_request'],
  ])('takes the content type %s', (_, headers, wanted) => {
    expect(codeOf(chat('{"model":"x"}', { headers }))).toBe(wanted);
  });

  it.each<[string, RequestParts]>([
    ['partial', { complete: false }],
    ['partial with a declared length', { complete: false, declaredLength: 100 }],
    ['not forwarded', { body: '', declaredLength: 13 }],
  ])('refuses a body that is %s', (_, parts) => {
    const { complete, ...rest } = { complete: undefined, ...parts };
    const routes = [{ ...CHAT, max_bytes: undefined }, CHAT].map(({ max_bytes, ...route }, index) =>
      index === 0 ? route : { ...route, name: 'limited', path: '/limited', max_bytes },
    );
    for (const path of [target, '/limited']) {
      const request = { method: 'POST', target: path, headers: [JSON_TYPE], body: '{"model":"x"}', ...rest };
      const result = inspect(complete === undefined ? request : { ...request, complete }, { routes });
      expect(codeOf(result)).toBe('payload_size_unknown');
    }
  });

  it('refuses a path and a body that name different models', () => {
    const routes = [{ name: 'r', path: '/m/{model}', methods: ['POST'], body: 'json' }];
    const ask = (body: string) =>
      codeOf(inspect({ method: 'POST', target: '/m/cheap', headers: [JSON_TYPE], body, complete: true }, { routes }));
    expect(ask('{"model":"dear"}')).toBe('malformed_request');
    expect(ask('{"model":"cheap"}')).toBe('inspected');
    expect(ask('{}')).toBe('inspected');
  });

  it('lets the last twin win where the switch is on', () => {
    const request = {
      method: 'POST',
      target,
      headers: [JSON_TYPE],
      body: '{"model":"cheap","model":"dear"}',
      complete: true,
    };
    expect(inspect(request, { compatibility: { duplicate_keys: true } })).toMatchObject({
      inference: { model: 'dear' },
    });
  });
});
