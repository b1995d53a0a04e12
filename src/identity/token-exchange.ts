import type { Clock, Instant, Offender, Refusals } from '../decision/ports.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import { toApiKeyText } from './api-key-format.ts';
import type { KeyRecord } from './api-key-record.ts';
import { verifyApiKey } from './api-key-verify.ts';
import type { TokenExchangeConfig } from './config-oauth.ts';
import { exchangedTokenRules, MAX_LIFETIME_SECONDS, toKeyClaims } from './exchanged-token.ts';
import type { JwtIssuer } from './jwt.ts';
import type { TokenSigner } from './token-signer.ts';

/** Gives out short-lived tokens for API keys, and is an issuer like any other to the JWT method. */
export interface TokenExchange {
  /** `address`: of the connection, as Node prints it. Never throws for a key that does not hold. */
  exchange(presented: PresentedKey, address: string | undefined): Promise<Exchanged>;
  /** For `createJwtMethod`, which starts and stops the signer with it. */
  readonly issuer: JwtIssuer;
  /** The JWK set to publish. */
  keySet(): { readonly keys: readonly unknown[] };
}

/** An API key as it was presented: in one text, or taken apart. */
export type PresentedKey =
  | { readonly kind: 'whole'; readonly apiKey: string }
  | { readonly kind: 'pair'; readonly keyId: string; readonly secret: string };

/** `repeated`: refused too often of late, so not looked at again for a while. */
export type Exchanged =
  | { readonly kind: 'issued'; readonly token: string; readonly expiresInSeconds: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'unavailable' };

export interface TokenExchangeOptions {
  readonly config: TokenExchangeConfig;
  readonly signer: TokenSigner;
  readonly directory: KeyDirectory;
  /** The same table that counts refused requests. */
  readonly refusals: Refusals;
  readonly clock: Clock;
  /** For `jti`. */
  readonly newTokenId: () => string;
  /** Told why a key was refused, for logs: never the key. */
  readonly report: (event: { readonly kind: 'refused' | 'unavailable'; readonly cause: string }) => void;
}

/** Only API keys are exchanged: what is given out here is none, so it can never be exchanged again. */
export function createTokenExchange(options: TokenExchangeOptions): TokenExchange {
  const { config, signer, directory, refusals, clock, newTokenId, report } = options;

  async function issue(record: KeyRecord, at: Instant): Promise<Exchanged> {
    const issuedAt = Math.floor(at.epochMs / 1000);
    const lifetime = Math.min(config.lifetime_seconds, MAX_LIFETIME_SECONDS);
    const expiresAt = Math.min(issuedAt + lifetime, Math.floor(record.expiresAtMs / 1000));
    if (!(expiresAt > issuedAt)) return { kind: 'refused' };
    const token = await signer.sign({
      iss: config.issuer,
      aud: config.audience,
      ...toKeyClaims(record),
      jti: newTokenId(),
      iat: issuedAt,
      exp: expiresAt,
    });
    return { kind: 'issued', token, expiresInSeconds: expiresAt - issuedAt };
  }

  function refuse(offender: Offender, cause: string, at: Instant): Exchanged {
    if (refusals.isRepeated(offender, at)) return { kind: 'repeated' };
    refusals.count(offender, at);
    report({ kind: 'refused', cause });
    return { kind: 'refused' };
  }

  return {
    exchange: async (presented, remoteAddress) => {
      const at = clock.now();
      const clientIp = canonicalAddress(remoteAddress);
      const text = presented.kind === 'whole' ? presented.apiKey : toText(presented);
      try {
        const judged = await verifyApiKey(directory, text, at, () => clientIp);
        if (judged.kind === 'held') return await issue(judged.record, at);
        if (judged.code === 'invalid_credential') {
          const { keyId } = judged;
          const known = { ...(clientIp === undefined ? {} : { clientIp }), ...(keyId === undefined ? {} : { keyId }) };
          return refuse(known, judged.cause, at);
        }
        report({ kind: 'unavailable', cause: judged.cause });
      } catch (error) {
        report({ kind: 'unavailable', cause: error instanceof Error ? error.message : 'unknown failure' });
      }
      return { kind: 'unavailable' };
    },
    issuer: { settings: exchangedTokenRules(config), keys: signer.keys, demo: false },
    keySet: () => signer.jwks(),
  };
}

function toText({ keyId, secret }: { readonly keyId: string; readonly secret: string }): string {
  return toApiKeyText({ id: keyId, secret });
}

/** Node prints IPv6 in canonical form; a dual-stack socket shows IPv4 inside it. */
function canonicalAddress(address: string | undefined): string | undefined {
  return address?.startsWith(MAPPED) === true && address.includes('.') ? address.slice(MAPPED.length) : address;
}

const MAPPED = '::ffff:';
