import { expect, test } from 'vitest';
import { JSON_BUILTINS } from '../../../../src/policy/builtins/json.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  [
    'json.match_schema',
    '{"a":1.5,"b":"x","c":[1,1]},{"properties":{"a":{"type":"integer"},"b":{"enum":["y",1]},"c":{"uniqueItems":true}},"required":["z"],"additionalProperties":false}',
    '[false,[{"desc":"z is required","error":"(Root): z is required","field":"(Root)","type":"required"},{"desc":"Invalid type. Expected: integer, given: number","error":"a: Invalid type. Expected: integer, given: number","field":"a","type":"invalid_type"},{"desc":"b must be one of the following: \\"y\\", 1","error":"b: b must be one of the following: \\"y\\", 1","field":"b","type":"enum"},{"desc":"array items[0,1] must be unique","error":"c: array items[0,1] must be unique","field":"c","type":"unique"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"additionalProperties":false}',
    '[false,[{"desc":"Additional property a is not allowed","error":"(Root): Additional property a is not allowed","field":"(Root)","type":"additional_property_not_allowed"}]]',
  ],
  [
    'json.match_schema',
    '{"a":5},{"properties":{"a":{"maximum":4,"multipleOf":2,"exclusiveMinimum":5}}}',
    '[false,[{"desc":"Must be a multiple of 2","error":"a: Must be a multiple of 2","field":"a","type":"multiple_of"},{"desc":"Must be less than or equal to 4","error":"a: Must be less than or equal to 4","field":"a","type":"number_lte"},{"desc":"Must be greater than 5","error":"a: Must be greater than 5","field":"a","type":"number_gt"}]]',
  ],
  [
    'json.match_schema',
    '{"a":"x"},{"properties":{"a":{"anyOf":[{"type":"number"},{"minLength":2}]}}}',
    '[false,[{"desc":"Must validate at least one schema (anyOf)","error":"a: Must validate at least one schema (anyOf)","field":"a","type":"number_any_of"},{"desc":"String length must be greater than or equal to 2","error":"a: String length must be greater than or equal to 2","field":"a","type":"string_gte"}]]',
  ],
  [
    'json.match_schema',
    '{"a":"x"},{"properties":{"a":{"oneOf":[{"type":"string"},{"minLength":1}]}}}',
    '[false,[{"desc":"Must validate one and only one schema (oneOf)","error":"a: Must validate one and only one schema (oneOf)","field":"a","type":"number_one_of"}]]',
  ],
  [
    'json.match_schema',
    '{"a":"x"},{"properties":{"a":{"allOf":[{"type":"number"},{"minLength":1}]}}}',
    '[false,[{"desc":"Invalid type. Expected: number, given: string","error":"a: Invalid type. Expected: number, given: string","field":"a","type":"invalid_type"},{"desc":"Must validate all the schemas (allOf)","error":"a: Must validate all the schemas (allOf)","field":"a","type":"number_all_of"}]]',
  ],
  [
    'json.match_schema',
    '{"a":"x"},{"properties":{"a":{"not":{"type":"string"}}}}',
    '[false,[{"desc":"Must not validate the schema (not)","error":"a: Must not validate the schema (not)","field":"a","type":"number_not"}]]',
  ],
  [
    'json.match_schema',
    '{"a":{"a":{}}},{"properties":{"a":{"$ref":"#"}},"maxProperties":0}',
    '[false,[{"desc":"Must have at most 0 properties","error":"(Root): Must have at most 0 properties","field":"(Root)","type":"array_max_properties"},{"desc":"Must have at most 0 properties","error":"a: Must have at most 0 properties","field":"a","type":"array_max_properties"}]]',
  ],
  [
    'json.match_schema',
    '[1,"a"],{"items":[{"type":"integer"}],"additionalItems":false,"contains":{"type":"null"}}',
    '[false,[{"desc":"No additional items allowed on array","error":"(Root): No additional items allowed on array","field":"(Root)","type":"array_no_additional_items"},{"desc":"At least one of the items must match","error":"(Root): At least one of the items must match","field":"(Root)","type":"contains"},{"desc":"Invalid type. Expected: null, given: integer","error":"0: Invalid type. Expected: null, given: integer","field":"0","type":"invalid_type"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"$ref":"#/definitions/x","definitions":{"x":{"required":["b"]}}}',
    '[false,[{"desc":"b is required","error":"(Root): b is required","field":"(Root)","type":"required"}]]',
  ],
  [
    'json.match_schema',
    '{"a":"abc"},{"properties":{"a":{"pattern":"^b","format":"ipv4","maxLength":2}}}',
    '[false,[{"desc":"Does not match format \'ipv4\'","error":"a: Does not match format \'ipv4\'","field":"a","type":"format"},{"desc":"String length must be less than or equal to 2","error":"a: String length must be less than or equal to 2","field":"a","type":"string_lte"},{"desc":"Does not match pattern \'^b\'","error":"a: Does not match pattern \'^b\'","field":"a","type":"pattern"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"dependencies":{"a":["b"]},"patternProperties":{"^a":{"type":"string"}},"propertyNames":{"minLength":2}}',
    '[false,[{"desc":"Has a dependency on b","error":"(Root): Has a dependency on b","field":"(Root)","type":"missing_dependency"},{"desc":"Invalid type. Expected: string, given: integer","error":"a: Invalid type. Expected: string, given: integer","field":"a","type":"invalid_type"},{"desc":"Property name of \\"a\\" does not match","error":"(Root): Property name of \\"a\\" does not match","field":"(Root)","type":"invalid_property_name"},{"desc":"String length must be greater than or equal to 2","error":"(Root): String length must be greater than or equal to 2","field":"(Root)","type":"string_gte"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"if":{"required":["a"]},"then":{"required":["b"]},"else":false}',
    '[false,[{"desc":"Must validate \\"then\\" as \\"if\\" was valid","error":"(Root): Must validate \\"then\\" as \\"if\\" was valid","field":"(Root)","type":"condition_then"},{"desc":"b is required","error":"(Root): b is required","field":"(Root)","type":"required"}]]',
  ],
  ['json.match_schema', '{},false', 'eval_builtin_error: wrong type, expected string or object'],
  [
    'json.match_schema',
    '{},"false"',
    '[false,[{"desc":"False always fails validation","error":"(Root): False always fails validation","field":"(Root)","type":"false"}]]',
  ],
  ['json.match_schema', '"{",{}', 'eval_builtin_error: invalid JSON string'],
  [
    'json.match_schema',
    '{"a":1},{"properties":{"a":{"const":2}}}',
    '[false,[{"desc":"a does not match: 2","error":"a: a does not match: 2","field":"a","type":"const"}]]',
  ],
  [
    'json.match_schema',
    '{"a":12345678901},{"properties":{"a":{"maximum":1234567890.125}}}',
    '[false,[{"desc":"Must be less than or equal to 1.234567890125e+09","error":"a: Must be less than or equal to 1.234567890125e+09","field":"a","type":"number_lte"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"a":{"minimum":1,"exclusiveMinimum":true}}}',
    '[false,[{"desc":"Must be greater than 1","error":"a: Must be greater than 1","field":"a","type":"number_gt"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"$id":"http://x.example/s.json","properties":{"a":{"$ref":"t.json#/definitions/q"}},"definitions":{"t":{"$id":"t.json","definitions":{"q":{"type":"string"}}}}}',
    '[false,[{"desc":"Invalid type. Expected: string, given: integer","error":"a: Invalid type. Expected: string, given: integer","field":"a","type":"invalid_type"}]]',
  ],
  [
    'json.match_schema',
    '{"a":1},{"properties":{"a":{"$ref":"#foo"}},"definitions":{"t":{"$id":"#foo","type":"string"}}}',
    '[false,[{"desc":"Invalid type. Expected: string, given: integer","error":"a: Invalid type. Expected: string, given: integer","field":"a","type":"invalid_type"}]]',
  ],
  ['json.verify_schema', '{"minLength":-1}', '[false,"jsonschema: minLength must be greater than or equal to 0"]'],
  ['json.verify_schema', '{"properties":1}', '[false,"jsonschema: Properties must be of type object"]'],
  ['json.verify_schema', '{"pattern":"("}', '[false,"jsonschema: pattern must be a valid regex"]'],
  ['json.verify_schema', '{"$ref":"#/x"}', '[false,"jsonschema: Object has no key \'x\'"]'],
  [
    'json.verify_schema',
    '{"$ref":"http://127.0.0.1:1/x"}',
    '[false,"jsonschema: remote reference loading disabled: http://127.0.0.1:1/x"]',
  ],
  ['json.verify_schema', '"{"', '[false,"jsonschema: invalid JSON string"]'],
  ['json.verify_schema', '1', '[false,"jsonschema: wrong type, expected string or object"]'],
  ['json.verify_schema', '[]', '[false,"jsonschema: schema is invalid"]'],
  ['json.verify_schema', '{"type":["string","string"]}', '[false,"jsonschema: string type is duplicated"]'],
  ['json.verify_schema', '{"enum":[1,1.0]}', '[false,"jsonschema: enum items must be unique"]'],
  [
    'json.verify_schema',
    '{"items":1}',
    '[false,"jsonschema: Invalid type. Expected: Valid Schema/Array Of Schemas, given: items"]',
  ],
  [
    'json.verify_schema',
    '{"exclusiveMinimum":true}',
    '[false,"jsonschema: exclusiveMinimum cannot be used without minimum"]',
  ],
  ['json.verify_schema', '{"multipleOf":0}', '[false,"jsonschema: multipleOf must be strictly greater than 0"]'],
  ['json.verify_schema', '{"minLength":1.5}', '[false,"jsonschema: minLength must be of an integer"]'],
  ['json.verify_schema', '{"required":[1]}', '[false,"jsonschema: Invalid type. Expected: string, given: required"]'],
  [
    'json.match_schema',
    '{"a":"2020-01-01","b":"1:02:03","c":"a@b","d":"-a.b"},{"properties":{"a":{"format":"date"},"b":{"format":"time"},"c":{"format":"email"},"d":{"format":"hostname"}}}',
    '[false,[{"desc":"Does not match format \'hostname\'","error":"d: Does not match format \'hostname\'","field":"d","type":"format"}]]',
  ],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(JSON_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test.each([
  [
    'exponential alternatives',
    '{"$ref":"#/definitions/0","definitions":{'.concat(
      Array.from(
        { length: 40 },
        (_, at) => `"${at}":{"anyOf":[{"$ref":"#/definitions/${at + 1}"},{"$ref":"#/definitions/${at + 1}"}]}`,
      ).join(','),
      ',"40":{"type":"null"}}}',
    ),
  ],
  ['a long list of unique items', '{"uniqueItems":true}'],
])('%s are charged', (_title, schema) => {
  const document = `[${Array.from({ length: 20_000 }, (__, at) => at).join(',')}]`;
  expect(() => callBuiltin(JSON_BUILTINS, 'json.match_schema', `${document}, ${schema}`, { steps: 1e5 })).toThrow(
    OutOfSteps,
  );
});

test('a schema that is nothing but itself fails the evaluation', () => {
  expect(() => callBuiltin(JSON_BUILTINS, 'json.match_schema', '{}, {"$ref":"#"}')).toThrow(
    'refers to itself too deep',
  );
});

test.each([['"http://example.com/schema"'], ['"file:///etc/passwd"'], ['"other.json"']])(
  'a reference to %s is not followed',
  (reference) => {
    expect(callBuiltin(JSON_BUILTINS, 'json.verify_schema', `{"$ref":${reference}}`)).toMatch(
      /^\[false,"jsonschema: remote reference loading disabled/,
    );
  },
);

test('patterns are searched in linear time', () => {
  const operands = `"${'"'}${'a'.repeat(50_000)}${'"'}"`.replaceAll('""', '"');
  const schema = '{"pattern":"^(a+)+$b"}';
  expect(callBuiltin(JSON_BUILTINS, 'json.match_schema', `[${operands}], {"items":${schema}}`)).toMatch(/^\[false/);
});

test('numbers are judged by all their digits', () => {
  const schema = '{"items":{"maximum":9007199254740993,"multipleOf":0.1}}';
  expect(callBuiltin(JSON_BUILTINS, 'json.match_schema', `[9007199254740993, 0.3], ${schema}`)).toBe('[true,[]]');
  expect(callBuiltin(JSON_BUILTINS, 'json.match_schema', `[9007199254740994], ${schema}`)).toMatch(/^\[false/);
});
