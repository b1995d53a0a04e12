import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import type { ReadFile } from '../../../src/identity/jwks-load.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { revised } from '../../unit/bundle/shipped.ts';
import { askUnconfirmed, createIssuerAuthenticator } from './jwks.ts';
import { runLogTrial } from './log-process.ts';
import type { Trials } from './matrix.ts';
import { halve, startWith } from './start-up.ts';
import { createSkewedClock } from './world.ts';

/** The answer to a good token whose issuer's keys are in a file that is read so; `later` takes over once it was read. */
async function readingKeys(first: (good: Uint8Array) => ReadFile, later?: ReadFile): Promise<string> {
  const issuer = await createTestIssuer();
  const clock = createSkewedClock();
  let readFile = first(Buffer.from(JSON.stringify(issuer.jwks)));
  const authenticator = createIssuerAuthenticator(issuer, {
    jwks: { file: '/keys.json' },
    clock,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    readFile: (path, signal) => readFile(path, signal),
  });
  try {
    return await askUnconfirmed(
      { issuer, authenticator, clock },
      later &&
        (() => {
          readFile = later;
        }),
    );
  } finally {
    authenticator.stop();
  }
}

const well =
  (good: Uint8Array): ReadFile =>
  async () =>
    good;
const never: ReadFile = () => new Promise(() => undefined);
const failing: ReadFile = () => Promise.reject(new Error('EIO: i/o error, read'));

export const diskTrials: Trials = {
  healthy: async () => {
    const answers = [await readingKeys(well), await startWith(async () => undefined)];
    return [...new Set(answers)].join(' / ');
  },
  faults: {
    down: () => startWith(({ bundleFile }) => rm(bundleFile)),
    slow: () => readingKeys((good) => () => new Promise((resolve) => setTimeout(() => resolve(good), 1_500))),
    hang: () => readingKeys(() => never),
    garbage: () => startWith(({ bundleFile }) => writeFile(bundleFile, randomBytes(10_000))),
    partial: () => startWith(({ bundleFile }) => halve(bundleFile)),
    reset: () => readingKeys(well, failing),
    full: () => runLogTrial({ sink: { file: { path: '/dev/full' } } }),
    'wrong version': () => startWith(({ bundleFile }) => writeFile(bundleFile, revised('another'))),
    stalled: () => readingKeys(well, never),
  },
};
