import { createPublicKey, generateKeyPairSync, hash, type KeyObject, verify } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import { DEFAULT_CLAIMS, type SignatureAlgorithm } from '../../src/identity/config.ts';
import { createFixedKeySource } from '../../src/identity/jwks.ts';
import { createJwtMethod } from '../../src/identity/jwt.ts';
import { importKeySet, parseKeySet } from '../../src/identity/key-set.ts';

/** CPU µs per request of the identity step, cold (every token new) and warm (one token again), and of hashing alone. */
async function main(): Promise<void> {
  // As in the service: what is measured must work, and be as fast, with it frozen.
  Object.freeze(Object.prototype);
  console.log('algorithm  token bytes  cold µs  signature alone µs  warm µs  hash alone µs  make key ms');
  await measure('RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 }));
  await measure('ES256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  await measure('EdDSA', () => generateKeyPairSync('ed25519'));
}

const COLD = 2000;
const WARM_UP = 500;
const WARM = 200_000;
const AT = { epochMs: Date.now(), monotonicMs: 0 };

async function measure(
  algorithm: SignatureAlgorithm,
  makeKey: () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): Promise<void> {
  const keyStartedAt = performance.now();
  const { publicKey, privateKey } = makeKey();
  const keyMs = performance.now() - keyStartedAt;
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: algorithm }] });
  const method = createJwtMethod({
    issuers: [
      {
        settings: {
          issuer: 'https://issuer.test/realms/bench',
          audiences: ['sallyport'],
          algorithms: [algorithm],
          leeway_seconds: 30,
          claims: DEFAULT_CLAIMS,
          forward: true,
        },
        keys: createFixedKeySource(await importKeySet(parseKeySet(jwks), [algorithm])),
        demo: false,
      },
    ],
    maxTokenBytes: 8192,
    cacheTtlMs: 60_000,
    cacheMaxEntries: 10_000,
  });
  const tokens = await Promise.all(
    Array.from({ length: WARM_UP + COLD }, (_, index) => mint(algorithm, privateKey, index)),
  );
  const requests = tokens.map((token) => toRequest(`Bearer ${token}`));
  const [token = '', ...rest] = tokens;
  for (const request of requests.splice(0, WARM_UP)) await method.authenticate(request, AT);
  const cold = await cpuMicros(COLD, async () => {
    for (const request of requests) {
      const found = await method.authenticate(request, AT);
      if (found?.kind !== 'verified') throw new Error(`a good token was not verified: ${JSON.stringify(found)}`);
    }
  });
  const key = createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }));
  const bare = await cpuMicros(rest.length, () => {
    for (const one of rest) verifyBare(algorithm, key, one);
    return Promise.resolve();
  });
  const warm = await cpuMicros(WARM, () => {
    const [request] = requests;
    if (request === undefined) return Promise.resolve();
    for (let round = 0; round < WARM; round += 1) {
      if (method.authenticate(request, AT) instanceof Promise) throw new Error('the warm answer was not given at once');
    }
    return Promise.resolve();
  });
  const hashing = await cpuMicros(WARM, () => {
    for (let round = 0; round < WARM; round += 1) hash('sha256', token, 'base64url');
    return Promise.resolve();
  });
  const cells = [token.length, cold.toFixed(0), bare.toFixed(0), warm.toFixed(2), hashing.toFixed(2), keyMs.toFixed(1)];
  console.log([algorithm.padEnd(9), ...cells.map((cell) => String(cell).padStart(11))].join(' '));
}

function mint(algorithm: string, key: KeyObject, index: number): Promise<string> {
  return new SignJWT({
    tenant: 'tenant-a',
    tier: 'premium',
    roles: ['reader', 'operator'],
    scope: 'openid profile',
    jti: `3f0c${index}`,
    realm_access: { roles: ['offline_access', 'uma_authorization'] },
    email: 'someone@tenant-a.example',
  })
    .setProtectedHeader({ alg: algorithm, kid: 'k', typ: 'JWT' })
    .setIssuer('https://issuer.test/realms/bench')
    .setAudience(['sallyport', 'account'])
    .setSubject('0b5f1c1e-3f0c-4a0c-9f5e-1d2c3b4a5968')
    .setIssuedAt(Math.floor(AT.epochMs / 1000))
    .setExpirationTime(Math.floor(AT.epochMs / 1000) + 600)
    .sign(key);
}

function verifyBare(algorithm: string, key: KeyObject, token: string): void {
  const end = token.lastIndexOf('.');
  const data = Buffer.from(token.slice(0, end));
  const signature = Buffer.from(token.slice(end + 1), 'base64url');
  const digest = algorithm === 'EdDSA' ? null : 'sha256';
  if (!verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature)) throw new Error('does not verify');
}

function toRequest(authorization: string): AccessRequest {
  const values = [authorization];
  return {
    door: 'bench',
    method: 'POST',
    target: '/',
    host: 'bench.test',
    headers: { all: (name) => (name === 'authorization' ? values : []), names: () => ['authorization'] },
    body: { bytes: new Uint8Array(), complete: true },
    contextExtensions: new Map(),
    attributes: () => undefined,
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
  };
}

/** CPU time of the whole process, so that work in the thread pool counts. */
async function cpuMicros(count: number, work: () => Promise<void>): Promise<number> {
  const startedAt = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / count;
}

await main();
