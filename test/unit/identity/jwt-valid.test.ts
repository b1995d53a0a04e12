import { describe, expect, test } from 'vitest';
import { SIGNATURE_ALGORITHMS } from '../../../src/identity/config.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import {
  AUDIENCE,
  encode,
  jwtIssuer,
  jwtMethod,
  NOW_SECONDS,
  payload,
  publicJwk,
  signature,
  type TestKey,
  testKey,
  verdictOf,
} from './support.ts';

/** SECURITY row 8, the other side: no valid token is refused, however its issuer writes it. */

const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'Exp',
  'é',
  '日本',
  '',
  ' ',
  'a.b',
  '/x',
  'nonce',
  'azp',
  'cnfx',
];

function someValue(random: Random, depth: number): unknown {
  switch (random.below(depth > 0 ? 8 : 6)) {
    case 0:
      return random.next() * 1e6;
    case 1:
      return random.below(2 ** 31) - 2 ** 30;
    case 2:
      return random.chance(0.5);
    case 3:
      return null;
    case 4:
      return '𝄞 "\\ \n\u2028\u0000 é';
    case 5:
      return Buffer.from(random.bytes(random.below(30))).toString('base64');
    case 6:
      return Array.from({ length: random.below(4) }, () => someValue(random, depth - 1));
    default:
      return someMembers(random, depth - 1);
  }
}

function someMembers(random: Random, depth: number): { readonly [name: string]: unknown } {
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, (_, at) => [`${random.pick(NAMES)}${at}`, someValue(random, depth)]),
  );
}

/** Members in any order and white space between tokens, which JSON leaves to the writer. */
function written(members: { readonly [name: string]: unknown }, random: Random): string {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  for (let at = entries.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    const [a, b] = [entries[at], entries[other]];
    if (a !== undefined && b !== undefined) [entries[at], entries[other]] = [b, a];
  }
  return JSON.stringify(Object.fromEntries(entries), undefined, random.pick([0, 0, 1, '\t', ' \r\n'.slice(0, 1)]));
}

function someToken(key: TestKey, random: Random): string {
  const header = {
    alg: key.algorithm,
    kid: key.kid,
    typ: random.pick([undefined, 'JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/JWT']),
    x5t: random.pick([undefined, 'AAAA']),
  };
  const ahead = random.below(10_000);
  const claims = payload({
    ...someMembers(random, 3),
    aud: random.pick<unknown>([AUDIENCE, [AUDIENCE], ['other', AUDIENCE]]),
    iat: random.pick([undefined, NOW_SECONDS, NOW_SECONDS + 30, NOW_SECONDS - 0.5, 0]),
    nbf: random.pick([undefined, NOW_SECONDS, NOW_SECONDS + 30, -1, 0]),
    exp: random.pick([NOW_SECONDS + 31 + ahead, NOW_SECONDS + 30.001, 9_007_199_254_740_991, 1e15]),
    roles: random.pick<unknown>([undefined, [], 'reader', ['reader', 'a:b/c@d.e']]),
    scope: random.pick<unknown>([undefined, '', 'a', 'a b:c', ['a', 'b']]),
    tenant: random.pick([undefined, 'tenant-a', 'x'.repeat(128)]),
    sub: random.pick([undefined, 'user', 'Ünïcode', 'a b|c']),
  });
  const input = `${encode(written(header, random))}.${encode(written(claims, random))}`;
  return `${input}.${signature(key.algorithm, key.privateKey, input)}`;
}

describe('valid tokens', () => {
  test('are accepted, however they are written', async () => {
    const random = createRandom(seedOf('valid tokens'));
    const keys = SIGNATURE_ALGORITHMS.map((algorithm) => testKey(algorithm));
    const method = jwtMethod(
      await jwtIssuer(
        { algorithms: SIGNATURE_ALGORITHMS },
        keys.map((key) => publicJwk(key)),
      ),
    );
    const count = caseCount(2200);
    for (let tried = 0; tried < count; tried += 1) {
      const presented = someToken(random.pick(keys), random);
      const found = await verdictOf(method, `Bearer ${presented}`);
      if (found?.kind !== 'verified') throw new Error(`${JSON.stringify(found)}, seed ${random.seed}: ${presented}`);
    }
    expect(count).toBeGreaterThan(0);
    console.info(`row 8: ${count} valid tokens, 0 refused`);
  });
});
