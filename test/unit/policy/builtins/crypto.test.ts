import { expect, test } from 'vitest';
import { CRYPTO_BUILTINS } from '../../../../src/policy/builtins/crypto.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const call = (name: string, args: string, strict = false): string =>
  callBuiltin(CRYPTO_BUILTINS, name, args, { strict });

test.each([
  ['crypto.md5', '""', 'd41d8cd98f00b204e9800998ecf8427e'],
  ['crypto.sha1', '"abc"', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  ['crypto.sha256', '"abc"', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['crypto.sha256', '"é"', '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c'],
  // RFC 2202 and RFC 4231, second cases.
  ['crypto.hmac.md5', '"what do ya want for nothing?", "Jefe"', '750c783e6ab0b503eaa86e310a5db738'],
  ['crypto.hmac.sha1', '"what do ya want for nothing?", "Jefe"', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  [
    'crypto.hmac.sha256',
    '"what do ya want for nothing?", "Jefe"',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    'crypto.hmac.sha512',
    '"what do ya want for nothing?", "Jefe"',
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
  ],
])('%s(%s)', (name, args, expected) => {
  expect(call(name, args)).toBe(JSON.stringify(expected));
});

test.each([
  ['"ab", "ab"', 'true'],
  ['"ab", "aB"', 'false'],
  ['"ab", "abc"', 'false'],
  ['"", ""', 'true'],
])('crypto.hmac.equal(%s) is %s', (args, expected) => {
  expect(call('crypto.hmac.equal', args)).toBe(expected);
});

test('operands are texts, and long ones are charged', () => {
  expect(call('crypto.sha256', '1', true)).toBe('eval_type_error: operand 1 must be string but got number');
  expect(call('crypto.hmac.sha256', '"a", null', true)).toBe('eval_type_error: operand 2 must be string but got null');
  const long = JSON.stringify('a'.repeat(100_000));
  expect(() => callBuiltin(CRYPTO_BUILTINS, 'crypto.sha256', long, { steps: 20_000 })).toThrow(OutOfSteps);
});
