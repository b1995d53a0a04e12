import { describe, expect, test } from 'vitest';
import { NET_BUILTINS } from '../../../../src/policy/builtins/net.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const call = (name: string, args: string, strict = false): string => callBuiltin(NET_BUILTINS, name, args, { strict });

describe('net.cidr_contains', () => {
  test.each([
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['255.255.255.255/32', '255.255.255.255', true],
    ['128.0.0.0/1', '127.255.255.255', false],
    ['10.0.0.0/8', '10.1.2.0/24', true],
    ['10.1.2.0/24', '10.0.0.0/8', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::/0', '1.2.3.4', false],
    ['0.0.0.0/0', '::1', false],
    ['::/80', '::/80', true],
    ['::/80', '::/79', false],
    ['2001:db8::/32', '2001:db8:1::', true],
    ['10.0.0.0/008', '10.1.2.3/0000000000032', true],
  ])('%s has %s: %s', (network, candidate, expected) => {
    for (const name of ['net.cidr_contains', 'net.cidr_overlap']) {
      expect(call(name, `"${network}", "${candidate}"`)).toBe(String(expected));
      // The second time the network is known.
      expect(call(name, `"${network}", "${candidate}"`)).toBe(String(expected));
    }
  });

  test.each([
    ['"not", "10.1.2.3"', 'eval_builtin_error: invalid CIDR address: not'],
    ['"10.0.0.0", "10.1.2.3"', 'eval_builtin_error: invalid CIDR address: 10.0.0.0'],
    ['"10.0.0.0/33", "10.1.2.3"', 'eval_builtin_error: invalid CIDR address: 10.0.0.0/33'],
    [
      '"10.0.0.0/8", "010.1.2.3"',
      'eval_builtin_error: not a valid textual representation of an IP address or CIDR: 010.1.2.3',
    ],
    [
      '"::/0", "fe80::1%eth0"',
      'eval_builtin_error: not a valid textual representation of an IP address or CIDR: fe80::1%eth0',
    ],
    ['1, "10.1.2.3"', 'eval_type_error: operand 1 must be string but got number'],
    ['"10.0.0.0/8", null', 'eval_type_error: operand 1 must be string but got null'],
  ])('fails with %s', (args, message) => {
    expect(call('net.cidr_contains', args, true)).toBe(message);
    expect(call('net.cidr_contains', args)).toBe('undefined');
  });
});

describe('the other networks', () => {
  test.each([
    ['net.cidr_intersects', '"10.0.0.0/8", "10.128.0.0/9"', 'true'],
    ['net.cidr_intersects', '"10.0.0.0/9", "10.128.0.0/9"', 'false'],
    ['net.cidr_intersects', '"::/0", "10.128.0.0/9"', 'false'],
    ['net.cidr_is_valid', '"10.0.0.0/8"', 'true'],
    ['net.cidr_is_valid', '"10.0.0.0"', 'false'],
    ['net.cidr_is_valid', '{}', 'false'],
    ['net.cidr_contains_matches', '"1.1.1.0/24", "1.1.1.1"', '{["1.1.1.0/24","1.1.1.1"]}'],
    ['net.cidr_contains_matches', '["1.1.2.0/24", ["1.1.1.0/24", 1]], {"a": "1.1.1.1"}', '{[1,"a"]}'],
    ['net.cidr_contains_matches', '{["1.1.1.0/24", "x"]}, ["1.1.1.1"]', '{[["1.1.1.0/24","x"],0]}'],
    ['net.cidr_contains_matches', '["nonsense"], []', 'set()'],
    ['net.cidr_contains_matches', 'null, "1.1.1.1"', 'set()'],
    ['net.cidr_expand', '"192.168.1.1/30"', '{"192.168.1.0","192.168.1.1","192.168.1.2","192.168.1.3"}'],
    ['net.cidr_expand', '"255.255.255.255/32"', '{"255.255.255.255"}'],
    ['net.cidr_expand', '"::ffff:1.2.3.4/127"', '{"1.2.3.4","1.2.3.5"}'],
    ['net.cidr_expand', '"2001:db8::/127"', '{"2001:db8::","2001:db8::1"}'],
    ['net.cidr_merge', '["192.0.2.112/30", "192.0.2.116/31", "192.0.2.118/31"]', '{"192.0.2.112/29"}'],
    [
      'net.cidr_merge',
      '["10.0.0.0/8", "11.0.0.0/8", "2001:db8::/33", "2001:db8:8000::/33"]',
      '{"10.0.0.0/7","2001:db8::/32"}',
    ],
    ['net.cidr_merge', '["::/0", "10.0.0.0/8"]', '{"::/0"}'],
    ['net.cidr_merge', '["10.1.2.3", "150.1.1.1", "::ffff:200.1.1.1"]', '{"10.1.2.3/8","150.1.1.1/16","200.1.1.1/24"}'],
    ['net.cidr_merge', 'set()', 'set()'],
  ])('%s(%s) is %s', (name, args, expected) => {
    expect(call(name, args)).toBe(expected);
  });

  test.each([
    ['net.cidr_intersects', '"x", "::/0"', 'eval_builtin_error: invalid CIDR address: x'],
    ['net.cidr_expand', '"192.168.1.1/33"', 'eval_builtin_error: invalid CIDR address: 192.168.1.1/33'],
    ['net.cidr_merge', '["2001:db8::1"]', 'eval_builtin_error: IPv6 invalid: needs prefix length'],
    ['net.cidr_merge', '["x"]', 'eval_builtin_error: invalid CIDR address: x'],
    ['net.cidr_merge', '[1]', 'eval_builtin_error: element must be string'],
    ['net.cidr_merge', '"x"', 'eval_builtin_error: operand must be an array'],
    [
      'net.cidr_contains_matches',
      '["1.1.1.0/24"], [[]]',
      'eval_builtin_error: operand 2: element must be string or non-empty array',
    ],
    [
      'net.cidr_contains_matches',
      '[1], ["1.1.1.1"]',
      'eval_builtin_error: operand 1: element must be string or non-empty array',
    ],
    ['net.cidr_contains_matches', '[[1]], ["1.1.1.1"]', 'eval_type_error: operand 1 must be string but got number'],
  ])('%s(%s) fails: %s', (name, args, message) => {
    expect(call(name, args, true)).toBe(message);
  });

  test('an expansion is paid for before it is made, and none is larger than a /16', () => {
    expect(() => callBuiltin(NET_BUILTINS, 'net.cidr_expand', '"10.0.0.0/16"', { steps: 1_000_000 })).toThrow(
      OutOfSteps,
    );
    for (const network of ['10.0.0.0/15', '0.0.0.0/0', '::/0']) {
      expect(() => call('net.cidr_expand', `"${network}"`)).toThrow('more than 65536 addresses');
    }
  });

  test('matching many networks with many addresses is paid for before it is done', () => {
    const many = JSON.stringify(Array.from({ length: 1_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}/32`));
    expect(() =>
      callBuiltin(NET_BUILTINS, 'net.cidr_contains_matches', `${many}, ${many}`, { steps: 1_000_000 }),
    ).toThrow(OutOfSteps);
  });
});
