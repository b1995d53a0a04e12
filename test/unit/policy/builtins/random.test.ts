import { expect, test } from 'vitest';
import { RANDOM_BUILTINS } from '../../../../src/policy/builtins/random.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  [
    'uuid.parse',
    '"urn:uuid:000003e8-48b9-21ee-b200-325096b39f47"',
    '{"clocksequence":12800,"domain":"Person","id":1000,"macvariables":"local:unicast","nodeid":"32-50-96-b3-9f-47","time":1693566990121469600,"variant":"RFC4122","version":2}',
  ],
  [
    'uuid.parse',
    '"00000000-0000-1000-4000-000000000000"',
    '{"clocksequence":0,"macvariables":"global:unicast","nodeid":"00-00-00-00-00-00","time":6227451273709551616,"variant":"Reserved","version":1}',
  ],
  ['rand.intn', '"a",0', '0'],
  ['rand.intn', '"a",1.5', 'eval_type_error: operand 2 must be integer number but got floating-point number'],
  ['uuid.parse', '"{00000000-0000-4000-8000-000000000000}"', '{"variant":"RFC4122","version":4}'],
  ['uuid.parse', '"(00000000-0000-4000-8000-000000000000)"', '{"variant":"RFC4122","version":4}'],
  ['uuid.parse', '"000000000000400080000000000000"', 'undefined'],
  ['uuid.parse', '1', 'eval_type_error: operand 1 must be string but got number'],
  ['rand.intn', '"a",0', '0'],
  ['rand.intn', '"a",10', '0'],
  ['rand.intn', '1,1', 'eval_type_error: operand 1 must be string but got number'],
  ['uuid.rfc4122', '"a"', '"00000000-0000-4000-8000-000000000000"'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(RANDOM_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
