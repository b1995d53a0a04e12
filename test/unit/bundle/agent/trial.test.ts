import { afterEach, describe, expect, it } from 'vitest';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import type { BundleError } from '../../../../src/bundle/errors.ts';
import type { OfferedOrder } from '../../../../src/bundle/sources/order-source.ts';
import { repacked, SHIPPED_ROOTS } from '../shipped.ts';
import { type Agent, agentOf, cleanUp, DOWN, orderOf, START_S, signed, sourceOf, until } from './fleet-of-one.ts';

afterEach(cleanUp);

const stable = signed(1);
const next = signed(2);
const offer = (order: string | null, trips: readonly string[] = []): OfferedOrder => ({ order, trips });

const candidateOf = ({ activator }: Agent) => activator.status().get('authz')?.candidate;

/** The agent, once the stable bundle is in force and the order was asked for. */
async function ordered(given: OfferedOrder | BundleError, wish: Parameters<typeof agentOf>[1] = {}) {
  const orders = { given };
  const source = sourceOf(stable);
  const agent = agentOf(source, { archives: [next], orders, ...wish });
  await agent.activator.start();
  await until(() => agent.inForce.length > 0);
  await agent.activator.reload();
  return { agent, orders, source };
}

describe('a signed order', () => {
  it('stages the candidate beside the set in force; its end, a trip and a new order are told', async () => {
    const { agent, orders } = await ordered(offer(orderOf(1, next)));
    expect(agent.staged).toEqual(['r2 by 1, 0 trips']);
    expect(candidateOf(agent)).toMatchObject({ sha256: next.sha256, revision: 'r2', version: 2, staged: true });
    orders.given = offer(orderOf(1, next), ['agent-7']);
    await agent.activator.reload();
    await agent.activator.reload();
    orders.given = offer(orderOf(2, next, { percent: 50 }));
    await agent.activator.reload();
    orders.given = offer(null);
    await agent.activator.reload();
    expect(agent.staged.slice(1)).toEqual(['r2 by 1, 1 trips', 'r2 by 2, 0 trips', 'none by nobody, 0 trips']);
    expect(agent.inForce).toEqual(['r1']);
  });

  const forged = orderOf(3, next).replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
  it.each<[string, OfferedOrder | BundleError]>([
    ['is older', offer(orderOf(1, signed(3), { candidate: { sha256: signed(3).sha256, version: 3, revision: 'r3' } }))],
    ['is forged', offer(forged)],
    ['is for another bundle', offer(orderOf(3, next, { bundle: 'other' }))],
    ['is for another scope', offer(orderOf(3, next, { scope: 'other' }))],
    ['is expired', offer(orderOf(3, next, { issuedAtEpochS: START_S - 7200, expiresEpochS: START_S - 3600 }))],
    ['is a bundle’s signature', offer(next.signature)],
    ['cannot be had', DOWN],
  ])('that %s changes nothing', async (_fault, given) => {
    const { agent, orders } = await ordered(offer(orderOf(2, next)));
    orders.given = given;
    await agent.activator.reload();
    expect(agent.staged).toEqual(['r2 by 2, 0 trips']);
    expect(candidateOf(agent)?.lastError?.code).toMatch(/^bundle_/);
    expect(agent.activator.status().get('authz')).not.toHaveProperty('lastError');
  });

  it('whose time is over is withdrawn', async () => {
    const { agent } = await ordered(offer(orderOf(1, next, { expiresEpochS: START_S + 60 })));
    agent.clock.advance(61_000);
    await until(() => agent.staged.length === 2);
    expect(agent.staged).toEqual(['r2 by 1, 0 trips', 'none by nobody, 0 trips']);
  });

  it('is for agents with its labels only', async () => {
    const order = offer(orderOf(1, next, { labels: { region: 'eu' } }));
    const elsewhere = await ordered(order, { labels: { region: 'us' } });
    expect(elsewhere.agent.staged).toEqual([]);
    const here = await ordered(order, { labels: { region: 'eu', zone: 'a' } });
    expect(here.agent.staged).toEqual(['r2 by 1, 0 trips']);
  });

  it('whose archive is another one than it names is refused', async () => {
    const wrong = { ...signed(3), sha256: next.sha256 };
    const { agent } = await ordered(offer(orderOf(1, next)), { archives: [wrong] });
    expect(agent.staged).toEqual(['none by 1, 0 trips']);
    expect(candidateOf(agent)).toMatchObject({ staged: false, lastError: { code: 'bundle_untrusted' } });
  });

  it('whose archive comes later is followed then', async () => {
    const archives = [...[next].slice(1)];
    const { agent } = await ordered(offer(orderOf(1, next)), { archives });
    expect(candidateOf(agent)).toMatchObject({ staged: false, lastError: { code: 'bundle_unreachable' } });
    archives.push(next);
    await agent.activator.reload();
    expect(agent.staged.at(-1)).toBe('r2 by 1, 0 trips');
  });

  it('for what was rolled back here is not followed', async () => {
    const { agent } = await ordered(offer(orderOf(1, next)), { refusesCandidate: (sha256) => sha256 === next.sha256 });
    expect(agent.staged).toEqual(['none by 1, 0 trips']);
  });
});

