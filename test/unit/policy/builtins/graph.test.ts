import { expect, test } from 'vitest';
import { GRAPH_BUILTINS } from '../../../../src/policy/builtins/graph.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  ['graph.reachable', '{"a":["b"],"b":{"c"},"c":null},["a","z"]', '{"a","b","c"}'],
  ['graph.reachable', '{"a":[]},"a"', 'eval_type_error: operand 2 must be {array, set} but got string'],
  ['graph.reachable_paths', '{"a":["a","b"],"b":["a"],"c":[]},{"a","c"}', '{["a","a"],["a","a","b"],["a","b"],["c"]}'],
  ['graph.reachable_paths', '{"a":["b","x"],"b":null},["a"]', '{["a"],["a","b"]}'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(GRAPH_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test('paths are charged before there are too many', () => {
  const layers = Array.from(
    { length: 30 },
    (_, at) => `"a${at}":["a${at + 1}","b${at + 1}"],"b${at}":["a${at + 1}","b${at + 1}"]`,
  );
  const operands = `{${layers.join(',')}},["a0"]`;
  expect(() => callBuiltin(GRAPH_BUILTINS, 'graph.reachable_paths', operands, { steps: 100_000 })).toThrow(OutOfSteps);
  expect(() => callBuiltin(GRAPH_BUILTINS, 'graph.reachable_paths', operands)).toThrow('finds too much');
  expect(callBuiltin(GRAPH_BUILTINS, 'graph.reachable', operands, { steps: 2_000 })).toMatch(/^\{"a0","a1"/);
});
