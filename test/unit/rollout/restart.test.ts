import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseState, writeState } from '../../../src/rollout/state.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { askTenants, DIGEST, type KitOptions, openKit, principalOf } from './rollout-kit.ts';

const MINUTE = 60_000;
const ALLOW = { allow: true };
const DENY = { allow: false };
const BY = { by: 'token 0123456789ab' };

let folder: string;
let stateFile: string;
let salts = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-rollout-'));
  stateFile = join(folder, 'state', 'rollout.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function started(options: KitOptions = {}) {
  const newSalt = (): string => {
    salts += 1;
    return `salt number ${salts}`;
  };
  const kit = openKit({ stateFile, newSalt, ...options });
  await kit.rollout.start();
  return kit;
}

describe('after a restart', () => {
  test('a rollout goes on where it was: step, time, arms', async () => {
    const before = await started();
    before.stage(ALLOW);
    await askTenants(before, 20);
    before.clock.advance(5 * MINUTE);
    // Half a second of the second step has passed already.
    before.clock.advance(3 * MINUTE - 500);
    expect(before.rollout.status()).toMatchObject({ percent: 50, step: { number: 2 }, persisted: false });
    const arms = async (kit: typeof before): Promise<readonly (string | undefined)[]> => {
      const found: (string | undefined)[] = [];
      for (let tenant = 0; tenant < 50; tenant++) {
        found.push((await kit.ask(principalOf(tenant))).generation?.revisions.get('authz'));
      }
      return found;
    };
    const armsBefore = await arms(before);
    await before.rollout.stop();
    expect(before.rollout.status().persisted).toBe(true);
    const after = await started();
    after.stage(ALLOW);
    expect(after.rollout.status()).toMatchObject({ percent: 50, step: { number: 2, elapsed_seconds: 180 } });
    expect(await arms(after)).toEqual(armsBefore);
    await after.rollout.stop();
  });

  test('a candidate that was taken back is not tried again', async () => {
    const before = await started();
    before.stage(DENY);
    await askTenants(before, 20);
    expect(before.rollout.status().last?.state).toBe('rolled_back');
    await before.rollout.stop();
    const after = await started();
    expect(after.rollout.refusesCandidate(DIGEST)).toBe(true);
    after.stage(DENY);
    expect(after.rollout.status()).toMatchObject({ state: 'idle', refused: [{ sha256: DIGEST }] });
    await after.rollout.stop();
  });

  test.each([
    ['pinned', (kit: Awaited<ReturnType<typeof started>>) => kit.rollout.pin('stable', BY), 0],
    ['paused', (kit: Awaited<ReturnType<typeof started>>) => kit.rollout.pause(BY), 10],
  ])('what was %s by hand is so still', async (state, change, percent) => {
    const before = await started();
    before.stage(ALLOW);
    expect(change(before)).toMatchObject({ status: 200 });
    await before.rollout.stop();
    const after = await started();
    after.stage(ALLOW);
    after.clock.advance(60 * MINUTE);
    expect(after.rollout.status()).toMatchObject({ state, percent });
    await after.rollout.stop();
  });

  test('with a damaged state no canary runs, until a person says so; the file is kept as it is till then', async () => {
    const before = await started();
    before.stage(ALLOW);
    await before.rollout.stop();
    const damaged = (await readFile(stateFile, 'utf8')).slice(0, -20);
    await writeFile(stateFile, damaged);
    const after = await started();
    after.stage(ALLOW);
    expect(after.rollout.status()).toMatchObject({ state: 'blocked', percent: 0, persisted: false });
    expect(after.rollout.status().reason).toContain('is damaged');
    expect(after.rollout.pin('candidate', BY)).toMatchObject({ status: 409, reason: 'state_damaged' });
    await askTenants(after, 20);
    after.clock.advance(60 * MINUTE);
    expect(after.rollout.status().percent).toBe(0);
    expect(await readFile(stateFile, 'utf8')).toBe(damaged);
    expect(after.lines.some(({ level, message }) => level === 'error' && message.includes('damaged'))).toBe(true);
    expect(after.rollout.resume(BY)).toMatchObject({ status: 200, body: { state: 'canary', percent: 10 } });
    await after.rollout.stop();
    expect(parseState(await readFile(stateFile, 'utf8')).trial?.percent).toBe(10);
  });

  test('a state that cannot be written is said, and the rollout goes on', async () => {
    await writeFile(join(folder, 'state'), 'a file where the folder should be');
    const kit = await started({ stateFile: join(folder, 'other', 'rollout.json') });
    await writeFile(join(folder, 'other'), '').catch(() => undefined);
    kit.stage(ALLOW);
    await kit.settle();
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', persisted: false });
    await kit.rollout.stop();
    expect(kit.lines.some(({ message }) => message.includes('could not be written'))).toBe(true);
  });
});

describe('the state as text', () => {
  const state = {
    salt: 'a salt',
    refused: [{ sha256: DIGEST, revision: 'r2', reason: 'a rail', at: '2026-11-02T12:00:00.000Z' }],
    pardoned: ['d'.repeat(64)],
    tenants: true,
    pin: { to: 'candidate', sha256: DIGEST },
    trial: { sha256: DIGEST, step: 1, elapsedMs: 5, percent: 10, paused: 'by hand' },
  } as const;

  test('is read as it was written', () => {
    expect(parseState(writeState(state))).toEqual(state);
  });

  test('cut or changed anywhere is read as the same kind of thing or not at all', () => {
    const random = createRandom(seedOf('rollout state'));
    const text = writeState(state);
    for (let count = 0; count < 2_000; count++) {
      const at = random.below(text.length - 1);
      const cut = random.chance(0.5)
        ? text.slice(0, at)
        : text.slice(0, at) + String.fromCharCode(random.below(128)) + text.slice(at + 1);
      let read: ReturnType<typeof parseState>;
      try {
        read = parseState(cut);
      } catch {
        continue;
      }
      expect(read.trial?.percent ?? 0).toBeLessThanOrEqual(100);
      expect(read.salt).not.toBe('');
    }
  });
});
