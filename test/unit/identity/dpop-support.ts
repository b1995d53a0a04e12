import { createHash, type JsonWebKey, randomUUID } from 'node:crypto';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { jwkThumbprint } from '../../../src/identity/jwk-thumbprint.ts';
import { request as bearerRequest, encode, NOW_SECONDS, signature, type TestKey } from './support.ts';

export const TARGET = 'https://api.example.test/tenant-a/llama-3-8b/infer';

/** The public members of a key and no others. */
export function bareJwk(key: TestKey): JsonWebKey {
  return key.publicKey.export({ format: 'jwk' });
}

export function thumbprintOf(key: TestKey): string {
  // A public key's JWK has texts only.
  return jwkThumbprint(bareJwk(key) as Record<string, string>);
}

export function athOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

export interface ProofWish {
  readonly header?: unknown;
  /** Members to replace; `undefined` leaves one out. */
  readonly headerChanges?: { readonly [member: string]: unknown };
  readonly payload?: unknown;
  readonly payloadChanges?: { readonly [member: string]: unknown };
  readonly signer?: TestKey;
  readonly algorithm?: string;
}

/** A proof that is good for one POST to {@link TARGET} with this token, but for what is wished. */
export function proof(key: TestKey, token: string, wish: ProofWish = {}): string {
  const { signer = key } = wish;
  const header = wish.header ?? { typ: 'dpop+jwt', alg: key.algorithm, jwk: bareJwk(key), ...wish.headerChanges };
  const payload = wish.payload ?? {
    htm: 'POST',
    htu: TARGET,
    iat: NOW_SECONDS,
    jti: randomUUID(),
    ath: athOf(token),
    ...wish.payloadChanges,
  };
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signature(wish.algorithm ?? signer.algorithm, signer.privateKey, input)}`;
}

/** The POST to {@link TARGET} that presents a token and proofs. */
export function dpopRequest(
  token: string,
  proofs: readonly string[],
  changes: Partial<AccessRequest> & { readonly scheme?: string } = {},
  authorization = `DPoP ${token}`,
): AccessRequest {
  const all = (name: string): readonly string[] =>
    name === 'authorization' ? [authorization] : name === 'dpop' ? proofs : [];
  return {
    ...bearerRequest(),
    method: 'POST',
    scheme: 'https',
    host: 'api.example.test',
    target: '/tenant-a/llama-3-8b/infer',
    headers: { all, names: () => ['authorization', 'dpop'] },
    ...changes,
  };
}
