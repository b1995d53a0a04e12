import { expect, test } from 'vitest';
import { YAML_BUILTINS } from '../../../../src/policy/builtins/yaml.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const call = (name: string, operands: string): string => callBuiltin(YAML_BUILTINS, name, operands, { strict: true });

test.each([
  ['a: 1\n---\nb: 2', '{"a":1}'],
  ['- 0777\n- 08\n- 0o17\n- 0xFF\n- 0b11\n- -0b11\n- 1_000\n- +12', '[511,8,15,255,3,-3,1000,12]'],
  [
    '- 1.0\n- 1e3\n- .5\n- 1e400\n- 1.\n- 18446744073709551615\n- 18446744073709551616\n- 1e',
    '[1,1000,0.5,"1e400",1,18446744073709551615,18446744073709552000,"1e"]',
  ],
  ['- yes\n- on\n- ~\n- Null\n- True\n- 12:30:45\n- 2023-01-01', '["yes","on",null,null,true,"12:30:45","2023-01-01"]'],
  ['a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3', '{"a":{"b":1,"c":2},"d":{"b":1,"c":3}}'],
  ['d:\n  <<: [{a: 1, b: 1},{a: 2, c: 2}]\n  b: 5', '{"d":{"a":1,"b":5,"c":2}}'],
  ['<<: {a: 1}\n<<: {a: 2, b: 3}', '{"a":1,"b":3}'],
  ['a: 1\na: 2\n1: x\n"1": y', '{"1":"y","a":2}'],
  ['1.5: a\ntrue: b\n123456789.5: c\n1e21: d', '{"1.2345679e+08":"c","1.5":"a","1e+21":"d","true":"b"}'],
  ['!!str 12', '"12"'],
  ['!!int "12"', '12'],
  ['!foo bar', '"bar"'],
  ['!!binary aGVsbG8=', '"hello"'],
  ['', 'null'],
  ['# c', 'null'],
  ['!!set {a, b}', '{"a":null,"b":null}'],
  ['__proto__: {constructor: 1}', '{"__proto__":{"constructor":1}}'],
  // The line breaks of YAML 1.1; of these only U+2028 and U+2029 stay what they are.
  ['\u2028', 'null'],
  [' \u0085a\r\n b\r c', '"a b c"'],
  ['a\u2028 b', '"a\u2028b"'],
  ['- |\n x\u2029 y\u0085', '["x\u2029y\\n"]'],
  ['- a\u2028- b', '["a","b"]'],
  // Blanks around a text are none of it.
  ['  a ', '"a"'],
  [' \n\n  a\n', '"a"'],
  ['a   b', '"a   b"'],
  ['a\n\n\n b', '"a\\n\\nb"'],
  ['a\t# c', '"a"'],
  ['# a\n\t# b\n1', '1'],
  ['"a"#c', '"a"'],
  ['"a\n  b\\\n   c\\x41\\u263a\\U0001F600"', '"a bcA☺😀"'],
  ["'it''s\n\n x'", '"it\'s\\nx"'],
  ['- >\n a\n b\n\n  c\n d\n\n- >-\n  e\n\n- |+\n f\n\n- |2\n   g', '["a b\\n\\n c\\nd\\n","e","f\\n\\n"," g"]'],
  ['[a: b, {c, d: }, "e":f, ? g : h]', '[{"a":"b"},{"c":null,"d":null},{"e":"f"},{"g":"h"}]'],
  ['{a:1, b:}', '{"a:1":null,"b:":null}'],
  ['k:\n- 1\n-\n- - 2\n  -\n', '{"k":[1,null,[2,null]]}'],
  ['? a\n: - b\n? c\n', '{"a":["b"],"c":null}'],
  ['%YAML 1.1\n%TAG !e! tag:yaml.org,2002:\n--- !e!int "7"\n...\n---\nb', '7'],
  ['!<tag:yaml.org,2002:str> 1', '"1"'],
  ['!!int 5: a\n! 6: b', '{"5":"a","6":"b"}'],
  ['- !!float 3\n- !!float 1e3\n- !!null ""\n- !!str\n- &a\n- *a', '[3,1000,null,"",null,null]'],
  ['1000000.0: a\n-0.0: b\n.inf: c\n1e39: d', '{"-0":"b",".inf":"d","1e+06":"a"}'],
  ['&a a: 1\n*a : 2', '{"a":2}'],
  ['2020-01-01: a\n? "2020-01-02"\n: 2020-01-02', '{"2020-01-01":"a","2020-01-02":"2020-01-02"}'],
  ['b: 1\n<<: {0x10: a, True: c, ~: d}', '{"0x10":"a","True":"c","b":1}'],
  ['1: b\n<<: {0x10: a, True: c}', '{"1":"b","16":"a","true":"c"}'],
  ['<<: {"<<": a, b: c}', '{"b":"c"}'],
  ['a: !!int no\na: 1', '{"a":1}'],
  ['a\n---\n&x b\n---\n*x', '"a"'],
  ['\ufeffa: 1', '{"a":1}'],
])('%j is read as %s', (text, expected) => {
  expect(call('yaml.unmarshal', JSON.stringify(text))).toBe(expected);
  expect(call('yaml.is_valid', JSON.stringify(text))).toBe('true');
});

