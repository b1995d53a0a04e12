import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Operands whose type OPA's compiler cannot know, as data of the test. */
export const ANY = {
  any: {
    one: 1,
    text: 'x',
    none: [],
    autumn: [1_698_500_000e9, 'Europe/Berlin'],
    spring: [1_679_700_600e9, 'Europe/Berlin'],
  },
};

/** Rego expressions whose value OPA and our host must agree on; an error must be undefined in both. */
export const EXPRESSIONS: readonly string[] = [
  ...sprintfs(),
  ...list('crypto.md5', ['""', '"abc"', '"ä€😀"']),
  ...list('crypto.sha1', ['"abc"']),
  ...list('crypto.sha256', ['""', '"abc"', 'input.a', 'data.any.one']),
  ...list('crypto.hmac.sha256', ['"text", "key"', '"", ""', '"é", "ü"']),
  ...list('crypto.hmac.md5', ['"text", "key"']),
  ...list('crypto.hmac.sha1', ['"text", "key"']),
  ...list('crypto.hmac.sha512', ['"text", "key"']),
  ...list('crypto.hmac.equal', ['"ab", "ab"', '"ab", "ac"', '"ab", "abc"', '"", ""']),
  ...list('hex.encode', ['"abc"', '""', '"ä"']),
  ...list('hex.decode', ['"616263"', '"C3a4"', '"61626"', '"zz"', '""', '"61 6"']),
  ...list('base64url.encode_no_pad', ['"a"', '"ab?>"', '""']),
  ...list('base64url.encode', ['"a"', '"ab?>"']),
  ...list('base64url.decode', ['"YQ"', '"YQ=="', '"Y"']),
  ...list('base64.decode', ['"YQ=="', '"Y!"']),
  ...list('urlquery.encode', ['"a b&c=d/ü!\'()*~-_."', '""']),
  ...list('urlquery.decode', ['"a+b%26%C3%BC"', '"%zz"', '"%"', '"plain"']),
  ...list('urlquery.encode_object', ['{"b": "2", "a": ["x y", "z"], "c": {"q", "p"}}', '{}', '{"a": data.any.one}']),
  ...list('urlquery.decode_object', ['"a=1&a=2&b=&c&&=x"', '"a=%zz"', '"a;b=1"', '""', '"a%20b=c+d"']),
  ...list('semver.is_valid', [
    '"1.2.3"',
    '"v1.2.3-rc.1+meta.5"',
    '"1.2"',
    '"01.2.3"',
    '"1.2.3-01"',
    '"1.2.3-0a"',
    '"1.2.3-"',
    '"1.2.3+"',
    '"9223372036854775808.0.0"',
    'data.any.one',
    '""',
  ]),
  ...list('semver.compare', [
    '"1.2.3", "1.2.4"',
    '"1.10.0", "1.9.0"',
    '"1.0.0-alpha", "1.0.0"',
    '"1.0.0-alpha", "1.0.0-alpha.1"',
    '"1.0.0-alpha.1", "1.0.0-alpha.beta"',
    '"1.0.0-beta.11", "1.0.0-beta.2"',
    '"1.0.0+a", "1.0.0+b"',
    '"1.0", "1.0.0"',
  ]),
  ...list('units.parse', [
    '"10"',
    '"10K"',
    '"10Ki"',
    '"1.5M"',
    '"100m"',
    '"1m"',
    '"333m"',
    '"10MI"',
    '"2e3"',
    '"1e3Ki"',
    '"5E"',
    '"5e"',
    '"1 K"',
    '"K"',
    '""',
    '"10X"',
    '"\\"10K\\""',
    '".5G"',
    '"1.2.3"',
    '"-5"',
    '"+5k"',
    '"1+2"',
  ]),
  ...list('units.parse_bytes', [
    '"10"',
    '"10KB"',
    '"10KiB"',
    '"1.5MB"',
    '"0.1kb"',
    '"1.001kb"',
    '"10b"',
    '"b"',
    '"2e3kb"',
    '"1EIB"',
    '"1 kb"',
    '"1.9"',
    '"3.5mi"',
    '"7e"',
  ]),
  ...list('strings.any_prefix_match', [
    '"abc", "ab"',
    '["x", "abc"], {"q", "ab"}',
    '"abc", []',
    '"abc", [data.any.one]',
    '{"a"}, ["b"]',
  ]),
  ...list('strings.any_suffix_match', ['"abc", "bc"', '["x", "abc"], {"q", "bc"}', '[], ["a"]']),
  ...list('strings.count', ['"cheese", "e"', '"five", ""', '"aaaa", "aa"', '"ä😀", ""', '"", ""']),
  ...list('strings.split_n', [
    '"a.b.c", ".", 2',
    '"a.b.c", ".", -1',
    '"a.b.c", ".", 0',
    '"abc", "", 2',
    '"a.b", ".", 9',
    '"a.b.c", ".", -9',
  ]),
  ...list('indexof_n', ['"sad", "a"', '"aaa", "aa"', '"ä😀ä", "ä"', '"abc", "x"', '"abc", ""']),
  ...list('numbers.range_step', [
    '0, 10, 3',
    '10, 0, 5',
    '1, 1, 1',
    '0, 5, 0',
    '0, 5, -1',
    '1.5, 3, 1',
    '100000000000000000000, 100000000000000000002, 1',
  ]),
  ...list('object.subset', [
    '{"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}',
    '{"a": 1}, {"a": 2}',
    '{1, 2, 3}, {2}',
    '[1, 2, 3], [2, 3]',
    '[1, 1, 2], [1, 2]',
    '[1, 2], {2, 1}',
    '[1, 2], set()',
    '[], set()',
    '{"a": 1}, [1]',
    '{"a": [1, 2]}, {"a": [2]}',
    '[1, 2, 1, 2, 3], [1, 2, 3]',
  ]),
  ...list('glob.quote_meta', ['"*.github.com"', '"a\\\\b?[c]{d,e}!-^$()|+"', '""']),
  ...list('glob.match', [
    '"*.a.com", ["."], "x.a.com"',
    '"**", [], "a.b"',
    '"{a,b}*", ["/"], "bc"',
    '"[a-c]?", [], "bq"',
    '"a*", null, "a.b"',
  ]),
  ...regexes(),
  ...nets(),
  ...times(),
  ...uuids(),
  ...yamls(),
  ...jwts(),
];