describe('a candidate', () => {
  it('that is not found good is not staged, and not examined again and again', async () => {
    let examinations = 0;
    const examine = async (bundles: readonly Bundle[]) => {
      if (bundles.every(({ revision }) => revision === 'r1')) return;
      examinations += 1;
      throw new Error('it denies everybody');
    };
    const { agent } = await ordered(offer(orderOf(1, next)), { examine });
    for (let at = 0; at < 3; at += 1) await agent.activator.reload();
    expect(examinations).toBe(1);
    expect(agent.staged.filter((line) => line.startsWith('r2'))).toEqual([]);
    expect(candidateOf(agent)).toMatchObject({
      staged: false,
      lastError: { code: 'bundle_rejected', message: 'bundle `authz`: it denies everybody' },
    });
    expect(agent.counted).toEqual(['activated r1', 'refused bundle_rejected']);
  });

  it('that was promoted is in force as any other, also after a restart, and nothing older is believed', async () => {
    const { agent, source } = await ordered(offer(orderOf(1, next)));
    expect(await agent.activator.promote('authz', next.sha256, () => true)).toBe(true);
    expect(await agent.activator.promote('authz', next.sha256, () => true)).toBe(false);
    expect(agent.activator.status().get('authz')).toMatchObject({ revision: 'r2', version: 2, sha256: next.sha256 });
    expect(agent.counted).toEqual(['activated r1', 'activated r2']);
    await agent.activator.reload();
    expect(agent.activator.status().get('authz')).toMatchObject({
      revision: 'r2',
      lastError: { code: 'bundle_untrusted' },
    });
    await agent.activator.stop();
    source.given = DOWN;
    const again = agentOf(source, { folder: agent.folder });
    await again.activator.start();
    expect(again.inForce).toEqual(['r2']);
  });

  it('that the source itself delivers is activated, and is a candidate no more', async () => {
    const { agent, source } = await ordered(offer(orderOf(1, next)));
    source.given = next;
    await agent.activator.reload();
    expect(agent.inForce).toEqual(['r1', 'r2']);
    expect(agent.staged).toEqual(['r2 by 1, 0 trips', 'none by 1, 0 trips']);
  });

  it('of this instance’s own choice is staged without an order, and follows its file', async () => {
    const candidate = sourceOf(next, 'file');
    const agent = agentOf(sourceOf(stable, 'file'), { candidate });
    await agent.activator.start();
    expect(agent.staged).toEqual(['r2 by nobody, 0 trips']);
    candidate.given = signed(3);
    await agent.activator.reload();
    expect(agent.staged.at(-1)).toBe('r3 by nobody, 0 trips');
    candidate.given = signed(
      4,
      {},
      repacked({ '.manifest': JSON.stringify({ revision: 'r4', roots: SHIPPED_ROOTS }), 'plan.json': '{' }),
    );
    await agent.activator.reload();
    expect(agent.staged.at(-1)).toBe('r3 by nobody, 0 trips');
    expect(candidateOf(agent)?.lastError?.code).toBe('bundle_invalid');
  });
});
