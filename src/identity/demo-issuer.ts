import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Clock } from '../decision/ports.ts';
import { DEFAULT_CLAIMS, DEMO_ISSUER } from './config.ts';
import { createFixedKeySource } from './jwks.ts';
import type { JwtIssuer } from './jwt.ts';
import { importKeySet, parseKeySet } from './key-set.ts';

/** An issuer that lives in this process, so that a newcomer has a token to try: `insecure.demo_issuer`. */
export interface DemoIssuer {
  /** For `createAuthenticator`; its principals are marked `demo`. */
  readonly issuer: JwtIssuer;
  /** A token of ten minutes for tenant-a; claims given here replace the default ones. */
  mint(claims?: { readonly [name: string]: unknown }): Promise<string>;
}

/** The `aud` of demo tokens. */
export const DEMO_AUDIENCE = 'sallyport-demo';

const LIFETIME_SECONDS = 600;
const KID = 'demo';
/**
 * ES256 verifies at about twice the price of RS256, once per token and minute; but an RSA key takes tens to hundreds of
 * milliseconds to make, at every start.
 */
const ALGORITHM = 'ES256';

/** Makes a fresh key that never leaves this process. Call `checkDemoIssuer` first. */
export async function createDemoIssuer({ clock }: { readonly clock: Clock }): Promise<DemoIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: KID, alg: ALGORITHM, use: 'sig' }] };
  const set = await importKeySet(parseKeySet(JSON.stringify(jwks)), [ALGORITHM]);
  return {
    issuer: {
      settings: {
        issuer: DEMO_ISSUER,
        audiences: [DEMO_AUDIENCE],
        algorithms: [ALGORITHM],
        leeway_seconds: 0,
        claims: DEFAULT_CLAIMS,
        forward: false,
      },
      keys: createFixedKeySource(set),
      demo: true,
    },
    mint: (claims = {}) => {
      const issuedAt = Math.floor(clock.now().epochMs / 1000);
      const payload = {
        iss: DEMO_ISSUER,
        aud: DEMO_AUDIENCE,
        sub: 'demo-user',
        tenant: 'tenant-a',
        tier: 'premium',
        roles: ['inference'],
        iat: issuedAt,
        exp: issuedAt + LIFETIME_SECONDS,
        ...claims,
      };
      return new SignJWT(payload).setProtectedHeader({ alg: ALGORITHM, kid: KID }).sign(privateKey);
    },
  };
}