/** Where the builtins that Wasm has itself answer otherwise than OPA: what OPA says, and what they say. */
export const NATIVE_DIFFERENCES: readonly (readonly [expression: string, opa: string, wasm: string])[] = [
  ['base64.decode("YQ")', 'undefined', '["a"]'],
  ['base64url.decode("YQ=")', 'undefined', '["a"]'],
  ['net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")', '[true]', '[false]'],
  ['object.union_n([])', '[{}]', 'undefined'],
  ['json.marshal("<&>")', '["\\"\\\\u003c\\\\u0026\\\\u003e\\""]', '["\\"<&>\\""]'],
];

function list(name: string, operands: readonly string[]): readonly string[] {
  return operands.map((operand) => `${name}(${operand})`);
}

function sprintfs(): readonly string[] {
  const cases: readonly (readonly [string, string])[] = [
    ['%s', '["a"]'],
    ['%s-%d', '["a", 3]'],
    ['%d', '[-7]'],
    ['%5d|%-5d|%05d|%+d|% d', '[42, 42, 42, 42, 42]'],
    ['%x %X %o %b %#x %#o %O', '[255, 255, 8, 5, 255, 8, 8]'],
    ['%v %v %v %v', '[1, 1.5, "x", true]'],
    ['%v', '[{"b": [1, "q", null, {3, 2}], "a": set()}]'],
    ['%s', '[{"k\\"ey": "v\\n\\u0001é"}]'],
    ['%d', '["abc"]'],
    ['%d', '[1.5]'],
    ['%s', '[3]'],
    ['%t', '[true]'],
    ['%f %.2f %8.3f %-8.1f| %08.2f', '[1.5, 2.345, 3.14159, 2.25, -3.5]'],
    ['%.0f %.0f %.0f', '[0.5, 1.5, 2.5]'],
    ['%e %E %.3e', '[123456.789, 0.00012, 9.9996]'],
    ['%g %g %g %g %g', '[1e6, 1e21, 123456789.0, 0.00001234, 100000.5]'],
    ['%v %v %v', '[1e6, 1e21, 1.0]'],
    ['%.3g %.10g %G', '[1234.5678, 1234.5678, 1e-10]'],
    ['%f', '[3]'],
    ['%q %q %+q', '["a\\"b", "é\\n", "é"]'],
    ['%x %X % x %#x', '["hello", "hello", "hello", "hello"]'],
    ['%10s|%-10s|%.2s|%5.1s', '["abc", "abc", "abc", "äöü"]'],
    ['%c %U %#U %q', '[9731, 9731, 9731, 9731]'],
    ['%%', '[]'],
    ['100%', '[]'],
    ['%s %s', '["only"]'],
    ['%s', '["a", "b", 3]'],
    ['%[2]s %[1]s', '["a", "b"]'],
    ['%[3]s', '["a", "b"]'],
    ['%[2]*[1]d', '[12, 6]'],
    ['%*d', '[5, 42]'],
    ['%-*d|', '[5, 42]'],
    ['%.*f', '[2, 3.14159]'],
    ['%!', '["x"]'],
    ['%z', '["x"]'],
    ['%T %T %T', '[1, 1.5, "a"]'],
    ['%d', '[123456789012345678901234567890]'],
    ['%v %s', '[123456789012345678901234567890, 123456789012345678901234567890]'],
    ['%x', '[123456789012345678901234567890]'],
    ['%v', '[9223372036854775808]'],
    ['%v', '[0.1]'],
    ['%v', '[null]'],
    ['%v', '[[]]'],
    ['%5v|%-5v|', '[true, null]'],
    ['%06d|%x|%X', '[-42, -255, -255]'],
    ['%.5d|%8.5d|%-8.5d|', '[42, 42, 42]'],
    ['%+.2e', '[12345.678]'],
    ['%d %d', '[1]'],
    ['no verbs', '[]'],
    ['no verbs', '[1]'],
    ['äöü %s', '["😀"]'],
    ['%6.2f%%', '[99.555]'],
    ['%s', '["%s"]'],
    ['%d items', '["x"]'],
    ['%+v', '[{"a": 1}]'],
    ['%#v', '["a"]'],
    ['%v', '[1e400]'],
    ['%v', '[-0.0]'],
  ];
  return [
    ...cases.map(([format, values]) => `sprintf(${JSON.stringify(format)}, ${values})`),
    'sprintf("%s", data.any.text)',
  ];
}

