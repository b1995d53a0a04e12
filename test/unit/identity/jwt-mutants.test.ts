import { describe, expect, test } from 'vitest';
import { SIGNATURE_ALGORITHMS } from '../../../src/identity/config.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { jwtIssuer, jwtMethod, payload, publicJwk, testKey, token, verdictOf } from './support.ts';

/** SECURITY row 8, long run: whatever is changed in a signed token, it is refused. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,"\0é';

type Mutate = (text: string, random: Random) => string;

const replace: Mutate = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + ALPHABET.charAt(random.below(ALPHABET.length)) + text.slice(at + 1);
};
const insert: Mutate = (text, random) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + ALPHABET.charAt(random.below(ALPHABET.length)) + text.slice(at);
};
const cut: Mutate = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + text.slice(at + 1 + random.below(8));
};
const repeat: Mutate = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + text.slice(Math.max(0, at - 1 - random.below(20)));
};
const swapParts: Mutate = (text, random) => {
  const parts = text.split('.');
  const [a, b] = [random.below(parts.length), random.below(parts.length)];
  return parts.map((part, index) => parts[index === a ? b : index === b ? a : index] ?? part).join('.');
};
/** Changes the bytes within a part and encodes them properly again. */
const flipBits: Mutate = (text, random) => {
  const parts = text.split('.');
  const at = random.below(parts.length);
  const bytes = Buffer.from(parts[at] ?? '', 'base64url');
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
  return parts.map((part, index) => (index === at ? bytes.toString('base64url') : part)).join('.');
};

const MUTATIONS: readonly Mutate[] = [replace, insert, cut, repeat, swapParts, flipBits, flipBits];

describe('mutants of a good token', () => {
  test('are all refused, while the good one is remembered', async () => {
    const random = createRandom(seedOf('jwt mutants'));
    const keys = SIGNATURE_ALGORITHMS.map((algorithm) => testKey(algorithm));
    const method = jwtMethod(
      await jwtIssuer(
        { algorithms: SIGNATURE_ALGORITHMS },
        keys.map((key) => publicJwk(key)),
      ),
    );
    const tokens = keys.map((key) => token(key, payload()));
    for (const good of tokens) expect(await verdictOf(method, `Bearer ${good}`)).toMatchObject({ kind: 'verified' });
    const count = caseCount(5_000);
    let tried = 0;
    while (tried < count) {
      const good = random.pick(tokens);
      let mutant = good;
      for (let rounds = 1 + random.below(3); rounds > 0; rounds -= 1) mutant = random.pick(MUTATIONS)(mutant, random);
      if (mutant === good) continue;
      tried += 1;
      const found = await verdictOf(method, `Bearer ${mutant}`);
      if (found?.kind !== 'refused') throw new Error(`a mutant was not refused, seed ${random.seed}: ${mutant}`);
      expect(found.code).toBe('invalid_credential');
    }
    console.info(`row 8: ${tried} mutants, 0 accepted`);
  });
});
