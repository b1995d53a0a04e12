import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import type { SignatureAlgorithm } from '../../src/identity/config.ts';
import { readVectors, type Vector, type VectorGroup, wycheproofOrSkip } from '../support/wycheproof.ts';
import { encode, jwtIssuer, jwtMethod, payload, verdictOf } from '../unit/identity/support.ts';

/**
 * SECURITY row 8: Wycheproof's signatures, taken the whole way of a token: key set, key import, token reader, jose and
 * WebCrypto. They sign messages of their own, so the message is exchanged at WebCrypto's door, and nothing else is.
 */

const HASH_BYTES = new Map([
  ['SHA-256', 32],
  ['SHA-384', 48],
  ['SHA-512', 64],
]);

const CURVE_ALGORITHMS = new Map<string | undefined, { readonly algorithm: SignatureAlgorithm; readonly sha: string }>([
  ['P-256', { algorithm: 'ES256', sha: 'SHA-256' }],
  ['P-384', { algorithm: 'ES384', sha: 'SHA-384' }],
  ['P-521', { algorithm: 'ES512', sha: 'SHA-512' }],
]);

/** How a group is presented. `foreign`: what JOSE forbids, so that even its valid signatures are forgeries here. */
interface Presented {
  readonly algorithm: SignatureAlgorithm;
  readonly foreign: boolean;
}

function presentedAs({ type, jwk, sha, saltBytes, maskSha }: VectorGroup): Presented {
  if (type === 'EddsaVerify') return { algorithm: 'EdDSA', foreign: false };
  const curve = CURVE_ALGORITHMS.get(jwk.crv);
  if (curve !== undefined) {
    return { algorithm: curve.algorithm, foreign: type !== 'EcdsaP1363Verify' || sha !== curve.sha };
  }
  const bits = [...HASH_BYTES.keys()].find((known) => known === sha)?.slice(4);
  // These names are all those of SIGNATURE_ALGORITHMS.
  const algorithm = `${type === 'RsassaPssVerify' ? 'PS' : 'RS'}${bits ?? '256'}` as SignatureAlgorithm;
  if (type === 'RsassaPkcs1Verify') return { algorithm, foreign: bits === undefined };
  if (type !== 'RsassaPssVerify') throw new Error(`a group is of the unknown type \`${type}\``);
  return { algorithm, foreign: bits === undefined || maskSha !== sha || saltBytes !== HASH_BYTES.get(sha ?? '') };
}

/** Wrong for its group, which has no salt; right for PS256, whose salt is as long as its hash (RFC 7518 §3.5). */
const GOOD_FOR_JOSE = new Set(['rsa_pss_2048_sha256_mgf1_0_test.json 69: s_len changed to 32']);

interface Tally {
  tried: number;
  readonly forgedAccepted: string[];
  readonly validRefused: string[];
  readonly acceptable: { accepted: number; refused: number };
}

let message: Buffer | undefined;
let spy: MockInstance<typeof crypto.subtle.verify>;

beforeEach(() => {
  const verify = crypto.subtle.verify.bind(crypto.subtle);
  spy = vi
    .spyOn(crypto.subtle, 'verify')
    .mockImplementation((algorithm, key, signature, data) =>
      verify(algorithm, key, signature, message === undefined ? data : Buffer.from(message)),
    );
});

afterEach(() => {
  spy.mockRestore();
  message = undefined;
});

async function judgeGroup(group: VectorGroup, tally: Tally): Promise<void> {
  const { algorithm, foreign } = presentedAs(group);
  const kid = 'vector';
  const method = jwtMethod(await jwtIssuer({ algorithms: [algorithm] }, [{ ...group.jwk, kid, alg: algorithm }]));
  const input = `${encode({ alg: algorithm, kid })}.${encode(payload())}`;
  for (const vector of group.vectors) {
    ({ message } = vector);
    // Two vectors may share a signature; a token of its own each, or the second would be remembered.
    const found = await verdictOf(method, `Bearer ${input}.${vector.signature.toString('base64url')}`);
    note(tally, vector, foreign, found?.kind === 'verified');
  }
}

function note(tally: Tally, { name, wanted }: Vector, foreign: boolean, accepted: boolean): void {
  tally.tried += 1;
  if (GOOD_FOR_JOSE.has(name)) {
    if (!accepted) tally.validRefused.push(name);
  } else if (foreign || wanted === 'invalid') {
    if (accepted) tally.forgedAccepted.push(name);
  } else if (wanted === 'acceptable') {
    tally.acceptable[accepted ? 'accepted' : 'refused'] += 1;
  } else if (!accepted) tally.validRefused.push(name);
}

const folder = wycheproofOrSkip();

describe.skipIf(folder === undefined)('the signatures of Wycheproof', () => {
  const groups = folder === undefined ? [] : readVectors(folder);
  const families: readonly (readonly [string, (group: VectorGroup) => boolean])[] = [
    ['ECDSA in the form of JOSE', ({ type }) => type === 'EcdsaP1363Verify'],
    ['ECDSA in DER, which is not the form of JOSE', ({ type }) => type === 'EcdsaVerify'],
    ['EdDSA', ({ type }) => type === 'EddsaVerify'],
    ['RSASSA-PKCS1-v1_5', ({ type }) => type === 'RsassaPkcs1Verify'],
    ['RSASSA-PSS', ({ type }) => type === 'RsassaPssVerify'],
  ];

  test('are all of a family below', () => {
    expect(groups.filter((group) => !families.some(([, belongs]) => belongs(group))).map(({ file }) => file)).toEqual(
      [],
    );
    expect(groups.length).toBeGreaterThan(500);
  });

  test.each(families)('%s: none forged is accepted, none valid is refused', async (family, belongs) => {
    const tally: Tally = { tried: 0, forgedAccepted: [], validRefused: [], acceptable: { accepted: 0, refused: 0 } };
    for (const group of groups.filter(belongs)) await judgeGroup(group, tally);
    expect(tally.tried).toBeGreaterThan(100);
    expect(tally.forgedAccepted).toEqual([]);
    expect(tally.validRefused).toEqual([]);
    // The encoding of PKCS#1 v1.5 without the NULL of its parameters: either answer is right, and it must not change.
    expect(tally.acceptable.accepted).toBe(0);
    console.info(
      `row 8: Wycheproof ${family}: ${tally.tried} vectors, 0 forged accepted, 0 valid refused, ` +
        `${tally.acceptable.refused} acceptable ones refused`,
    );
  });
});