function regexes(): readonly string[] {
  return [
    ...list('regex.replace', [
      '"foobar", "o+", "0"',
      '"foobar", "(o)(b)", "$2$1"',
      `"foobar", "(?P<x>o)b", "<\${x}>"`,
      '"foobar", "(o)b", "$1x"',
      `"foobar", "(o)b", "\${1}x$$"`,
      '"foobar", "", "-"',
      '"äöü", "", "-"',
      '"foo", "^[a-z]", "F"',
      '"foo", "[", "x"',
      '"a.b.c", "\\\\.", "$"',
      '"abc", "b*", "X"',
      '"aaa", "a", "$0$0"',
      '"x", "(a)|x", "[$1]"',
      '"😀a😀", "a", "$9"',
    ]),
    ...list('regex.split', [
      '"/", "a/b/c"',
      '"b*", "abc"',
      '"x", ""',
      '"", "abc"',
      '"a", "banana"',
      '"(", "a"',
      '"[0-9]+", "a1b22c"',
      '"a", "a"',
    ]),
    ...list('regex.find_n', [
      '"[oa]+", "foo bar", -1',
      '"[oa]+", "foo bar", 1',
      '"[oa]+", "foo bar", 0',
      '"a*", "baaac", -1',
      '"(?i)ß|S", "ssſ", -1',
      '".", "ä😀", -1',
    ]),
    ...list('regex.find_all_string_submatch_n', ['"(o)(x)?", "foo", -1']),
    ...list('regex.template_match', [
      '"urn:foo:{.*}", "urn:foo:bar:baz", "{", "}"',
      '"urn:{[a-z]+}:x", "urn:abc:x", "{", "}"',
      '"urn:{[a-z]+}:x", "urn:a1:x", "{", "}"',
      '"urn:{a", "urn:a", "{", "}"',
      '"a}b", "a", "{", "}"',
      '"a.b<[0-9]{2}>", "axb12", "<", ">"',
      '"a<b>", "ab", "<<", ">"',
      '"", "", "{", "}"',
    ]),
    ...list('regex.match', ['"^a.c$", "abc"', '"(", "a"']),
  ];
}

