import { execFileSync } from 'node:child_process';
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type BuiltinContext, BuiltinFailure } from '../../src/policy/builtins/builtin.ts';
import { JWT_BUILTINS } from '../../src/policy/builtins/jwt.ts';
import { parseJson } from '../../src/policy/values/json.ts';
import { parseRegoText, toRegoText } from '../../src/policy/values/text.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';

const COUNT = caseCount(1_500);
/** One run of OPA's is for so many calls: it compiles larger policies slowly. */
const BATCH = 1_000;
const UNDEFINED = 'undefined';
const SECRET = 'shared';

const PAIRS = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2_048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed: generateKeyPairSync('ed25519'),
};
const PAIR_LIST = Object.values(PAIRS);
const ALGORITHMS = [
  ...['RS', 'PS', 'ES', 'HS'].flatMap((family) => ['256', '384', '512'].map((size) => family + size)),
  'EdDSA',
];
const HEADERS = [
  {},
  { kid: 'a' },
  { kid: 'b' },
  { typ: 'JWT' },
  { crit: ['x'], x: 1 },
  { crit: ['x'] },
  { crit: [] },
  { alg: 'none' },
  { alg: 1 },
  { kid: 1 },
  { enc: 'x' },
  { cty: 'x' },
  { cty: 'JWT' },
];
const CLAIMS = [
  {},
  { iss: 'i' },
  { iss: 'j', aud: 'a' },
  { aud: ['a', 'b'] },
  { exp: 100 },
  { exp: 99.5, nbf: 99 },
  { nbf: 101 },
  { exp: 'x' },
  { ü: '<&>', n: 1.5 },
  [],
  'x',
];
const CONSTRAINTS = [
  {},
  { iss: 'i' },
  { aud: 'a' },
  { time: 100e9 },
  { time: 99.7e9 },
  { alg: 'ES256' },
  { time: -1 },
  { foo: 1 },
];
const MORE = [
  {},
  {},
  {},
  { kid: 'a' },
  { kid: 'b' },
  { alg: 'RS256' },
  { alg: 'ES384' },
  { alg: 'RSA-OAEP' },
  { alg: 'X' },
  { use: 'sig' },
];

interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

describeWith(['opa'], 'tokens are judged as OPA judges them', () => {
  test(
    'over random tokens, keys and constraints',
    () => {
      const seed = seedOf('tokens-opa');
      const random = createRandom(seed);
      const calls = Array.from({ length: COUNT }, () => randomCall(random));
      const ofOpa: (string | undefined)[] = [];
      for (let at = 0; at < calls.length; at += BATCH) ofOpa.push(...evaluateWithOpa(calls.slice(at, at + BATCH)));
      const differing = calls.flatMap((call, index) => {
        const expected = ofOpa[index] ?? UNDEFINED;
        const actual = evaluateHere(call);
        return actual === expected ? [] : [{ seed, call, expected, actual }];
      });
      expect(differing).toStrictEqual([]);
      // Enough of them are good ones.
      expect(ofOpa.filter((answer) => answer === 'true' || answer?.startsWith('[true,')).length).toBeGreaterThan(
        calls.length / 50,
      );
    },
    60_000 + COUNT * 20,
  );
});

function randomCall(random: Random): Call {
  const alg = random.pick(ALGORITHMS);
  const pair = pairFor(alg, random);
  const token = randomToken(random, alg, pair.privateKey);
  const key = random.chance(0.7) ? randomKey(random, pair) : randomKey(random, random.pick(PAIR_LIST));
  switch (random.below(5)) {
    case 0:
      return { name: 'decode', args: [token] };
    case 1:
    case 2: {
      const named = random.chance(0.8) ? alg : random.pick(ALGORITHMS);
      const suffix = named === 'EdDSA' ? 'eddsa' : named.toLowerCase();
      return { name: `verify_${suffix}`, args: [token, named.startsWith('HS') ? SECRET : key] };
    }
    default: {
      const by = alg.startsWith('HS') && random.chance(0.8) ? { secret: SECRET } : { cert: key };
      const constraints = random.chance(0.5) ? random.pick(CONSTRAINTS) : { time: 99.2e9 };
      return { name: 'decode_verify', args: [token, { ...by, ...constraints }] };
    }
  }
}

function pairFor(alg: string, random: Random): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  if (alg === 'EdDSA') return PAIRS.ed;
  if (!alg.startsWith('ES')) return PAIRS.rsa;
  return random.pick([PAIRS.p256, PAIRS.p384, PAIRS.p521]);
}

