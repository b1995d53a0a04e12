import { describe, expect, test } from 'vitest';
import { TIME_BUILTINS } from '../../../../src/policy/builtins/time.ts';
import { AT_MS, callBuiltin } from './call-builtin.ts';

const call = (name: string, args: string, strict = false): string => callBuiltin(TIME_BUILTINS, name, args, { strict });

test('time.now_ns is the decision’s instant', () => {
  expect(call('time.now_ns', '')).toBe(`${AT_MS}000000`);
});

describe('a time is read', () => {
  test.each([
    ['time.parse_rfc3339_ns', '"2017-06-02T19:00:00-07:00"', '1496455200000000000'],
    ['time.parse_rfc3339_ns', '"1677-09-21T00:12:43.145224192-00:00"', '-9223372036854775808'],
    ['time.parse_rfc3339_ns', '"2262-04-11T23:47:16.854775807-00:00"', '9223372036854775807'],
    ['time.parse_rfc3339_ns', '"2017-02-20T03:00:00,5Z"', '1487559600500000000'],
    ['time.parse_ns', '"01/02 03:04:05PM \'06 -0700", "06/02 07:00:00PM \'17 -0700"', '1496455200000000000'],
    ['time.parse_ns', '"RFC822Z", "02 Jun 17 19:00 -0700"', '1496455200000000000'],
    // An abbreviation names a clock but does not move it.
    ['time.parse_ns', '"RFC822", "02 Jun 17 19:00 PDT"', '1496430000000000000'],
    ['time.parse_ns', '"RFC822", "02 Jun 17 19:00 GMT+3"', '1496430000000000000'],
    ['time.parse_ns', '"ANSIC", "Fri Jun     2 19:00:00 2017"', '1496430000000000000'],
    ['time.parse_ns', '"2006-002", "2020-366"', '1609372800000000000'],
    ['time.parse_ns', '"2006-01-02 15:04:05.0000000000", "2021-02-01 01:02:03.1234567891"', '1612141323123456789'],
    ['time.parse_ns', '"2006-01-02Z07:00:00", "2021-02-01-03:30:11"', '1612150211000000000'],
  ])('%s(%s) is %s', (name, args, expected) => {
    expect(call(name, args)).toBe(expected);
  });

  test.each([
    ['time.parse_rfc3339_ns', '"1677-09-21T00:12:43.145224191Z"', 'time outside of valid range'],
    ['time.parse_rfc3339_ns', '"2017-13-02T23:00:00Z"', 'parsing time "2017-13-02T23:00:00Z": month out of range'],
    ['time.parse_rfc3339_ns', '"2017-02-29T23:00:00Z"', 'parsing time "2017-02-29T23:00:00Z": day out of range'],
    ['time.parse_rfc3339_ns', '"2017-02-20T24:00:00Z"', 'parsing time "2017-02-20T24:00:00Z": hour out of range'],
    [
      'time.parse_rfc3339_ns',
      '"2017-02-20t23:00:00Z"',
      'parsing time "2017-02-20t23:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse "t23:00:00Z" as "T"',
    ],
    [
      'time.parse_rfc3339_ns',
      '"é"',
      'parsing time "\\xc3\\xa9" as "2006-01-02T15:04:05Z07:00": cannot parse "\\xc3\\xa9" as "2006"',
    ],
    ['time.parse_ns', '"2006", "20201"', 'parsing time "20201": extra text: "1"'],
    [
      'time.parse_ns',
      '"RFC822", "02 Jun 17 19:00 ABCDE"',
      'parsing time "02 Jun 17 19:00 ABCDE" as "02 Jan 06 15:04 MST": cannot parse "ABCDE" as "MST"',
    ],
    [
      'time.parse_ns',
      '"2006-01-02 002", "2021-02-01 033"',
      'parsing time "2021-02-01 033": day-of-year does not match day',
    ],
  ])('%s(%s) fails: %s', (name, args, message) => {
    expect(call(name, args, true)).toBe(`eval_builtin_error: ${message}`);
    expect(call(name, args)).toBe('undefined');
  });
});

describe('a duration is read', () => {
  test.each([
    ['100ms', '100000000'],
    ['1d2h30m', '95400000000000'],
    ['-1w', '-604800000000000'],
    ['1y', '31536000000000000'],
    ['1.5d', '129600000000000'],
    ['0', '0'],
    ['.5s', '500000000'],
    ['-9223372036854775808ns', '-9223372036854775808'],
  ])('%s', (text, ns) => {
    expect(call('time.parse_duration_ns', JSON.stringify(text))).toBe(ns);
  });

  test.each([
    ['', 'invalid duration ""'],
    ['3', 'missing unit in duration "3"'],
    ['1x', 'unknown unit "x" in duration "1x"'],
    ['1dd', 'invalid duration "1dd"'],
    ['300y', 'invalid duration "300y"'],
    ['9223372036854775808ns', 'invalid duration "9223372036854775808ns"'],
    ['.s', 'invalid duration ".s"'],
  ])('but not %j', (text, message) => {
    expect(call('time.parse_duration_ns', JSON.stringify(text), true)).toBe(`eval_builtin_error: time: ${message}`);
  });
});

