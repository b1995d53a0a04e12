import { expect, test } from 'vitest';
import { ENCODING_BUILTINS } from '../../../../src/policy/builtins/encoding.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  ['base64.decode', '"aGk="', '"hi"'],
  ['base64.decode', '"aGk"', 'eval_builtin_error: illegal base64 data at input byte 0'],
  ['base64.is_valid', '"aG\\nk="', 'true'],
  ['base64url.decode', '"aGk"', '"hi"'],
  ['base64url.encode', '"??>"', '"Pz8-"'],
  ['base64url.encode_no_pad', '"??>"', '"Pz8-"'],
  ['hex.decode', '"6g"', "eval_builtin_error: encoding/hex: invalid byte: U+0067 'g'"],
  ['hex.decode', '"616"', 'eval_builtin_error: encoding/hex: odd length hex string'],
  ['hex.encode', '"é"', '"c3a9"'],
  ['urlquery.encode', '"a b!\'()*~é"', '"a+b%21%27%28%29%2A~%C3%A9"'],
  ['urlquery.decode', '"a+b%20%C3%A9"', '"a b é"'],
  ['urlquery.decode', '"%zz"', 'eval_builtin_error: invalid URL escape "%zz"'],
  ['urlquery.encode_object', '{"a":"b c","z":["1","2"],"y":{"q","p"},1:"x"}', '"1=x&a=b+c&y=p&y=q&z=1&z=2"'],
  [
    'urlquery.encode_object',
    '{"a":1}',
    'eval_type_error: operand 1 values must be string, array[string], or set[string]',
  ],
  ['urlquery.decode_object', '"a=1&b=2&a=3&c&=x"', '{"":["x"],"a":["1","3"],"b":["2"],"c":[""]}'],
  ['urlquery.decode_object', '"a;b"', 'eval_builtin_error: invalid semicolon separator in query'],
  ['base64.encode', '"é"', '"w6k="'],
  ['base64.decode', '1', 'eval_type_error: operand 1 must be string but got number'],
  ['base64url.decode', '"a"', 'eval_builtin_error: illegal base64url string: a'],
  ['hex.decode', '"c3a9"', '"é"'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(ENCODING_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