function nets(): readonly string[] {
  return [
    ...list('net.cidr_is_valid', [
      '"10.0.0.0/8"',
      '"10.0.0.0"',
      '"10.0.0.0/33"',
      '"::/0"',
      '"fe80::%eth0/64"',
      '"010.0.0.0/8"',
      '"::ffff:1.2.3.4/120"',
      'data.any.one',
      '"1.2.3.4/08"',
    ]),
    ...list('net.cidr_contains', [
      '"10.0.0.0/8", "10.1.2.3"',
      '"10.0.0.0/8", "10.1.0.0/16"',
      '"2001:db8::/32", "2001:db8::1"',
      '"10.0.0.0/8", "x"',
    ]),
    ...list('net.cidr_intersects', ['"10.0.0.0/8", "10.1.0.0/16"', '"10.0.0.0/8", "11.0.0.0/8"']),
    ...list('net.cidr_contains_matches', [
      '"1.1.1.0/24", "1.1.1.128"',
      '["1.1.2.0/24", "1.1.1.0/24"], "1.1.1.128"',
      '[["1.1.0.0/16", "foo", 1], "1.1.2.0/24"], ["1.1.1.128", ["1.1.254.254", "bar"]]',
      '{["1.1.0.0/16", "foo"], "1.1.2.0/24"}, {"x": "1.1.1.128", "y": ["1.1.254.254", "bar"]}',
      '"2001:db8::/32", {"2001:db8::1", "10.0.0.1"}',
      '"x", "1.1.1.1"',
      '["1.1.1.0/24", data.any.one], "1.1.1.1"',
    ]),
    ...list('net.cidr_expand', [
      '"192.168.0.0/30"',
      '"10.0.0.7/32"',
      '"2001:db8::4/127"',
      '"10.0.0.0"',
      '"::fffe:0:0/126"',
    ]),
    ...list('net.cidr_merge', [
      '["192.0.128.0/24", "192.0.129.0/24"]',
      '{"10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"}',
      '["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]',
      '["1.2.3.4", "200.1.2.3", "150.1.1.1"]',
      '["2001:db8::/33", "2001:db8:8000::/33", "10.0.0.0/24"]',
      '["::1"]',
      '[]',
      '["x"]',
      '["10.0.0.5/24"]',
    ]),
  ];
}

