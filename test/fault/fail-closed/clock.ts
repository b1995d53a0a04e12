import type { Clock, Instant, Quota } from '../../../src/decision/ports.ts';
import { systemClock } from '../../support/system-ports.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { createIssuerAuthenticator } from './jwks.ts';
import type { Trials } from './matrix.ts';
import { askCore, createSkewedClock } from './world.ts';

const HOURS_MS = 3_600_000;

/** The answer to a good token, once accepted and so in the cache, when the clock then reads otherwise. */
async function trial(reading: (at: Instant) => Instant, quota?: Quota): Promise<string> {
  const issuer = await createTestIssuer();
  const authenticator = createIssuerAuthenticator(issuer, {
    jwks: { file: '/keys.json' },
    clock: createSkewedClock(),
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    readFile: async () => Buffer.from(JSON.stringify(issuer.jwks)),
  });
  let spoilt = false;
  const clock: Clock = { now: () => (spoilt ? reading(systemClock.now()) : systemClock.now()) };
  try {
    await authenticator.start();
    const token = await issuer.mint();
    return await askCore(
      { clock, authenticate: authenticator.authenticate, ...(quota === undefined ? {} : { quota }) },
      {
        token,
        before: async (world) => {
          if (quota === undefined && (await world.ask(token)) !== 'allow') throw new Error('the token was not good');
          spoilt = true;
        },
      },
    );
  } finally {
    authenticator.stop();
  }
}

const wall = (epochMs: (now: number) => number) => () =>
  trial(({ epochMs: now, monotonicMs }) => ({ epochMs: epochMs(now), monotonicMs }));

const silent: Quota = { take: () => new Promise(() => undefined) };

export const clockTrials: Trials = {
  healthy: () => trial((at) => at),
  faults: {
    down: () =>
      trial(() => {
        throw new Error('clock_gettime failed');
      }),
    // Hours behind: the token is of the future.
    slow: wall((now) => now - 5 * HOURS_MS),
    // Both readings stand still while a store does not answer: the timer tells the time.
    hang: () => {
      const still = systemClock.now();
      return trial(() => still, silent);
    },
    garbage: () => trial(() => ({ epochMs: Number.NaN, monotonicMs: Number.NaN })),
    partial: wall(() => Number.NaN),
    // As after a start without a battery.
    reset: wall(() => 0),
    // The largest that a Date holds, and beyond.
    full: async () => {
      const answers = [await wall(() => 8.64e15)(), await wall(() => Number.POSITIVE_INFINITY)()];
      return [...new Set(answers)].join(' / ');
    },
    // Seconds for milliseconds.
    'wrong version': wall((now) => now / 1_000),
    // Hours pass between two readings of one request.
    stalled: () => {
      let skippedMs = 0;
      return trial(({ epochMs, monotonicMs }) => {
        skippedMs += HOURS_MS;
        return { epochMs, monotonicMs: monotonicMs + skippedMs };
      });
    },
  },
};