test.each([
  ['~: a'],
  ['[a]: b'],
  ['? {a: b}\n: c'],
  ['x: .inf'],
  ['- &a [*a]'],
  ['a: *b'],
  ['!!int abc'],
  ['!!bool yes'],
  ['%YAML 1.2\n---\na: 1'],
  ['- a\n-b'],
  ['key: [a, b'],
  ['\ta: 1'],
  ['<<: 5'],
  ['  test:\ntest1: hello\n'],
  ['a: 1\n---\n\tb: 2\n'],
  ['[1,2,3'],
  // Control characters and what is no character.
  ...['\u0000', '\u0001', '\u0008', '\u000b', '\u001f', '\u007f', '\u0080', '\u009f', '\ufffe', '\uffff'].map(
    (text) => [`a${text}`],
  ),
  ['"\\ud800"'],
  ['"\\U00110000"'],
  ['"\\q"'],
  ['"\\x4"'],
  ['"a'],
  ["'a\n---\n'"],
  ['|x'],
  ['|0\n a'],
  ['|\n\ta'],
  ['a\n\tb: 1'],
  ['- a\n b: c'],
  ['a: b: c'],
  ['a: - b'],
  ['"a"\nb: 1'],
  ['a: 1\nb'],
  ['...'],
  ['a\n...\nb'],
  ['a\n--- |x'],
  ['a\n---\n*x'],
  ['%FOO\n---\na'],
  ['%YAML 1.1\n%YAML 1.1\n---\na'],
  ['%YAML 1.1\na'],
  ['%TAG !a tag:\n---\na'],
  ['!a!b c'],
  ['!<a b'],
  ['!%zz a'],
  ['& a'],
  ['*'],
  ['&a &b c'],
  ['[?]'],
  ['{a: 1]'],
  ['[a b: c\n d: e]: f\ng'],
  [', a'],
  ['] a'],
  ['`a'],
  ['@a'],
  ['2020-01-01: a\n2020-01-01: b'],
  ['1.0: a\n"1.0": b'],
  ['<<: a'],
  ['<<: [1]'],
  ['x: &x [{a: 1}]\n<<: *x'],
  ['<<: []\n<<: {a: 1}'],
  ['!!float 18446744073709551615'],
  ['!!binary "?"'],
  [`${'a'.repeat(1_025)}: 1\nb: 1`],
])('%j is no YAML that has a value', (text) => {
  expect(call('yaml.unmarshal', JSON.stringify(text))).toMatch(/^eval_builtin_error: yaml: /);
  expect(call('yaml.is_valid', JSON.stringify(text))).toBe('false');
});

test('what is no text is no YAML', () => {
  expect(call('yaml.is_valid', '1')).toBe('false');
  expect(call('yaml.unmarshal', '1')).toBe('eval_type_error: operand 1 must be string but got number');
  expect(call('yaml.unmarshal', '"[1,2,3"')).toMatch(/^eval_builtin_error: yaml: line 1: did not find/);
});

