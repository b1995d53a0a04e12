import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { RolloutOrder } from '../../../src/rollout/candidate.ts';
import { DIGEST, type KitOptions, openKit, principalOf } from './rollout-kit.ts';

const ALLOW = { allow: true };
const SECURITY = { security: true };
const NEWER = 'd'.repeat(64);

function order(parts: Partial<RolloutOrder>): RolloutOrder {
  return {
    version: 1,
    expiresEpochS: Date.UTC(2026, 10, 3) / 1_000,
    candidate: { sha256: DIGEST, version: 2, revision: 'r2' },
    mode: 'canary',
    percent: 30,
    labels: {},
    paused: false,
    aborted: false,
    ...parts,
  };
}

async function ordered(options: KitOptions = {}) {
  const kit = openKit({ followsOrders: true, ...options });
  await kit.rollout.start();
  return kit;
}

async function arms(kit: Awaited<ReturnType<typeof ordered>>): Promise<readonly boolean[]> {
  const found: boolean[] = [];
  for (let tenant = 0; tenant < 40; tenant++) {
    found.push((await kit.ask(principalOf(tenant))).generation?.revisions.get('authz') !== 'r1');
  }
  return found;
}

const folders: string[] = [];
afterEach(() => Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true }))));

describe('a promotion', () => {
  test('is asked for once at a time, and comes to pass in that step and not before', async () => {
    const asked: (() => boolean)[] = [];
    let answer: (promoted: boolean) => void = () => {};
    const kit = await ordered({
      promote: (_candidate, putInForce) => {
        asked.push(putInForce);
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    kit.stage(ALLOW);
    kit.rollout.setOrder(order({ mode: 'promote' }));
    kit.clock.advance(2_000);
    expect(asked).toHaveLength(1);
    expect(kit.generations.current()?.revisions.get('authz')).toBe('r1');
    expect(kit.rollout.status().last).toBeUndefined();
    kit.rollout.pause({ by: 'token' });
    expect(asked[0]?.()).toBe(false);
    answer(false);
    await kit.settle();
    kit.rollout.resume({ by: 'token' });
    kit.clock.advance(500);
    expect(asked).toHaveLength(2);
    expect(asked[0]?.()).toBe(true);
    expect(kit.generations.current()?.revisions.get('authz')).toBe('r2');
    expect(kit.rollout.status().last).toMatchObject({ state: 'promoted' });
    expect(asked[1]?.()).toBe(false);
    await kit.rollout.stop();
  });

  test('that fails is said, and asked for again', async () => {
    let asked = 0;
    const kit = await ordered({
      promote: async () => {
        asked += 1;
        throw new Error('no');
      },
    });
    kit.stage(ALLOW);
    kit.rollout.setOrder(order({ mode: 'promote' }));
    await kit.settle();
    kit.clock.advance(500);
    expect(asked).toBe(2);
    expect(kit.lines).toContainEqual(expect.objectContaining({ message: 'the promotion of a bundle failed' }));
    await kit.rollout.stop();
  });
});

describe('those for whom a candidate decides that mends a hole', () => {
  test.each([
    ['staged anew', DIGEST],
    ['replaced by a newer one', NEWER],
  ])('stay the same when it is %s, though nothing was compared of that', async (_how, sha256) => {
    const kit = await ordered();
    kit.stage(ALLOW, SECURITY);
    kit.rollout.setOrder(order({}));
    const before = await arms(kit);
    expect(before).toContain(true);
    expect(before).toContain(false);
    kit.stage(ALLOW, { ...SECURITY, sha256, revision: 'r3' });
    kit.rollout.setOrder(undefined);
    expect(await arms(kit)).toEqual(before);
    expect([kit.rollout.decides(sha256), kit.rollout.status()]).toMatchObject([true, { state: 'paused', percent: 30 }]);
    await kit.rollout.stop();
  });

  test('are decided for by what was there where it mends none', async () => {
    const kit = await ordered();
    kit.stage(ALLOW);
    kit.rollout.setOrder(order({}));
    kit.stage(ALLOW, { sha256: NEWER, revision: 'r3' });
    expect(await arms(kit)).not.toContain(true);
    await kit.rollout.stop();
  });

  test('stay the same over restarts, however late it is staged after one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-rollout-'));
    folders.push(folder);
    const stateFile = join(folder, 'rollout.json');
    const first = await ordered({ stateFile });
    first.stage(ALLOW, SECURITY);
    first.rollout.setOrder(order({}));
    first.stage(ALLOW, { ...SECURITY, sha256: NEWER });
    const before = await arms(first);
    await first.rollout.stop();
    const idle = await ordered({ stateFile });
    expect(idle.rollout.decides(NEWER)).toBe(true);
    idle.rollout.pin('stable', { by: 'token' });
    idle.rollout.unpin({ by: 'token' });
    await idle.rollout.stop();
    expect(JSON.parse(await readFile(stateFile, 'utf8'))).toMatchObject({ trial: { sha256: NEWER, armsOf: DIGEST } });
    const last = await ordered({ stateFile });
    last.stage(ALLOW, { ...SECURITY, sha256: NEWER });
    expect(await arms(last)).toEqual(before);
    await last.rollout.stop();
  });
});
