import { createHmac, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { BUILTINS } from '../../../../src/policy/builtins/all.ts';
import type { BuiltinContext } from '../../../../src/policy/builtins/builtin.ts';
import { PER_EVALUATION } from '../../../../src/policy/plan/plan-facts.ts';
import { FORBIDDEN_BUILTINS } from '../../../../src/policy/policy-engine.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';
import type { Value } from '../../../../src/policy/values/value.ts';

const GOLDEN = join(import.meta.dirname, '../../../golden/x509');
const pem = (name: string): string => readFileSync(join(GOLDEN, `${name}.pem`), 'utf8');
const CHAIN = pem('root') + pem('leaf');
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const SECRET = 'a secret of a token';
const TOKEN = tokenOf({ sub: 'alice', exp: 2_000_000_000, nbf: 1_000_000_000 });

function tokenOf(claims: object): string {
  const parts = [{ alg: 'HS256', typ: 'JWT' }, claims].map((one) => Buffer.from(JSON.stringify(one)));
  const signed = parts.map((one) => one.toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** Operands of which each builtin takes some: it is called with all pairs of them, and with more behind each pair. */
const OPERANDS: readonly Value[] = [
  ...['""', '"a"', '"2024-02-29T12:00:00Z"', '"10.0.0.0/8"', '"a: [1, 2]"', '"1h30m"', '"1.2.3"', '"%v"', '"sha256"'],
  ...['0', '7', '-1.5', '1700000000000000000', 'true', 'null', 'set()', '{"a", "b"}', '{{"b", "c"}}', '[]', '[1, 2]'],
  ...['["a", "b"]', '[[1, 2], [3]]', '[1700000000000000000, "Europe/Berlin"]', '{}', '{"a": 1, "b": {"c": [1]}}'],
  ...[
    '[{"op": "add", "path": "/a", "value": 1}]',
    '[["a"], ["b", "c"]]',
    '{"a": {"b"}, "b": set()}',
    '{"type": "object"}',
  ],
].map(operand);
const LAST: readonly (readonly Value[])[] = [
  ['a', 'b'],
  [2, 0],
  [{ a: 1 }, null],
  [1, 1],
];

/** What builtins of the clock and of chance are called with, to see that they ask for it. */
const OWN_OPERANDS: ReadonlyMap<string, readonly Value[]> = new Map<string, readonly Value[]>([
  ['crypto.x509.parse_and_verify_certificates', [CHAIN]],
  ['crypto.x509.parse_and_verify_certificates_with_options', [CHAIN, { DNSName: 'leaf.test' }]],
  ['crypto.x509.parse_certificates', [CHAIN]],
  ['io.jwt.decode', [TOKEN]],
  ['io.jwt.decode_verify', [TOKEN, { secret: SECRET }]],
  ['io.jwt.encode_sign', [{ alg: 'ES256' }, { sub: 'alice' }, operand(JSON.stringify(KEY))]],
  ['io.jwt.encode_sign_raw', ['{"alg":"ES256"}', '{"sub":"alice"}', JSON.stringify(KEY)]],
  ['io.jwt.verify_hs256', [TOKEN, SECRET]],
  ['rand.intn', ['a', 1_000_000_000]],
  ['time.now_ns', []],
  ['uuid.rfc4122', ['a']],
]);

function operand(text: string): Value {
  const value = parseRegoText(text);
  if (value === undefined) throw new Error(`no value: ${text}`);
  return value;
}

function* callsOf(name: string): Generator<readonly Value[]> {
  const own = OWN_OPERANDS.get(name);
  if (own !== undefined) yield own;
  for (const [at, a] of OPERANDS.entries()) {
    for (const [other, b] of OPERANDS.entries()) yield [a, b, ...(LAST[(at + other) % LAST.length] ?? [])];
  }
}

/** One evaluation's circumstances; `asked` is called for what another evaluation has differently. */
function contextOf(epochMs: number, asked: () => void): BuiltinContext {
  return {
    strict: true,
    charge: () => undefined,
    get at() {
      asked();
      return { epochMs, monotonicMs: epochMs };
    },
    randomFor: () => {
      asked();
      return new Uint8Array(32).fill(epochMs % 251);
    },
  };
}

/** What a builtin answers at this time of day, or why it has no answer. */
function answerOf(name: string, operands: readonly Value[], epochMs: number, asked: () => void): string {
  const [a = null, b = null, c = null, d = null] = operands;
  vi.setSystemTime(epochMs);
  try {
    const answer = BUILTINS.get(name)?.(contextOf(epochMs, asked), a, b, c, d);
    return answer === undefined ? 'undefined' : toRegoText(answer);
  } catch (error) {
    // Some refuse with another error what would take too much work.
    return `failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

afterEach(() => {
  vi.useRealTimers();
});

test('every builtin that asks for the clock or for chance, or answers twice differently, is known as one', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'hrtime'] });
  const differing = new Set<string>();
  let answers = 0;
  for (const name of BUILTINS.keys()) {
    for (const operands of callsOf(name)) {
      const asked = (): unknown => differing.add(name);
      const first = answerOf(name, operands, Date.UTC(2024, 1, 29, 12), asked);
      const second = answerOf(name, operands, Date.UTC(2040, 6, 1), asked);
      if (first !== second) asked();
      if (!first.startsWith('failed: ')) answers += 1;
    }
  }
  expect([...differing].filter((name) => !PER_EVALUATION.has(name))).toEqual([]);
  // All of them, but for those that only have effects.
  const silent = [...PER_EVALUATION].filter((name) => BUILTINS.has(name) && !differing.has(name));
  expect(silent).toEqual(['internal.print', 'trace']);
  expect(answers).toBeGreaterThan(10_000);
});

test('what is known as one is the name of a builtin', () => {
  // The compiler leaves no call of `print` in a plan.
  const known = (name: string): boolean => BUILTINS.has(name) || FORBIDDEN_BUILTINS.has(name) || name === 'print';
  expect([...PER_EVALUATION].filter((name) => !known(name))).toEqual([]);
});
