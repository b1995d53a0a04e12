import { describe, expect, it } from 'vitest';
import { compileBodySchemas } from '../../../src/inspection/body-schemas.ts';
import { CatalogError } from '../../../src/inspection/catalog-error.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';
import { parseJsonBody } from '../../../src/inspection/json-body.ts';
import { isRefusal } from '../../../src/inspection/refusal.ts';
import { accessRequest, CHAT, codeOf, STRICT } from './access-requests.ts';

const CHAT_SCHEMA = {
  type: 'object',
  required: ['model', 'messages'],
  additionalProperties: false,
  properties: {
    model: { type: 'string', maxLength: 64, pattern: '^[a-z0-9-]+$' },
    stream: { type: 'boolean' },
    messages: { type: 'array', maxItems: 4, items: { $ref: '#/$defs/message' } },
    stop: { type: 'array', maxItems: 4, uniqueItems: true },
  },
  $defs: {
    message: {
      type: 'object',
      required: ['role'],
      properties: { role: { enum: ['system', 'user'] }, content: { type: ['string', 'array'] } },
    },
  },
};

function faultsOf(schema: unknown): readonly string[] {
  try {
    compileBodySchemas({ schemas: { s: schema } });
    return [];
  } catch (error) {
    if (error instanceof CatalogError) return error.faults.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
}

/** What a body comes to under a schema: nothing when it passes. */
function judge(schema: unknown, body: string): string | undefined {
  const document = parseJsonBody(Buffer.from(body), false);
  if (isRefusal(document)) throw new Error(document.cause);
  return compileBodySchemas({ schemas: { s: schema } }).get('s')?.(document)?.cause;
}

describe('compileBodySchemas', () => {
  it.each<[string, unknown, string]>([
    ['a schema that is a text', 'x', 'catalog.schemas.s is no JSON Schema'],
    [
      'a remote reference',
      { $ref: 'https://example.test/s' },
      'catalog.schemas.s.$ref names nothing in the `$defs` of the same schema',
    ],
    [
      'a reference to a file',
      { $ref: 'other.json#/x' },
      'catalog.schemas.s.$ref names nothing in the `$defs` of the same schema',
    ],
    ['a reference to itself', { $ref: '#' }, 'catalog.schemas.s.$ref names nothing in the `$defs` of the same schema'],
    ['an id', { $id: 'https://example.test/s' }, 'catalog.schemas.s.$id is no keyword that a schema here may use'],
    [
      'a format',
      { type: 'string', format: 'regex' },
      'catalog.schemas.s.format is no keyword that a schema here may use',
    ],
    [
      'patternProperties',
      { type: 'object', patternProperties: {} },
      'catalog.schemas.s.patternProperties is no keyword that a schema here may use',
    ],
    ['an unknown keyword', { propertie: {} }, 'catalog.schemas.s.propertie is no keyword that a schema here may use'],
    [
      'an unbounded pattern',
      { type: 'string', pattern: 'a' },
      'catalog.schemas.s.pattern needs a `maxLength` of at most 65536',
    ],
    [
      'a pattern with a great bound',
      { type: 'string', pattern: 'a', maxLength: 65_537 },
      'catalog.schemas.s.pattern needs a `maxLength` of at most 65536',
    ],
    [
      'a pattern of names',
      { type: 'object', propertyNames: { pattern: 'a' } },
      'catalog.schemas.s.propertyNames.pattern needs a `maxLength` of at most 65536',
    ],
    [
      'unbounded uniqueness',
      { properties: { a: { type: 'array', uniqueItems: true } } },
      'catalog.schemas.s.properties.a.uniqueItems needs a `maxItems` of at most 1000',
    ],
    [
      'uniqueness of many',
      { type: 'array', uniqueItems: true, maxItems: 1001 },
      'catalog.schemas.s.uniqueItems needs a `maxItems` of at most 1000',
    ],
    ['an object to compare with', { enum: [{}] }, 'catalog.schemas.s compares with an object or a list'],
    [
      'definitions below the top',
      { properties: { a: { $defs: {} } } },
      'catalog.schemas.s.properties.a.$defs stands below the top',
    ],
    [
      'a circle',
      { $ref: '#/$defs/a', $defs: { a: { items: { $ref: '#/$defs/b' } }, b: { anyOf: [{ $ref: '#/$defs/a' }] } } },
      'catalog.schemas.s has a `$ref` that comes back to itself',
    ],
  ])('refuses %s', (_, schema, fault) => {
    expect(faultsOf(schema)).toEqual([fault]);
  });

  it.each<[string, unknown]>([
    ['a look-ahead', { type: 'string', maxLength: 9, pattern: '(?=a)' }],
    ['a back-reference', { type: 'string', maxLength: 9, pattern: '(a)\\1' }],
    ['a wrong type name', { type: 'text' }],
    ['a required property that is not declared', { type: 'object', required: ['a'] }],
    ['`maxContains` without `contains`', { type: 'array', maxContains: 1 }],
    ['properties of no object', { type: 'string', properties: {} }],
  ])('refuses what ajv finds at fault in strict mode: %s', (_, schema) => {
    expect(faultsOf(schema)).toEqual([expect.stringMatching(/^catalog\.schemas\.s does not compile: /)]);
  });

  it('refuses references that multiply', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [
        `d${i}`,
        { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
      ]),
    );
    expect(faultsOf({ $ref: '#/$defs/d0', $defs: { ...$defs, d30: { type: 'string' } } })).toEqual([
      'catalog.schemas.s comes to more than 4096 schemas with every `$ref` written out',
    ]);
  });

  it('refuses too many, badly named and deep schemas', () => {
    const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ not: inner }), {});
    expect(faultsOf(deep)[0]).toContain('is nested more than 32 deep');
    expect(() => compileBodySchemas({ schemas: { 'a b': {} } })).toThrow(CatalogError);
    expect(() => compileBodySchemas({ schemas: [] })).toThrow(CatalogError);
    const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`s${i}`, {}]));
    expect(() => compileBodySchemas({ schemas: many })).toThrow(CatalogError);
  });

  it.each<[string, string | undefined]>([
    ['{"model":"a","messages":[{"role":"user","content":"x"}]}', undefined],
    [
      '{"model":"a","messages":[],"stop":[1,"1",[1],{"a":1,"b":2},"constructor","__proto__"]}',
      '#/properties/stop/maxItems',
    ],
    ['{"model":"a","messages":[],"stop":["constructor","__proto__","toString",1]}', undefined],
    ['{"model":"a","messages":[],"stop":["toString","toString"]}', '#/properties/stop/uniqueItems'],
    ['{"model":"a","messages":[],"stop":[{"a":1,"b":[2]},{"b":[2],"a":1.0}]}', '#/properties/stop/uniqueItems'],
    ['{"model":"a","messages":[],"stop":[{"valueOf":1},{"valueOf":2},{"constructor":1}]}', undefined],
    ['{"model":"a"}', '#/required'],
    ['{"model":"A","messages":[]}', '#/properties/model/pattern'],
    [`{"model":"${'a'.repeat(65)}","messages":[]}`, '#/properties/model/maxLength'],
    ['{"model":"a","messages":[{}]}', '#/$defs/message/required'],
    ['{"model":"a","messages":[{"role":"secret"}]}', '#/$defs/message/properties/role/enum'],
    ['{"model":"a","messages":[],"stream":"x"}', '#/properties/stream/type'],
    ['{"model":"a","messages":[],"other":1}', '#/additionalProperties'],
    ['{"model":"a","messages":[],"toString":1}', '#/additionalProperties'],
    ['[]', '#/type'],
  ])('judges %s', (body, place) => {
    expect(judge(CHAT_SCHEMA, body)).toBe(
      place === undefined ? undefined : `the JSON body breaks schema \`s\` at \`${place}\``,
    );
  });

  it('tells one pattern from another', () => {
    const text = (pattern: string) => ({ type: 'string', maxLength: 9, pattern });
    const schema = { type: 'object', properties: { a: text('^a$'), b: text('^b$') } };
    expect(judge(schema, '{"a":"a","b":"b"}')).toBeUndefined();
    expect(judge(schema, '{"a":"a","b":"a"}')).toContain('#/properties/b/pattern');
    expect(judge(schema, '{"a":"b","b":"b"}')).toContain('#/properties/a/pattern');
  });

  it('takes no inherited member for one that was sent', () => {
    const schema = {
      type: 'object',
      properties: { constructor: { type: 'number' }, toString: { type: 'number' } },
      required: ['constructor'],
    };
    expect(judge(schema, '{}')).toContain('#/required');
    expect(judge(schema, '{"constructor":1}')).toBeUndefined();
    expect(judge(schema, '{"constructor":"x"}')).toContain('#/properties/constructor/type');
  });

  it('matches a hostile pattern in linear time', () => {
    const schema = { type: 'string', maxLength: 65_536, pattern: '^(a+)+$' };
    expect(judge(schema, JSON.stringify(`${'a'.repeat(65_000)}!`))).toContain('#/pattern');
  });
});

