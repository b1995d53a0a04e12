import { execFileSync } from 'node:child_process';
import { isObject } from '../../../src/decision/json.ts';
import type { Random } from '../../support/seed.ts';
import { requireTool } from '../../support/tools.ts';
import type { Kind } from './rego-literals.ts';

/** A builtin that generated rules call. */
export interface Signature {
  readonly name: string;
  readonly args: readonly (readonly Kind[])[];
  readonly result: Kind;
}

/**
 * Those that are not called: with no answer that could be compared, that may take for ever, or with suites of their own;
 * and `object.union_n`, which has no answer for an empty list in OPA's Wasm.
 */
const LEFT_OUT =
  /^(assign|eq|print|trace|internal\..*|walk|http\.send|net\.lookup_ip_addr|opa\.runtime|rand\..*|uuid\.rfc4122|time\.now_ns|rego\..*|providers\..*|graphql\..*|io\.jwt\..*|crypto\.(x509\..*|parse_private_keys)|strings\.render_template|numbers\.range|numbers\.range_step|object\.union_n|bits\.lsh|net\.cidr_expand|time\.add_date)$/;

/** OPA compiles no call of these any more. */
const DEPRECATED = /^(cast_.*|set_diff|all|any|re_match|net\.cidr_overlap)$/;

/** The other builtins of the OPA that is there. */
export function readSignatures(): readonly Signature[] {
  const out = execFileSync(requireTool('opa'), ['capabilities', '--current'], {
    encoding: 'utf8',
    maxBuffer: 16 * 1_048_576,
  });
  const { builtins }: { builtins?: unknown } = JSON.parse(out);
  if (!Array.isArray(builtins)) throw new Error('`opa capabilities` lists no builtins');
  return builtins.flatMap((builtin: unknown) => {
    const decl = memberOf(builtin, 'decl');
    const name = String(memberOf(builtin, 'name'));
    const args = memberOf(decl, 'args');
    const result = memberOf(decl, 'result');
    if (LEFT_OUT.test(name) || DEPRECATED.test(name) || result === undefined) return [];
    const [kind = 'any'] = kindsOf(result);
    return [{ name, args: Array.isArray(args) ? args.map(kindsOf) : [], result: kind }];
  });
}

/** What may make texts of bytes that are no UTF-8: OPA's texts can hold those, ours have U+FFFD there. */
export const DECODES = /^(base64(url)?|hex|urlquery)\.decode/;

/** Texts that a builtin of that family may take. */
export function textFor(random: Random, name: string): string | undefined {
  for (const [prefix, texts] of TEXTS) if (name.startsWith(prefix)) return random.pick(texts);
  return undefined;
}

const TEXTS: readonly (readonly [string, readonly string[]])[] = [
  ['regex.', ['^a+$', 'a.*', '[a-c]+', '(a)(b)?', '\\d+', '', '(', 'ab', 'aab', 'ä', '(?i)A', 'a|b', '^$', 'a{1,3}']],
  ['glob.', ['*', 'a*', '**', 'a.b', 'a/b', '{a,b}', '[a-c]', '?', 'a.*.c', '']],
  [
    'time.',
    ['2020-02-30T00:00:00Z', '2020-02-29T23:59:60Z', '2021-03-04T05:06:07.89+02:00', '1h', '1.5h', '3d', 'UTC'],
  ],
  [
    'net.',
    ['10.0.0.0/28', '10.0.0.1', '::1', '2001:db8::/120', '10.0.0.0/33', '300.1.1.1', '10.0.0.9/28', 'fe80::/10'],
  ],
  ['semver.', ['1.2.3', '1.2.3-rc.1', '01.2.3', '1.2', 'v1.0.0', '1.2.3+b']],
  ['units.', ['10K', '1.5Mi', '100m', '0x1', '1e3', 'K', '5G', '-3', '10kb', '']],
  ['json.', ['{"a":1.0}', '[1,2', '"x"', '{"__proto__":{"a":[1e3]}}', 'null', '1 2', '0.10', '"\\ud83d\\ude00"', '01']],
  [
    'yaml.',
    [
      'a: 1',
      '[1, 2]',
      'x: [',
      '"s"',
      'a: {b: 1e3}',
      '- 1\n- yes',
      'null',
      ' a\n b ',
      'a:\tb',
      '...',
      '- \u2028- a',
      '\u0085',
    ],
  ],
  // The empty text, which OPA's Wasm cannot decode, is no literal here.
  ['base64', ['aGk=', 'aGk', 'YQ=', '!', '8J+YgA==', '8J-YgA']],
  ['hex.', ['616263', 'zz', 'ABC', '00', '']],
  ['urlquery.', ['a=1&b=2', 'a%20b', '%zz', 'a+b', '__proto__=1&a=&a=2']],
  ['uri.', ['https://u:p@h:80/p?q=1#f', '::', 'a b', '/p', 'mailto:x@y']],
  ['uuid.', ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6ba7b810', 'urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8']],
  ['sprintf', ['%v', '%d|%s', '%5.2f', '%x', '%q', '%%', '%T', '%v %v %v', '%08.3f', '%-5s|', '%c', '%e', 'no', '%!']],
  ['to_number', ['1', '1.0', '1e3', '0x10', ' 1', '1_000', 'NaN', '-0', '.5', '5.', '1e400', '9007199254740993', '+1']],
  ['format_int', ['1']],
];

function kindsOf(type: unknown): readonly Kind[] {
  const of = memberOf(type, 'of');
  if (memberOf(type, 'type') === 'any' && Array.isArray(of)) return of.flatMap(kindsOf);
  const name = memberOf(type, 'type');
  return [KINDS_BY_TYPE.get(String(name)) ?? 'any'];
}

const KINDS_BY_TYPE: ReadonlyMap<string, Kind> = new Map(
  (['null', 'boolean', 'number', 'string', 'array', 'object', 'set'] as const).map((kind) => [kind, kind]),
);

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