function times(): readonly string[] {
  const moments = [
    '1700000000123456789',
    '0',
    '-1',
    '-62135596800000000000',
    '951782400000000000',
    '4102444799999999999',
  ];
  const layouts = [
    'RFC3339',
    'RFC1123',
    'RFC1123Z',
    'RFC822',
    'RFC850',
    'ANSIC',
    'UnixDate',
    'RubyDate',
    'RFC3339Nano',
    '2006-01-02 15:04:05.000',
    '06/1/2 3:4:5 PM pm .999 ,000000',
    'Monday January _2 __2 002 Z07 Z0700 -07:00:00 Z07:00:00',
    'Janet Monty _2006 Mon',
    '20060102T150405Z',
  ];
  return [
    ...list('time.parse_rfc3339_ns', [
      '"2023-11-14T22:13:20Z"',
      '"2023-11-14T22:13:20.123456789+02:00"',
      '"2023-02-29T00:00:00Z"',
      '"2024-02-29T00:00:00Z"',
      '"2023-11-14 22:13:20Z"',
      '"2023-11-14T22:13:20"',
      '"2300-01-01T00:00:00Z"',
      '"1600-01-01T00:00:00Z"',
      '"2023-11-14T24:00:00Z"',
      '"2023-11-14T22:13:60Z"',
      '"2023-11-14T22:13:20,5Z"',
      '"2023-11-14T22:13:20+24:00"',
      '"2023-11-14T22:13:20+25:00"',
      '"2023-1-14T22:13:20Z"',
      '"2023-11-14T2:13:20Z"',
      '"2023-11-14T22:13:20z"',
      '"2023-11-14T22:13:20.Z"',
      '""',
      'data.any.one',
    ]),
    ...list('time.parse_ns', [
      '"2006-01-02", "2023-11-14"',
      '"2006-01-02", "2023-11-14 "',
      '"RFC1123", "Tue, 14 Nov 2023 22:13:20 GMT"',
      '"RFC1123", "tue, 14 nov 2023 22:13:20 UTC"',
      '"RFC1123Z", "Tue, 14 Nov 2023 22:13:20 +0100"',
      '"RFC822", "14 Nov 23 22:13 PST"',
      '"RFC850", "Tuesday, 14-Nov-23 22:13:20 UTC"',
      '"ANSIC", "Tue Nov  4 22:13:20 2023"',
      '"ANSIC", "Tue Nov 14 22:13:20 2023"',
      '"UnixDate", "Tue Nov 14 22:13:20 UTC 2023"',
      '"Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (UTC)"',
      '"Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (GMT+3)"',
      '"3:04PM", "12:30AM"',
      '"15:04:05", "01:02:03.45"',
      '"15:04:05.000", "01:02:03.45"',
      '"15:04:05.000", "01:02:03.456"',
      '"15:04:05.999", "01:02:03"',
      '"2006-002", "2024-060"',
      '"2006-002", "2023-366"',
      '"2006", "0000"',
      '"06", "68"',
      '"06", "69"',
      '"2006-01-02", "2023-13-01"',
      '"2006-01-02", "2023-00-01"',
      '"x2006", "x2023"',
      '"x2006", "y2023"',
      '"2006-1-2", "2023-3-7"',
      '"Z07:00", "Z"',
      '"Z0700", "+0130"',
      '"-07", "-05"',
      '"", ""',
      '"", "a"',
    ]),
    ...list('time.parse_duration_ns', [
      '"1h2m3s4ms5us6ns"',
      '"1.5h"',
      '"-1.5s"',
      '"+3µs"',
      '"0"',
      '""',
      '"5"',
      '"1x"',
      '".5s"',
      '"1.s"',
      '"."',
      '".s"',
      '"1d"',
      '"1.5d2h"',
      '"2w"',
      '"1y"',
      '"1d1"',
      '"100y"',
      '"300y"',
      '"9223372036854775807ns"',
      '"9223372036854775808ns"',
      '"-9223372036854775808ns"',
      '"1h 2m"',
      '"0.000000001s"',
      '"1.0000000000000000001s"',
      '"-1d"',
      '"1ms1d"',
    ]),
    ...moments.flatMap((moment) => [
      `time.date(${moment})`,
      `time.clock(${moment})`,
      `time.weekday(${moment})`,
      `time.format(${moment})`,
      `time.date([${moment}, "America/New_York"])`,
      `time.clock([${moment}, "Asia/Kolkata"])`,
      `time.add_date(${moment}, 1, -2, 3)`,
    ]),
    ...layouts.map((layout) => `time.format([1700000000123456789, "UTC", ${JSON.stringify(layout)}])`),
    ...layouts
      .filter((layout) => !/MST|RFC1123$|RFC8|UnixDate/.test(layout))
      .map((layout) => `time.format([1700000000120000000, "Europe/Berlin", ${JSON.stringify(layout)}])`),
    'time.format([1690000000000000000, "America/New_York", "RFC1123"])',
    'time.format([1690000000000000000, "No/Where"])',
    'time.format([1690000000000000000, "europe/berlin"])',
    'time.format([1690000000000000000, "+01:00"])',
    'time.format([1690000000000000000, ""])',
    'time.format(1e18)',
    'time.format(1.5)',
    'time.format(data.any.text)',
    'time.format(data.any.none)',
    'time.format(9223372036854775808)',
    'time.format(-9223372036854775808)',
    'time.date([1700000000000000000, data.any.one])',
    'time.add_date(1700000000000000000, 0, 0, 0)',
    'time.add_date(1709164800000000000, 1, 0, 0)',
    'time.add_date(1706659200000000000, 0, 1, 0)',
    'time.add_date(data.any.autumn, 0, 0, 1)',
    'time.add_date(data.any.spring, 0, 0, 1)',
    'time.add_date(0, 300, 0, 0)',
    'time.add_date(0, 1.5, 0, 0)',
    'time.add_date(0, 9999999999999, 0, 0)',
    'time.diff(1700000000000000000, 1600000000000000000)',
    'time.diff(1600000000000000000, 1700000000000000000)',
    'time.diff([1700000000000000000, "America/New_York"], [1600000000000000000, "Asia/Tokyo"])',
    'time.diff(1706659200000000000, 1709251200000000000)',
    'time.diff(5, 5)',
    'time.diff(1677542400000000000, 1677628799999999999)',
  ];
}