describe('a route with a schema', () => {
  const inspector = createInspector({
    catalog: { routes: [{ ...CHAT, schema: 'chat' }], schemas: { chat: CHAT_SCHEMA } },
    network: { trusted_hops: 0 },
    compatibility: STRICT,
  });
  const ask = (body: string, parts: object = {}) =>
    accessRequest({
      method: 'POST',
      target: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body,
      complete: true,
      ...parts,
    });
  const peer = { spiffeId: 'spiffe://mesh/a', dnsSans: [] };

  it('lets through what keeps it, and refuses the rest without a word of the content', () => {
    expect(codeOf(inspector(ask('{"model":"a","messages":[]}'), undefined, peer, 'required'))).toBe('inspected');
    expect(inspector(ask('{"model":"a","messages":[],"secret-canary":1}'), undefined, peer, 'required')).toMatchObject({
      code: 'malformed_request',
      cause: 'the JSON body breaks schema `chat` at `#/additionalProperties`',
      dependsOnRoute: true,
    });
  });

  it('is never applied to the anonymous, who do not pass it', () => {
    for (const body of ['{"model":"a","messages":[]}', '{"model":"a"}']) {
      expect(codeOf(inspector(ask(body), undefined, null, 'required'))).toBe('no_credential');
    }
  });

  it('comes after the size', () => {
    const large = JSON.stringify({ model: 'a', messages: [], pad: 'x'.repeat(1_048_576) });
    expect(codeOf(inspector(ask(large), undefined, peer, 'required'))).toBe('payload_too_large');
  });

  it('must name a schema that is there, and faults of routes and schemas are told together', () => {
    const create = (catalog: unknown) => () =>
      createInspector({ catalog, network: { trusted_hops: 0 }, compatibility: STRICT });
    expect(create({ routes: [{ ...CHAT, schema: 'toString' }], schemas: {} })).toThrow(
      '`catalog.routes[0].schema` names `toString`, which `catalog.schemas` lacks',
    );
    expect(create({ routes: [{}], schemas: { s: 1 } })).toThrow(/catalog\.routes\[0\]\.name.*catalog\.schemas\.s/);
  });
});