describe('a moment', () => {
  test.each([
    ['time.date', '1517814000000000000', '[2018,2,5]'],
    ['time.date', '[1517814000000000000, "America/Los_Angeles"]', '[2018,2,4]'],
    ['time.date', '[1517814000000000000, "Local"]', '[2018,2,5]'],
    ['time.date', '1e3', '[1970,1,1]'],
    ['time.date', '-1.0', '[1969,12,31]'],
    ['time.date', '0.000', '[1970,1,1]'],
    ['time.date', '0.0e999999', '[1970,1,1]'],
    ['time.date', '1517814000.5e9', '[2018,2,5]'],
    ['time.clock', '[1517832000000000000, "Asia/Kathmandu"]', '[17,45,0]'],
    ['time.weekday', '-1', '"Wednesday"'],
    ['time.add_date', '1585852421593912000, 3, 9, 12', '1705257221593912000'],
    ['time.add_date', '[1583637300000000000, "America/New_York"], 0, 0, 1', '1583720100000000000'],
    ['time.diff', '1580601600000000000, 1583020800000000000', '[0,0,28,0,0,0]'],
    ['time.diff', '[1705257221593912000, "Asia/Tokyo"], [1585852421593912000, "UTC"]', '[3,9,12,0,0,0]'],
    ['time.format', '1670006453141828752', '"2022-12-02T18:40:53.141828752Z"'],
    ['time.format', '[1670006453141828752, "Asia/Kolkata", "RFC1123Z"]', '"Sat, 03 Dec 2022 00:10:53 +0530"'],
    [
      'time.format',
      '[1670006453000000000, "America/New_York", "05.999 .000 ,9 _2 __2 3PM Z07:00 MST Janet 20066 .00x"]',
      '"53 .000   2 336 1PM -05:00 EST Janet 20226 .00x"',
    ],
  ])('%s(%s) is %s', (name, args, expected) => {
    expect(call(name, args)).toBe(expected);
  });

  test.each([
    ['time.date', '9223372036854775808', 'eval_builtin_error: timestamp too big'],
    ['time.date', '1.5', 'eval_builtin_error: timestamp too big'],
    ['time.date', '1000000000000000000.5', 'eval_builtin_error: timestamp too big'],
    ['time.date', '1e999999999', 'eval_builtin_error: timestamp too big'],
    ['time.date', '[1, "Mars/Olympus"]', 'eval_builtin_error: unknown time zone Mars/Olympus'],
    ['time.date', '[1, "europe/berlin"]', 'eval_builtin_error: unknown time zone europe/berlin'],
    ['time.date', '[1, "../etc/passwd"]', 'eval_builtin_error: time: invalid location name'],
    ['time.date', '[1, 2]', 'eval_type_error: operand 1 must be string but got number'],
    ['time.date', '["x"]', 'eval_type_error: operand 1 must be number but got string'],
    [
      'time.date',
      '[]',
      'eval_type_error: operand 1 must be either number (ns) or [number (ns), string (tz)] but got array',
    ],
    ['time.add_date', '0, 2262, 1, 1', 'eval_builtin_error: time outside of valid range'],
    ['time.add_date', '0, 99999999999, 1, 1', 'eval_builtin_error: time outside of valid range'],
    [
      'time.add_date',
      '0, 1, 1.5, 1',
      'eval_type_error: operand 3 must be integer number but got floating-point number',
    ],
  ])('%s(%s) fails: %s', (name, args, message) => {
    expect(call(name, args, true)).toBe(message);
    expect(call(name, args)).toBe('undefined');
  });
});

describe('a clock is called', () => {
  test.each([
    ['Europe/Berlin', '2022-12-02T00:00:00Z', 'CET'],
    ['Europe/Berlin', '2022-07-02T00:00:00Z', 'CEST'],
    ['Asia/Kolkata', '2022-07-02T00:00:00Z', 'IST'],
    ['Asia/Dubai', '2022-07-02T00:00:00Z', '+04'],
    ['America/Caracas', '2010-07-02T00:00:00Z', '-0430'],
    ['America/Anchorage', '1980-07-02T00:00:00Z', 'AHDT'],
    ['America/Anchorage', '2020-07-02T00:00:00Z', 'AKDT'],
    ['Etc/GMT+5', '2020-07-02T00:00:00Z', '-05'],
    ['', '1900-07-02T00:00:00Z', 'UTC'],
  ])('in %s on %s: %s', (zone, time, name) => {
    const ns = call('time.parse_rfc3339_ns', JSON.stringify(time));
    expect(call('time.format', `[${ns}, "${zone}", "MST"]`)).toBe(`"${name}"`);
  });

  test('nothing that we know before 1970, so the evaluation fails', () => {
    expect(() => call('time.format', '[-1, "Europe/Berlin", "MST"]')).toThrow('abbreviation of `Europe/Berlin`');
    expect(call('time.format', '[-1, "Europe/Berlin", "2006"]')).toBe('"1970"');
  });
});