function uuids(): readonly string[] {
  return list('uuid.parse', [
    '"00000000-0000-4000-8000-000000000000"',
    '"{f47ac10b-58cc-0372-8567-0e02b2c3d479}"',
    '"urn:uuid:F47AC10B-58CC-1372-8567-0E02B2C3D479"',
    '"f47ac10b58cc437285670e02b2c3d479"',
    '"000003e8-48b9-21ee-b200-325096b39f47"',
    '"f47ac10b-58cc-1372-c567-0f02b2c3d479"',
    '"x"',
    '"f47ac10b-58cc-4372-8567-0e02b2c3d47"',
  ]);
}

function yamls(): readonly string[] {
  return [
    ...list('yaml.unmarshal', [
      '"a: 1\\nb: [x, y]\\nc: {d: null}"',
      '"- 1\\n- 1.5\\n- true\\n- ~\\n- \\"q\\"\\n- 2023-01-01"',
      '"a: &x {b: 1}\\nc: *x"',
      '"a: 1\\na: 2"',
      '"{"',
      '""',
      '"plain"',
      '"1: a\\ntrue: b"',
      '"a: |\\n  line\\n  two\\n"',
      '"a: 12345678901234567890"',
      '"a: 0x1f"',
      '"---\\na: 1"',
    ]),
    ...list('yaml.is_valid', ['"a: 1"', '"{"', 'data.any.one', '"a: b: c"']),
    ...list('yaml.marshal', [
      '{"b": [1, "x", null, true], "a": {"k": "v"}}',
      '"text"',
      '[1, [2, 3], {"a": []}]',
      '{"e": {}, "s": {3, 1}, "q": "true", "num": "12", "m": "a: b"}',
    ]),
  ];
}

interface Signer {
  readonly alg: string;
  readonly sign: (text: string) => Buffer;
  /** Rego text of the key. */
  readonly pem: string;
  readonly jwk: { readonly [member: string]: unknown };
}

