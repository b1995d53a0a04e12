import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHighWaterMark } from '../../src/bundle/signing/high-water-mark.ts';
import { fromRolloutOrder, signRolloutOrder, verifyRolloutOrder } from '../../src/bundle/signing/rollout-order.ts';
import type { Download } from '../../src/bundle/source.ts';
import { createTrust } from '../../src/bundle/trust.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { createSignedAgent } from '../support/signed-agent.ts';
import {
  claimsOf,
  newSigner,
  orderOf,
  refusalOf,
  SIGNED_AT_S,
  signedDownload,
  trustOf,
} from '../support/signed-bundles.ts';
import { revised, SHIPPED } from '../unit/bundle/shipped.ts';

/** SECURITY row 13: what is older, expired, for elsewhere or not by a configured key is refused, now and after a restart. */
const author = newSigner('author');
const stranger = newSigner('stranger');
const impostor = newSigner('author');
const keys = trustOf(author);

/** The same claims under a MAC made with the public key, which a verifier that lets the token choose would take. */
function macOf(signature: string, alg: 'HS256' | 'HS512'): string {
  const [, payload = ''] = signature.split('.');
  const type = JSON.parse(Buffer.from(signature.split('.')[0] ?? '', 'base64url').toString()) as { typ: string };
  const header = Buffer.from(JSON.stringify({ alg, kid: 'author', typ: type.typ })).toString('base64url');
  const mac = createHmac(alg === 'HS256' ? 'sha256' : 'sha512', author.publicPem).update(`${header}.${payload}`);
  return `${header}.${payload}.${mac.digest('base64url')}`;
}

const other = revised('another');
const inForce = signedDownload(SHIPPED, author, { version: 7 });
const withMac = (alg: 'HS256' | 'HS512'): Download => {
  const { bytes, signature } = signedDownload(SHIPPED, author, { version: 8 });
  return { bytes, signature: macOf(signature, alg) };
};

const BUNDLES: readonly (readonly [fault: string, download: Download, says: string])[] = [
  ['older', signedDownload(other, author, { version: 6 }), 'older than 7'],
  ['the oldest', signedDownload(SHIPPED, author, { version: 1, minRollbackVersion: 0 }), 'older than 7'],
  ['of the same version and another content', signedDownload(other, author, { version: 7 }), 'given once'],
  ['expired', signedDownload(SHIPPED, author, { version: 8, expiresEpochS: SIGNED_AT_S + 60 }), 'expired'],
  [
    'not yet valid',
    signedDownload(SHIPPED, author, { version: 8, notBeforeEpochS: SIGNED_AT_S + 3000 }),
    'not valid before',
  ],
  ['for another scope', signedDownload(SHIPPED, author, { version: 8, scope: 'test' }), 'scope'],
  ['of another name', signedDownload(SHIPPED, author, { version: 8, name: 'other' }), 'bundle `other`'],
  ['by an unknown key', signedDownload(SHIPPED, stranger, { version: 8 }), '`trust.keys`'],
  ['by an unknown key under a known kid', signedDownload(SHIPPED, impostor, { version: 8 }), 'not by key `author`'],
  ['signed by HS256', withMac('HS256'), 'not of ES256'],
  ['signed by HS512', withMac('HS512'), 'not by ES256'],
  ['not signed', { bytes: signedDownload(SHIPPED, author, { version: 8 }).bytes }, 'no signature'],
  ['a delta of the whole', signedDelta(), '`base_sha256`'],
];

function signedDelta(): Download {
  const { bytes } = inForce;
  const payload = { kind: 'delta', name: 'authz', sha256: 'ab'.repeat(32), size: 1, scope: 'prod', version: 8 };
  const times = { iat: SIGNED_AT_S, nbf: SIGNED_AT_S, exp: SIGNED_AT_S + 3600, min_rollback_version: 0 };
  return { bytes, signature: author.sign('sallyport-delta+jws', { ...payload, ...times }) };
}

const order = (changes: Parameters<typeof orderOf>[0]): string => signRolloutOrder(orderOf(changes), author);

const ORDERS: readonly (readonly [fault: string, jws: string, says: string])[] = [
  ['older', order({ version: 2 }), 'older than 3'],
  ['of the same version and another content', order({ percent: 100 }), 'another one before'],
  ['expired', order({ version: 4, expiresEpochS: SIGNED_AT_S + 60 }), 'expired'],
  ['yet to come', order({ version: 4, issuedAtEpochS: SIGNED_AT_S + 3000 }), 'yet to come'],
  ['for another scope', order({ version: 4, scope: 'test' }), 'scope'],
  ['of another bundle', order({ version: 4, bundle: 'other' }), '`other`'],
  ['by an unknown key', signRolloutOrder(orderOf({ version: 4 }), stranger), '`trust.keys`'],
  ['by an unknown key under a known kid', signRolloutOrder(orderOf({ version: 4 }), impostor), 'not by key'],
  ['signed by HS256', macOf(order({ version: 4 }), 'HS256'), 'not of ES256'],
  ['signed by HS512', macOf(order({ version: 4 }), 'HS512'), 'not by ES256'],
  ['signed as a bundle', author.sign('sallyport-bundle+jws', fromRolloutOrder(orderOf({ version: 4 }))), 'type'],
];

