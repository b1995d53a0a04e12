import { expect, test } from 'vitest';
import { JSON_BUILTINS } from '../../../../src/policy/builtins/json.ts';
import type { Value } from '../../../../src/policy/values/value.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  ['json.filter', '{"a":{"b":1,"c":2},"d":[1,2,3]},["a/b","d/1"]', '{"a":{"b":1},"d":[2]}'],
  ['json.filter', '{"a":{"b":1}},["/a/b/c"]', '{"a":{"b":1}}'],
  ['json.filter', '{"a":1},[""]', '{}'],
  ['json.filter', '{"a~b":1,"c/d":2},["a~0b","c~1d"]', '{"a~b":1,"c/d":2}'],
  ['json.remove', '{"a":[1,2,3],"b":{1,2}},["a/0","a/2",["b",1]]', '{"a":[2],"b":{2}}'],
  ['json.remove', '{"a":1},["/"]', '{"a":1}'],
  ['json.remove', '{"":1},["/"]', '{}'],
  ['json.patch', '{"a":[1,2]},[{"op":"add","path":"/a/-","value":3}]', '{"a":[1,2,3]}'],
  ['json.patch', '[1,2,3],[{"op":"remove","path":"/1"},{"op":"add","path":"/0","value":9}]', '[9,1,3]'],
  [
    'json.patch',
    '{"a":{"b":1}},[{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/d","value":2},{"op":"move","from":"/a/b","path":"/e"}]',
    '{"a":{},"c":{"b":1,"d":2},"e":1}',
  ],
  [
    'json.patch',
    '{"__proto__":1},[{"op":"replace","path":"/__proto__","value":2},{"op":"add","path":"/constructor","value":3}]',
    '{"__proto__":2,"constructor":3}',
  ],
  [
    'json.patch',
    '{"a":1},[{"op":"test","path":"/a","value":2}]',
    'eval_builtin_error: value from EditTree != patch value',
  ],
  [
    'json.patch',
    '{"a":[[1],[2]]},[{"op":"add","path":"/a/0/-","value":5},{"op":"add","path":"/a/1/0","value":6}]',
    '{"a":[[1,5],[6,2]]}',
  ],
  ['json.patch', '[1],[{"op":"add","path":"/1.0","value":5}]', '[1,5]'],
  ['json.patch', '[1],[{"op":"add","path":[1],"value":5}]', '[1,5]'],
  [
    'json.patch',
    '[1],[{"op":"add","path":"/01","value":5}]',
    'eval_builtin_error: leading zeros are not allowed in JSON paths',
  ],
  ['json.patch', '{1:2},[{"op":"remove","path":[1]}]', '{}'],
  [
    'json.marshal',
    '{"b":"<>&\\u2028",1:2,true:3,[1]:4,{"x"}:5}',
    '"{\\"1\\":2,\\"[\\\\\\"x\\\\\\"]\\":5,\\"[1]\\":4,\\"b\\":\\"\\\\u003c\\\\u003e\\\\u0026\\\\u2028\\",\\"true\\":3}"',
  ],
  ['json.marshal', '{1:"a","1":"b"}', '"{\\"1\\":\\"b\\"}"'],
  ['json.marshal', '[1.0,1e3,12345678901234567890,0.1]', '"[1.0,1e3,12345678901234567890,0.1]"'],
  ['json.marshal', '"\\u0000\\b\\f\\u007f\\\\"', '"\\"\\\\u0000\\\\b\\\\f\\\\\\\\\\""'],
  ['json.marshal', '{3,1,2}', '"[1,2,3]"'],
  [
    'json.marshal_with_options',
    '{"a":[],"b":{},"c":[1]},{"indent":" "}',
    '"{\\n \\"a\\": [],\\n \\"b\\": {},\\n \\"c\\": [\\n  1\\n ]\\n}"',
  ],
  ['json.marshal_with_options', '1,{"pretty":1}', 'eval_type_error: operand 2 key "pretty" failed cast to bool'],
  [
    'json.marshal_with_options',
    '1,{"indent":1}',
    'eval_type_error: operand 2 key "indent" failed cast to string: operand 0 must be string but got number',
  ],
  [
    'json.marshal_with_options',
    '1,{1:1}',
    'eval_type_error: operand 2 failed to stringify key 1 at index 0: operand 0 must be string but got number',
  ],
  ['json.unmarshal', '"[1.0,1e3,\\"\\\\ud800\\"]"', '[1.0,1e3,"�"]'],
  ['json.unmarshal', '"{\\"a\\":1,\\"a\\":2}"', '{"a":2}'],
  ['json.unmarshal', '"1 2"', 'eval_builtin_error: the text is not one JSON document within the limits'],
  ['json.is_valid', '"1 2"', 'false'],
  ['json.is_valid', '"1e99999999"', 'true'],
  ['json.remove', '[1],["a"]', 'eval_type_error: operand 1 must be object but got array'],
  ['json.remove', '{"a":1},"a"', 'eval_type_error: operand 2 must be one of {set, array} but got string'],
  [
    'json.remove',
    '{"a":1},[{"a":1}]',
    'eval_type_error: operand 2 must be one of {set, array} containing string paths or array of path segments but got object',
  ],
  ['json.filter', '{"__proto__":{"a":1,"b":2},"constructor":1},["__proto__/a"]', '{"__proto__":{"a":1}}'],
  ['json.patch', '{"a":1},1', 'eval_type_error: operand 2 must be array but got number'],
  [
    'json.patch',
    '{"a":1},[1]',
    'eval_builtin_error: must be an array of JSON-Patch objects, but at least one element is not an object',
  ],
  ['json.patch', '{"a":1},[{"op":"add"}]', "eval_builtin_error: missing required attribute 'path'"],
  ['json.patch', '{"a":1},[{"path":"/a"}]', "eval_builtin_error: missing required attribute 'op'"],
  ['json.patch', '{"a":1},[{"op":1,"path":"/a"}]', "eval_builtin_error: attribute 'op' must be a string"],
  ['json.patch', '{"a":1},[{"op":"swap","path":"/a"}]', "eval_builtin_error: unrecognized op: 'swap'"],
  ['json.patch', '{"a":{1,2}},[{"op":"remove","path":["a",1]},{"op":"add","path":["a",5],"value":5}]', '{"a":{2,5}}'],
  ['json.patch', '{[1]},[{"op":"add","path":[[1],1],"value":2}]', '{[1,2]}'],
  [
    'json.patch',
    '{"a":{"x":1}},[{"op":"copy","from":"/a","path":"/b"},{"op":"replace","path":"/a/x","value":2}]',
    '{"a":{"x":2},"b":{"x":1}}',
  ],
  ['json.is_valid', '"[1,]"', 'false'],
  ['json.is_valid', '1', 'false'],
  ['json.unmarshal', '"{\\"__proto__\\":{\\"a\\":1}}"', '{"__proto__":{"a":1}}'],
  ['json.unmarshal', '"01"', 'eval_builtin_error: the text is not one JSON document within the limits'],
  ['json.unmarshal', '"1e40000"', 'eval_builtin_error: the text is not one JSON document within the limits'],
  ['json.unmarshal', '1', 'eval_type_error: operand 1 must be string but got number'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(JSON_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test('patches of a large array copy it once', () => {
  const items = Array.from({ length: 5_000 }, () => '0').join(',');
  const patches = Array.from({ length: 1_000 }, () => '{"op":"replace","path":"/2500","value":1}').join(',');
  const patched = callBuiltin(JSON_BUILTINS, 'json.patch', `[${items}],[${patches}]`, { steps: 400_000 });
  expect(patched).toMatch(/^\[0,/);
});

test('patches that copy again and again are charged', () => {
  const items = Array.from({ length: 5_000 }, () => '0').join(',');
  const copy = '{"op":"copy","from":"/0","path":"/1"}';
  const patches = Array.from({ length: 1_000 }, () => copy).join(',');
  expect(() => callBuiltin(JSON_BUILTINS, 'json.patch', `[${items}],[${patches}]`, { steps: 1e6 })).toThrow(OutOfSteps);
});

test('what is written is charged, shared parts each time', () => {
  let value: readonly unknown[] = ['x'];
  for (let depth = 0; depth < 40; depth++) value = [value, value];
  let left = 1e5;
  const charge = (steps: number) => {
    left -= steps;
    if (left < 0) throw new OutOfSteps();
  };
  const context = { at: { epochMs: 0, monotonicMs: 0 }, strict: false, randomFor: () => new Uint8Array(32), charge };
  // Lists of texts are values.
  const marshal = () => JSON_BUILTINS.get('json.marshal')?.(context, value as Value, null, null, null);
  expect(marshal).toThrow(OutOfSteps);
});