function jwts(): readonly string[] {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  const ed = generateKeyPairSync('ed25519');
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  const signers: readonly Signer[] = [
    ...['256', '384', '512'].map((size) => signer(`RS${size}`, rsa, (text, key) => sign(`sha${size}`, text, key))),
    ...['256', '384', '512'].map((size) =>
      signer(`PS${size}`, rsa, (text, key) => sign(`sha${size}`, text, { key, ...pss })),
    ),
    signer('ES256', p256, (text, key) => sign('sha256', text, { key, dsaEncoding: 'ieee-p1363' })),
    signer('ES384', p384, (text, key) => sign('sha384', text, { key, dsaEncoding: 'ieee-p1363' })),
    signer('ES512', p521, (text, key) => sign('sha512', text, { key, dsaEncoding: 'ieee-p1363' })),
    signer('EdDSA', ed, (text, key) => sign(null, text, key)),
  ];
  const claims = { iss: 'me', aud: 'you', sub: 'ü', exp: 2_000_000_000, nbf: 1_500_000_000, big: 1 };
  const out: string[] = [];
  for (const each of signers) {
    const verify = `io.jwt.verify_${each.alg.toLowerCase()}`;
    const token = make({ alg: each.alg, typ: 'JWT' }, claims, each.sign);
    const keyed = make({ alg: each.alg, kid: 'k1' }, claims, each.sign);
    const q = JSON.stringify;
    const set = q(JSON.stringify({ keys: [{ ...each.jwk, kid: 'k1', alg: each.alg }] }));
    const wrongAlg = q(JSON.stringify({ keys: [{ ...each.jwk, alg: each.alg === 'RS256' ? 'PS256' : 'RS256' }] }));
    out.push(
      `${verify}(${q(token)}, ${q(each.pem)})`,
      `${verify}(${q(keyed)}, ${set})`,
      `${verify}(${q(token)}, ${set})`,
      `${verify}(${q(token)}, ${wrongAlg})`,
      `${verify}(${q(damage(token))}, ${q(each.pem)})`,
      `${verify}(${q(token)}, "no key")`,
      `${verify}(${q(token)}, ${q(signers[6]?.pem)})`,
      `${verify}(${q(token)}, ${q(signers[0]?.pem)})`,
      `io.jwt.decode_verify(${q(token)}, {"cert": ${q(each.pem)}, "aud": "you", "time": 1700000000000000000})`,
      `io.jwt.decode_verify(${q(keyed)}, {"cert": ${set}, "aud": "you", "iss": "me", "alg": ${q(each.alg)}, "time": 1700000000000000000})`,
      `io.jwt.decode_verify(${q(token)}, {"cert": ${q(each.pem)}, "time": 1700000000000000000})`,
      `io.jwt.decode_verify(${q(token)}, {"cert": ${q(each.pem)}, "aud": "you", "alg": "HS256"})`,
      `io.jwt.decode_verify(${q(token)}, {"cert": ${q(each.pem)}, "aud": "you", "iss": "other"})`,
      `io.jwt.decode_verify(${q(damage(token))}, {"cert": ${q(each.pem)}, "aud": "you"})`,
    );
  }
  const pemOfRsa = signers[0]?.pem ?? '';
  for (const size of ['256', '384', '512']) {
    const secret = (text: string): Buffer => createHmac(`sha${size}`, 'secret').update(text).digest();
    const token = make({ alg: `HS${size}` }, claims, secret);
    const confused = make({ alg: `HS${size}` }, claims, (text) =>
      createHmac(`sha${size}`, pemOfRsa).update(text).digest(),
    );
    const q = JSON.stringify;
    out.push(
      `io.jwt.verify_hs${size}(${q(token)}, "secret")`,
      `io.jwt.verify_hs${size}(${q(token)}, "other")`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "aud": "you", "time": 1700000000000000000})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "aud": "them", "time": 1700000000000000000})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "aud": "you", "time": 2000000000000000000})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "aud": "you", "time": 1999999999999999999})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "aud": "you", "time": 1499999999000000000})`,
      `io.jwt.decode_verify(${q(confused)}, {"cert": ${q(pemOfRsa)}, "aud": "you"})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "what": 1})`,
      `io.jwt.decode_verify(${q(token)}, {})`,
      `io.jwt.decode_verify(${q(token)}, {"secret": "secret", "cert": ${q(pemOfRsa)}})`,
    );
  }
  const hs = (header: object, payload: unknown): string =>
    make(header, payload, (text) => createHmac('sha256', 'secret').update(text).digest());
  const decodable = [
    hs({ alg: 'HS256' }, { a: [1, 1.5, 'x'], __proto__x: 1 }),
    hs({ alg: 'none' }, {}),
    hs({ alg: 'HS256', enc: 'A' }, {}),
    hs({ alg: 'HS256' }, [1]),
    hs({ alg: 'HS256', cty: 'JWT' }, 'x'),
    hs({ alg: 'HS256', crit: ['exp'] }, {}),
    hs({ alg: 'HS256', crit: ['nobody'], nobody: 1 }, {}),
    hs({ alg: 'HS256', crit: [] }, {}),
    hs({ alg: 'HS256', kid: 1 }, {}),
    hs({ alg: 'HS256' }, { exp: 'x' }),
    hs({ alg: 'HS256' }, { aud: ['a', 'you'], exp: 1.5e9 }),
    hs({ alg: 'HS256' }, { aud: 1 }),
    hs({ alg: 'HS256', cty: 'JWT' }, hs({ alg: 'HS256' }, { inner: true })),
    'a.b',
    'a.b.c.d',
    'a.b.c',
    '',
    `${Buffer.from('{"alg":"HS256","alg":"none"}').toString('base64url')}.${Buffer.from('{"a":12345678901234567890,"a":1.10}').toString('base64url')}.c2ln`,
  ];
  for (const token of decodable) {
    out.push(
      `io.jwt.decode(${JSON.stringify(token)})`,
      `io.jwt.decode_verify(${JSON.stringify(token)}, {"secret": "secret", "time": 1000000000000000000})`,
      `io.jwt.decode_verify(${JSON.stringify(token)}, {"secret": "secret", "aud": "you", "time": 1000000000000000000})`,
      `io.jwt.verify_hs256(${JSON.stringify(token)}, "secret")`,
    );
  }
  return out;
}

function signer(
  alg: string,
  { publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  signWith: (text: Buffer, key: KeyObject) => Buffer,
): Signer {
  return {
    alg,
    sign: (text) => signWith(Buffer.from(text), privateKey),
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: publicKey.export({ format: 'jwk' }) as { readonly [member: string]: unknown },
  };
}

function make(header: object, payload: unknown, signWith: (text: string) => Buffer): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  // A token within a token is its bare text.
  const body =
    typeof payload === 'string' && payload.includes('.') ? Buffer.from(payload).toString('base64url') : part(payload);
  const text = `${part(header)}.${body}`;
  return `${text}.${signWith(text).toString('base64url')}`;
}

function damage(token: string): string {
  const at = token.lastIndexOf('.') + 5;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}