let folder: string;
let clock: ManualClock;
const open: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-rollback-'));
  await writeFile(join(folder, 'author.public.pem'), author.publicPem);
  clock = createManualClock({ epochMs: (SIGNED_AT_S + 600) * 1000 });
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

const markHere = (at = clock) => createHighWaterMark({ folder, clock: at });

describe.each([
  ['at once', false, 0],
  ['after a restart', true, 0],
  ['after a restart with the clock set back by a year', true, -365 * 86_400],
  ['after a restart with the clock set back to before it expired', true, -580],
])('%s', (_when, restarted, shiftS) => {
  /** The marks and the clock as they are then. */
  const later = async () => {
    const mark = markHere();
    await mark.now();
    if (!restarted) return mark;
    return markHere(createManualClock({ epochMs: (SIGNED_AT_S + 600 + shiftS) * 1000 }));
  };

  test.each(BUNDLES)('a bundle %s is refused', async (_fault, download, says) => {
    const trust = (mark: ReturnType<typeof markHere>) =>
      createTrust({ name: 'authz', trust: { keys: {}, scope: 'prod', signature: 'jws' }, mark, keys });
    const before = trust(markHere());
    await before.raise(await before.verify(inForce));
    const mark = await later();
    expect(await refusalOf(() => trust(mark).verify(download))).toMatch(new RegExp(`^bundle_untrusted: .*${says}`));
    expect(await refusalOf(() => trust(mark).verify(inForce))).toBe('believed');
  });

  test.each(ORDERS)('a rollout order %s is refused', async (_fault, jws, says) => {
    const take = async (mark: ReturnType<typeof markHere>, text: string) => {
      const found = verifyRolloutOrder(text, { keys, scope: 'prod', name: 'authz' });
      await mark.checkOrder(found);
      await mark.raiseOrder(found);
    };
    const followed = order({});
    await take(markHere(), followed);
    const mark = await later();
    expect(await refusalOf(() => take(mark, jws))).toMatch(new RegExp(`^bundle_untrusted: .*${says}`));
    expect(await refusalOf(() => take(mark, followed))).toBe('believed');
  });
});

test('the agent keeps what is in force, whatever it is offered in whatever order, and over restarts', async () => {
  const random = createRandom(seedOf('bundle rollback'));
  const trust = { keys: { author: join(folder, 'author.public.pem') }, scope: 'prod', signature: 'jws' } as const;
  const start = async (at: ManualClock) => {
    const agent = createSignedAgent({ trust, mark: markHere(at), clock: at });
    open.push(agent.stop);
    expect(await agent.offer(inForce)).toEqual([]);
    return agent;
  };
  let agent = await start(clock);
  const decides = agent.inForce();
  let offers = 0;
  let restarts = 0;
  for (let round = 0; round < caseCount(400); round += 1) {
    if (random.chance(0.05)) {
      await agent.stop();
      open.pop();
      agent = await start(createManualClock({ epochMs: (SIGNED_AT_S + 600 - random.below(3000)) * 1000 }));
      restarts += 1;
    }
    const [fault, download] = random.pick(BUNDLES);
    const refusals = await agent.offer(download);
    offers += 1;
    // In place of a refused delta the whole bundle is asked for, and this source has no other answer.
    const refused = fault === 'a delta of the whole' ? 2 : 1;
    expect([fault, refusals.length, agent.inForce()]).toEqual([fault, refused, decides]);
    expect(agent.figures().failed).toBe(0);
  }
  console.info(
    `bundle rollback: ${offers} offers refused, ${restarts} restarts with the clock set back (seed ${random.seed})`,
  );
});

test('an automatic rollback goes down to the signed bound and no further', async () => {
  const mark = markHere();
  const trust = createTrust({ name: 'authz', trust: { keys: {}, scope: 'prod', signature: 'jws' }, mark, keys });
  await trust.raise(await trust.verify(signedDownload(SHIPPED, author, { version: 9, minRollbackVersion: 6 })));
  const verdicts = [5, 6, 8].map((version) => {
    const old = signedDownload(SHIPPED, author, { version, minRollbackVersion: 0 });
    return refusalOf(() => trust.verify(old, { rollback: true }));
  });
  expect(await Promise.all(verdicts)).toEqual([expect.stringContaining('none below 6'), 'believed', 'believed']);
  // An expired one does not come back either, and a rollback does not lower the mark.
  clock.advance(4_000_000);
  const old = signedDownload(SHIPPED, author, { version: 8, minRollbackVersion: 0 });
  expect(await refusalOf(() => trust.verify(old, { rollback: true }))).toContain('expired');
  await mark.raise(claimsOf({ version: 8 }), 'cd'.repeat(32));
  expect((await mark.read()).bundles.get('prod authz')?.version).toBe(9);
});
