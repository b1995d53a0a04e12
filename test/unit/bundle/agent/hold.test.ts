import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import type { BundleError } from '../../../../src/bundle/errors.ts';
import type { OfferedOrder } from '../../../../src/bundle/sources/order-source.ts';
import {
  type AgentWish,
  agentOf,
  cleanUp,
  DOWN,
  orderOf,
  type Signed,
  START_S,
  signed,
  sourceOf,
  until,
} from './fleet-of-one.ts';

afterEach(cleanUp);

const stable = signed(1);
const security = signed(2, { security: true });
const noneBelow = signed(2, { minRollbackVersion: 2 });
const plain = signed(3);
const offer = (order: string | null): OfferedOrder => ({ order, trips: [] });
const named = ({ sha256 }: Signed, version: number) => ({ candidate: { sha256, version, revision: `r${version}` } });

async function ordered(candidate: Signed, wish: AgentWish = {}) {
  const orders: { given: OfferedOrder | BundleError } = {
    given: offer(orderOf(1, candidate, { expiresEpochS: START_S + 600 })),
  };
  const source = sourceOf(stable);
  const agent = agentOf(source, { archives: [candidate, plain], orders, ...wish });
  await agent.activator.start();
  await until(() => agent.inForce.length > 0);
  await agent.activator.reload();
  expect(agent.staged).toEqual(['r2 by 1, 0 trips']);
  return { agent, orders, source };
}

const elsewhere = orderOf(2, security, { labels: { region: 'eu' } });
const lower = orderOf(2, plain, named(plain, 3));

describe.each([
  ['is signed for security', security],
  ['has a `min_rollback_version` above what is in force', noneBelow],
])('a candidate that decides and %s', (_how, candidate) => {
  it.each<[string, OfferedOrder | BundleError]>([
    ['that there is no order any more', offer(null)],
    ['of an order for others', offer(elsewhere)],
    ['of an order for a candidate that is not signed as high', offer(lower)],
    ['of nothing', DOWN],
  ])('stays with those for whom it does, when the server tells %s', async (_what, given) => {
    const { agent, orders } = await ordered(candidate);
    orders.given = given;
    await agent.activator.reload();
    agent.clock.advance(700_000);
    await agent.activator.reload();
    expect(agent.staged.length).toBeGreaterThan(1);
    expect(agent.staged.filter((line) => !line.startsWith('r2 by '))).toEqual([]);
    expect(agent.staged.at(-1)).toMatch(given === DOWN ? 'r2 by nobody' : /^r2 by/);
  });

  it('stays when its order expires', async () => {
    const { agent } = await ordered(candidate);
    agent.clock.advance(601_000);
    await until(() => agent.staged.length === 2);
    expect(agent.staged).toEqual(['r2 by 1, 0 trips', 'r2 by nobody, 0 trips']);
  });

  it('decides after a restart too, with every server down', async () => {
    const { agent, orders, source } = await ordered(candidate);
    await agent.activator.stop();
    orders.given = DOWN;
    source.given = DOWN;
    const again = agentOf(source, { folder: agent.folder, orders });
    await again.activator.start();
    expect(again.inForce).toEqual(['r1']);
    expect(again.staged).toEqual(['r2 by nobody, 0 trips']);
    expect(again.activator.status().get('authz')?.candidate).toMatchObject({ revision: 'r2', staged: true });
  });

  it.each<[string, AgentWish]>([
    ['decided for nobody', { candidateDecides: () => false }],
    ['was taken back', { refusesCandidate: () => true }],
  ])('is not brought back by a restart where it %s', async (_how, wish) => {
    const { agent, orders, source } = await ordered(candidate);
    await agent.activator.stop();
    orders.given = DOWN;
    const again = agentOf(source, { folder: agent.folder, orders, ...wish });
    await again.activator.start();
    await until(() => again.inForce.length > 0);
    expect(again.staged).toEqual([]);
  });

  it('whose copy was changed on disk is not believed, and that is said', async () => {
    const { agent, orders, source } = await ordered(candidate);
    await agent.activator.stop();
    orders.given = DOWN;
    const folder = join(agent.folder, 'candidates', 'authz');
    const index = JSON.stringify({
      format: 1,
      confirmed_at_epoch_ms: 0,
      archives: [{ sha256: plain.sha256, signature: candidate.signature }],
    });
    writeFileSync(join(folder, `${plain.sha256}.tar.gz`), plain.bytes);
    writeFileSync(join(folder, 'in-force.json'), index);
    const again = agentOf(source, { folder: agent.folder, orders });
    await again.activator.start();
    expect(again.staged).toEqual([]);
    expect(again.logged).toContainEqual(expect.stringMatching(/^bundle candidate refused/));
  });

  it('gives its place to a newer one that is signed as high, once that is found good', async () => {
    const next = signed(4, { security: true, minRollbackVersion: 2 });
    let good = false;
    const examine = async (bundles: readonly Bundle[]) => {
      if (!good && bundles.some(({ revision }) => revision === 'r4')) throw new Error('it denies everybody');
    };
    const { agent, orders, source } = await ordered(candidate, { archives: [candidate, next, signed(5)], examine });
    orders.given = offer(orderOf(2, next, named(next, 4)));
    await agent.activator.reload();
    expect(agent.staged.at(-1)).toBe('r2 by 2, 0 trips');
    orders.given = offer(null);
    await agent.activator.reload();
    expect(agent.staged.at(-1)).toBe('r2 by nobody, 0 trips');
    await agent.activator.stop();
    good = true;
    orders.given = offer(orderOf(3, next, named(next, 4)));
    const again = agentOf(source, { folder: agent.folder, archives: [next], orders, examine });
    await again.activator.start();
    await until(() => again.staged.at(-1) === 'r4 by 3, 0 trips');
    expect(again.staged.filter((line) => !/^r[24] by/.test(line))).toEqual([]);
  });

  it('is none any more once its source itself delivers what is newer', async () => {
    const { agent, source } = await ordered(candidate);
    source.given = signed(4);
    await agent.activator.reload();
    expect(agent.inForce).toEqual(['r1', 'r4']);
  });
});

it('a candidate that may be taken back is not kept on disk', async () => {
  const { agent } = await ordered(signed(2));
  expect(readdirSync(agent.folder)).not.toContain('candidates');
});

it('a disk that does not keep a candidate is warned of and counted, and the candidate is staged', async () => {
  const candidateCopies = { read: async () => undefined, write: () => Promise.reject(new Error('no space left')) };
  const { agent } = await ordered(security, { candidateCopies });
  expect(agent.counted).toContain('not kept');
  expect(agent.logged).toContainEqual(expect.stringMatching(/^bundle candidate not kept on disk.*no space left/));
});
