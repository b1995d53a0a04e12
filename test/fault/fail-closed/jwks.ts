import { createAuthenticator } from '../../../src/identity/authenticator.ts';
import type { Fetch, ReadFile } from '../../../src/identity/jwks-load.ts';
import { startSystemTimer } from '../../support/system-ports.ts';
import { createTestIssuer, type TestIssuer } from '../../support/tokens.ts';
import { type FileServer, type Misbehaviour, PATIENCE_MS, startFileServer } from './hostile-server.ts';
import type { Trials } from './matrix.ts';
import { askCore, createSkewedClock } from './world.ts';

/** An issuer whose key set is served over HTTP. */
interface Scene {
  readonly issuer: TestIssuer;
  readonly server: FileServer;
}

/** What {@link createTestIssuer} signs with. */
const ALGORITHM = 'ES256';
/** How long keys hold that are not confirmed. */
export const MAX_AGE_SECONDS = 600;

/** The answer to a token that is good, while its issuer's keys are `first` as it is started and `then` as it is asked. */
async function trial(first: (scene: Scene) => unknown, then?: (scene: Scene) => unknown): Promise<string> {
  const issuer = await createTestIssuer();
  const server = await startFileServer(Buffer.from(JSON.stringify(issuer.jwks)));
  const scene = { issuer, server };
  const clock = createSkewedClock();
  const noFile: ReadFile = () => Promise.reject(new Error('no file is read here'));
  const authenticator = createIssuerAuthenticator(issuer, {
    jwks: { url: server.url },
    clock,
    fetch,
    readFile: noFile,
  });
  try {
    await first(scene);
    return await askUnconfirmed({ issuer, authenticator, clock }, then && (() => then(scene)));
  } finally {
    authenticator.stop();
    await server.stop();
  }
}

/** The answer to a good token; after `fail`, once the keys it was accepted with are too old to be used unconfirmed. */
export async function askUnconfirmed(
  parts: {
    readonly issuer: TestIssuer;
    readonly authenticator: ReturnType<typeof createAuthenticator>;
    readonly clock: ReturnType<typeof createSkewedClock>;
  },
  fail?: () => unknown,
): Promise<string> {
  const { issuer, authenticator, clock } = parts;
  await authenticator.start();
  const token = await issuer.mint({ exp: Math.floor(Date.now() / 1_000) + 86_400 });
  return await askCore(
    { clock, authenticate: authenticator.authenticate },
    {
      token,
      before: async (world) => {
        if (fail === undefined) return;
        if ((await world.ask(token)) !== 'allow') throw new Error('the keys were not in force before the fault');
        await fail();
        clock.skip((MAX_AGE_SECONDS + 1) * 1_000);
      },
    },
  );
}

/** The real authenticator with one issuer, whose keys come from `jwks`. */
export function createIssuerAuthenticator(
  { issuer, audience }: TestIssuer,
  parts: {
    readonly jwks: { readonly url: string } | { readonly file: string };
    readonly clock: ReturnType<typeof createSkewedClock>;
    readonly fetch: Fetch;
    readonly readFile: ReadFile;
  },
): ReturnType<typeof createAuthenticator> {
  const { jwks, ...ports } = parts;
  const timing = { cooldown_seconds: 1, refresh_seconds: 300, max_age_seconds: MAX_AGE_SECONDS };
  return createAuthenticator({
    config: {
      jwt: {
        issuers: [
          {
            issuer,
            audiences: [audience],
            algorithms: [ALGORITHM],
            jwks: { ...timing, timeout_ms: PATIENCE_MS, ...jwks },
            leeway_seconds: 30,
            claims: { tenant: 'tenant', roles: 'roles', tier: 'tier', scopes: 'scope' },
            forward: false,
          },
        ],
        max_token_bytes: 8_192,
        cache_ttl_seconds: 60,
        cache_max_entries: 100,
      },
    },
    startTimer: startSystemTimer,
    random: () => 0.5,
    report: () => undefined,
    ...ports,
  });
}

const misbehaving = (how: Misbehaviour) => () => trial(({ server }) => server.misbehave(how));

export const jwksTrials: Trials = {
  healthy: () => trial(() => undefined),
  faults: {
    down: () => trial(({ server }) => server.stop()),
    slow: misbehaving('slow'),
    hang: misbehaving('hang'),
    garbage: misbehaving('garbage'),
    partial: misbehaving('partial'),
    reset: misbehaving('reset'),
    full: misbehaving('full'),
    'wrong version': () =>
      trial(async ({ issuer, server }) => {
        const other = await createTestIssuer({ issuer: issuer.issuer });
        server.serve(Buffer.from(JSON.stringify(other.jwks)));
      }),
    stalled: () =>
      trial(
        () => undefined,
        ({ server }) => server.misbehave('stalled'),
      ),
  },
};