test.each([
  ['{"b": [1, "x", null, true], "a": {"k": "v"}}', 'a:\n  k: v\nb:\n  - 1\n  - x\n  - null\n  - true\n'],
  ['"text"', 'text\n'],
  ['[1, [2, 3], {"a": []}]', '- 1\n- - 2\n  - 3\n- a: []\n'],
  ['"multi\\nline"', '|-\n  multi\n  line\n'],
  ['"multi\\nline\\n"', '|\n  multi\n  line\n'],
  ['" lead"', "' lead'\n"],
  ['"trail "', "'trail '\n"],
  ['"a: b"', "'a: b'\n"],
  ['"#x"', "'#x'\n"],
  ['"- x"', "'- x'\n"],
  ['"-x"', '-x\n'],
  ['"yes"', '"yes"\n'],
  ['"true"', '"true"\n'],
  ['"123"', '"123"\n'],
  ['"1.5"', '"1.5"\n'],
  ['"~"', '"~"\n'],
  ['""', '""\n'],
  ['"a\'b"', "a'b\n"],
  ['"a\\"b"', 'a"b\n'],
  ['"a\\tb"', '"a\\tb"\n'],
  ['"\\u00e9"', '\u00e9\n'],
  ['"\\ud83d\\ude00"', '"\\U0001F600"\n'],
  ['"\\u0001"', '"\\x01"\n'],
  ['"a\\n b"', '|-\n  a\n   b\n'],
  ['"x \\ny"', '"x \\ny"\n'],
  ['"0x1f"', '"0x1f"\n'],
  ['"2023-01-01"', '"2023-01-01"\n'],
  ['"12:30:45"', '"12:30:45"\n'],
  ['"a,b"', 'a,b\n'],
  ['"[x]"', "'[x]'\n"],
  ['"{x"', "'{x'\n"],
  ['"@a"', "'@a'\n"],
  ['"%a"', "'%a'\n"],
  ['"`a"', "'`a'\n"],
  ['"*a"', "'*a'\n"],
  ['"&a"', "'&a'\n"],
  ['"!a"', "'!a'\n"],
  ['"?a"', '?a\n'],
  ['"? a"', "'? a'\n"],
  ['"?"', "'?'\n"],
  ['":a"', ':a\n'],
  ['"a:"', "'a:'\n"],
  ['"a :b"', 'a :b\n'],
  ['"a #b"', "'a #b'\n"],
  ['"a#b"', 'a#b\n'],
  ['"---"', "'---'\n"],
  ['"--- a"', "'--- a'\n"],
  ['"..."', "'...'\n"],
  ['"-"', "'-'\n"],
  ['"="', '=\n'],
  ['"<<"', '<<\n'],
  ['"null"', '"null"\n'],
  ['"Null"', '"Null"\n'],
  ['"1_000"', '"1_000"\n'],
  ['"\\n"', '|2+\n\n'],
  ['"\\n\\n"', '|2+\n\n\n'],
  ['"a\\n\\n"', '|+\n  a\n\n'],
  ['"a\\n\\nb"', '|-\n  a\n\n  b\n'],
  ['" \\na"', '" \\na"\n'],
  ['"\\u2028"', "'\u2028'\n"],
  ['"\\u00a0"', '\u00a0\n'],
  ['"\\r"', '"\\r"\n'],
  [
    '{"a b": 1, "": 2, "true": 3, "1": 4, "long\\nkey": 5}',
    '"": 2\n"1": 4\na b: 1\n? |-\n  long\n  key\n: 5\n"true": 3\n',
  ],
  [
    '{"a10": 1, "a2": 2, "A1": 3, "b": 4, "_x": 5, "1a": 6, "a": 7}',
    '_x: 5\n1a: 6\nA1: 3\na: 7\na2: 2\na10: 1\nb: 4\n',
  ],
  ['{"x": {"y": {"z": []}, "w": {}}}', 'x:\n  w: {}\n  "y":\n    z: []\n'],
  ['[[[]]]', '- - []\n'],
  ['[[1], [2]]', '- - 1\n- - 2\n'],
  ['[{"a": 1, "b": 2}, {"c": [1]}]', '- a: 1\n  b: 2\n- c:\n    - 1\n'],
  ['{"a": [{"b": 1, "c": [1, 2]}]}', 'a:\n  - b: 1\n    c:\n      - 1\n      - 2\n'],
  ['{"a": "x\\ny"}', 'a: |-\n  x\n  y\n'],
  ['[["a\\nb"]]', '- - |-\n    a\n    b\n'],
  ['{"s": ["x\\ny\\n"]}', 's:\n  - |\n    x\n    y\n'],
  ['123456789', '123456789\n'],
  ['1.5', '1.5\n'],
  ['1234567.5', '1.2345675e+06\n'],
  ['1e+21', '1e+21\n'],
  ['1e-05', '1e-05\n'],
  ['100000000000000000000000', '1e+23\n'],
])('%s is written as %j', (value, expected) => {
  expect(JSON.parse(call('yaml.marshal', value))).toBe(expected);
});

test('sets and keys that are no texts are written as JSON has them', () => {
  const text = '\'[2]\': []\n"1":\n  - a\n  - b\n';
  expect(JSON.parse(call('yaml.marshal', '{1:{"b","a"},{2}:set()}'))).toBe(text);
});

test.each([['!!timestamp 2020-01-01'], ['\ufeff\ufeffa']])(
  '%j is refused, though OPA makes something of it',
  (text) => {
    expect(call('yaml.is_valid', JSON.stringify(text))).toBe('false');
  },
);

test('a key has at most 1,024 characters, the last of them on its line', () => {
  const longest = 'é'.repeat(1_024);
  expect(call('yaml.unmarshal', JSON.stringify(`${longest}: 1`))).toBe(`{"${longest}":1}`);
  expect(call('yaml.unmarshal', JSON.stringify(`${longest}é: 1`))).toMatch(/^eval_builtin_error: /);
});

test('aliases of aliases are too many values before they are expanded', () => {
  const lines = [
    'a0: &a0 [x, x]',
    ...Array.from({ length: 40 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`),
  ];
  expect(call('yaml.unmarshal', JSON.stringify(lines.join('\n')))).toBe('eval_builtin_error: yaml: too many aliases');
  const flat = JSON.stringify(`[${'a,'.repeat(200_000)}]`);
  expect(call('yaml.unmarshal', flat)).toBe('eval_builtin_error: yaml: too many values');
});

test('documents that are nested too deep, and long ones, are refused or charged', () => {
  expect(call('yaml.unmarshal', JSON.stringify(`${'['.repeat(1_200)}${']'.repeat(1_200)}`))).toMatch(
    /^eval_builtin_error: yaml: /,
  );
  const long = JSON.stringify('- a\n'.repeat(1_000));
  expect(() => callBuiltin(YAML_BUILTINS, 'yaml.unmarshal', long, { steps: 1e5 })).toThrow(OutOfSteps);
});