function randomToken(random: Random, alg: string, key: KeyObject): string {
  const header = { alg, ...(random.chance(0.4) ? random.pick(HEADERS) : {}) };
  const claims = random.chance(0.1) ? nested(random, alg, key) : random.pick(CLAIMS);
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = changed(random, signatureOf(random, alg, signed, key)).toString('base64url');
  const whole = `${signed}.${signature}`;
  if (random.chance(0.9)) return whole;
  const at = random.below(whole.length);
  return whole.slice(0, at) + random.pick(['', '.', '=', '!', 'A', '\n', 'é']) + whole.slice(at + random.below(2));
}

function nested(random: Random, alg: string, key: KeyObject): string {
  const signed = `${encode({ alg })}.${encode({ iss: 'i' })}`;
  return `${signed}.${signatureOf(random, alg, signed, key).toString('base64url')}`;
}

function changed(random: Random, signature: Buffer): Buffer {
  if (random.chance(0.8)) return signature;
  const half = signature.length >> 1;
  const zero = Buffer.alloc(1);
  return random.pick([
    signature.subarray(1),
    Buffer.concat([zero, signature]),
    Buffer.concat([zero, signature.subarray(0, half), zero, signature.subarray(half)]),
    Buffer.from(signature.map((byte, at) => (at === 3 ? byte ^ 1 : byte))),
  ]);
}

function signatureOf(random: Random, alg: string, signed: string, key: KeyObject): Buffer {
  const digest = `sha${alg.slice(2)}`;
  const data = Buffer.from(signed);
  if (alg.startsWith('HS')) return createHmac(digest, SECRET).update(data).digest();
  if (alg === 'EdDSA') return sign(null, data, key);
  if (alg.startsWith('ES')) return sign(digest, data, { key, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('RS')) return sign(digest, data, key);
  const saltLength = random.chance(0.8) ? constants.RSA_PSS_SALTLEN_DIGEST : random.below(40);
  return sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
}

function randomKey(random: Random, { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): string {
  const jwk = (key: KeyObject): object => ({ ...key.export({ format: 'jwk' }), ...random.pick(MORE) });
  switch (random.below(5)) {
    case 0:
    case 1:
      return publicKey.export({ format: 'pem', type: 'spki' }).toString() + (random.chance(0.1) ? 'x' : '');
    case 2:
      return JSON.stringify(jwk(random.chance(0.2) ? privateKey : publicKey));
    case 3:
      return JSON.stringify({ keys: [jwk(random.pick(PAIR_LIST).publicKey), jwk(publicKey)] });
    default:
      return JSON.stringify({ keys: [{ kty: 'oct', k: encode(SECRET), ...random.pick(MORE) }, jwk(publicKey)] });
  }
}

function encode(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}

function evaluateHere({ name, args }: Call): string {
  const context: BuiltinContext = {
    at: { epochMs: Date.now(), monotonicMs: 0 },
    strict: false,
    randomFor: () => new Uint8Array(32),
    charge: () => undefined,
  };
  const [a = null, b = null] = args.map((arg) => parseJson(JSON.stringify(arg)) ?? null);
  try {
    const answer = JWT_BUILTINS.get(`io.jwt.${name}`)?.(context, a, b, null, null);
    return answer === undefined ? UNDEFINED : toRegoText(answer);
  } catch (error) {
    if (error instanceof BuiltinFailure) return UNDEFINED;
    throw error;
  }
}

/** Each answer as Rego text; what is undefined is missing. */
function evaluateWithOpa(calls: readonly Call[]): readonly (string | undefined)[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tokens-'));
  try {
    const rules = calls.map(({ name, args }, index) => {
      const operands = args.map((_, at) => `input[${index}][${at}]`).join(', ');
      return `answers["${index}"] := json.marshal(io.jwt.${name}(${operands}))`;
    });
    writeFileSync(join(folder, 'tokens.rego'), ['package tokens', ...rules, ''].join('\n'));
    writeFileSync(join(folder, 'input.json'), JSON.stringify(calls.map(({ args }) => args)));
    const out = execFileSync(
      requireTool('opa'),
      [
        'eval',
        '-f',
        'json',
        '-d',
        join(folder, 'tokens.rego'),
        '-i',
        join(folder, 'input.json'),
        'data.tokens.answers',
      ],
      { encoding: 'utf8', maxBuffer: 64 * 1_048_576 },
    );
    const answers = JSON.parse(out).result[0].expressions[0].value;
    return calls.map((_, index) => {
      const answer = answers[String(index)];
      return typeof answer === 'string' ? toRegoText(parseRegoText(answer)) : undefined;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
