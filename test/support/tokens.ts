import { writeFile } from 'node:fs/promises';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/** An issuer that exists for one test: a fresh key, its public set, and tokens signed with it. */
export interface TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithm: string;
  readonly jwks: { readonly keys: readonly JWK[] };
  writeJwks(file: string): Promise<void>;
  /** Signs a token of ten minutes; a claim set to `undefined` is left out. */
  mint(claims?: JWTPayload): Promise<string>;
}

export interface TestIssuerOptions {
  readonly issuer?: string;
  readonly audience?: string;
  readonly algorithm?: string;
  readonly keyId?: string;
}

export async function createTestIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const { issuer = 'https://issuer.test', audience = 'sallyport', algorithm = 'ES256', keyId = 'test-1' } = options;
  const { publicKey, privateKey } = await generateKeyPair(algorithm);
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: keyId, alg: algorithm, use: 'sig' }] };
  return {
    issuer,
    audience,
    algorithm,
    jwks,
    writeJwks: (file) => writeFile(file, JSON.stringify(jwks)),
    mint: (claims = {}) => {
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const payload = {
        iss: issuer,
        aud: audience,
        sub: 'test-user',
        iat: nowSeconds,
        exp: nowSeconds + 600,
        ...claims,
      };
      return new SignJWT(payload).setProtectedHeader({ alg: algorithm, kid: keyId }).sign(privateKey);
    },
  };
}
