import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseState, writeState } from '../../../src/rollout/state.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { askTenants, DIGEST, type KitOptions, openKit, principalOf, ROLLOUT } from './rollout-kit.ts';

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

/** The newest time that the state on the disk names. */
async function newestKept(): Promise<number> {
  return parseState(await readFile(stateFile, 'utf8')).newestEpochMs ?? 0;
}

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

  test('why a candidate is refused is told on', async () => {
    const before = await started();
    before.stage(DENY);
    await askTenants(before, 20);
    await before.rollout.stop();
    const after = await started();
    expect(after.rollout.candidateStatus('authz')).toBeUndefined();
    expect(after.rollout.candidateStatus('authz', 'd'.repeat(64))).toBeUndefined();
    expect(after.rollout.candidateStatus('authz', DIGEST)).toEqual({
      sha256: DIGEST,
      revision: 'r2',
      state: 'refused',
      step_percent: 0,
      reason: expect.stringMatching(/^guard rail `deny_changed`/),
      trips: 0,
    });
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

describe('after a restart with other steps', () => {
  const trial = { sha256: DIGEST, step: 2, elapsedMs: 30 * MINUTE, percent: 25 };

  test.each([
    ['fewer', 2, [1, 5], 5],
    ['many fewer', 900, [1, 5], 5],
    ['as many', 2, [1, 5, 25], 25],
  ])(
    '%s of them, a candidate is promoted only once the last one was gone through',
    async (_name, step, percents, now) => {
      const text = writeState({ salt: 'a salt', refused: [], pardoned: [], trial: { ...trial, step } });
      await mkdir(dirname(stateFile), { recursive: true });
      await writeFile(stateFile, text);
      const steps = percents.map((percent) => ({ percent, minutes: 60 }));
      const kit = await started({ config: { ...ROLLOUT, steps } });
      kit.stage(DENY, { security: true });
      kit.clock.advance(24 * 60 * MINUTE);
      expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: now, step: { number: percents.length } });
      await askTenants(kit, 20);
      expect(kit.rollout.status()).toMatchObject({ state: 'paused', percent: now });
      await kit.rollout.stop();
    },
  );

  test('its time begins anew in a step where it was not', async () => {
    await mkdir(dirname(stateFile), { recursive: true });
    await writeFile(stateFile, writeState({ salt: 'a salt', refused: [], pardoned: [], trial }));
    const kit = await started({ config: { ...ROLLOUT, steps: [{ percent: 5, minutes: 60 }] } });
    kit.stage(ALLOW);
    await askTenants(kit, 20);
    kit.clock.advance(59 * MINUTE);
    expect(kit.rollout.status()).toMatchObject({ state: 'canary', percent: 5 });
    kit.clock.advance(MINUTE);
    expect(kit.rollout.status()).toMatchObject({ last: { state: 'promoted' } });
    await kit.rollout.stop();
  });
});

describe('the newest time that was seen', () => {
  const observe = [{ route: 'infer', until: '2026-11-03T12:00:00Z' }];

  test.each([
    ['the service was stopped', true],
    ['the process was killed', false],
  ])('is judged by, also where %s and the clock was set back', async (_name, stops) => {
    const before = await started({ config: { ...ROLLOUT, observe } });
    const sawMs = before.clock.now().epochMs + 2 * 86_400_000;
    before.clock.setEpoch(sawMs);
    before.clock.advance(60_000);
    before.clock.setEpoch(sawMs - 30 * 86_400_000);
    expect(before.rollout.nowEpochMs()).toBeGreaterThanOrEqual(sawMs);
    if (stops) await before.rollout.stop();
    else await before.settle();
    await expect.poll(newestKept).toBeGreaterThanOrEqual(sawMs);
    const after = await started();
    expect(after.clock.now().epochMs).toBeLessThan(sawMs);
    expect(after.rollout.nowEpochMs()).toBeGreaterThanOrEqual(sawMs);
    await after.rollout.stop();
  });

  test('is written before anything is staged, and where the trial stood is kept then', async () => {
    const config = { ...ROLLOUT, observe };
    const before = await started({ config });
    before.stage(ALLOW);
    await before.rollout.stop();
    const between = await started({ config });
    between.clock.advance(MINUTE);
    await between.rollout.stop();
    expect(parseState(await readFile(stateFile, 'utf8')).trial).toMatchObject({ sha256: DIGEST, percent: 10 });
  });

  test('is no time at all where the state is damaged, until a person lets go of it', async () => {
    await mkdir(dirname(stateFile), { recursive: true });
    await writeFile(stateFile, '{');
    const kit = await started();
    expect(kit.rollout.nowEpochMs()).toBe(Number.POSITIVE_INFINITY);
    kit.rollout.resume(BY);
    expect(kit.rollout.nowEpochMs()).toBe(kit.clock.now().epochMs);
    await kit.rollout.stop();
  });
});

describe('the state as text', () => {
  const state = {
    salt: 'a salt',
    refused: [{ sha256: DIGEST, revision: 'r2', reason: 'a rail', at: '2026-11-02T12:00:00.000Z' }],
    pardoned: ['d'.repeat(64)],
    tenants: true,
    newestEpochMs: 1_793_620_800_000,
    pin: { to: 'candidate', sha256: DIGEST },
    trial: { sha256: DIGEST, step: 1, elapsedMs: 5, percent: 10, paused: 'by hand' },
  } as const;

  test('is read as it was written', () => {
    expect(parseState(writeState(state))).toEqual(state);
  });

  test.each([
    ['step', { ...state, trial: { ...state.trial, step: 1.5 } }],
    ['elapsedMs', { ...state, trial: { ...state.trial, elapsedMs: 0.5 } }],
    ['newestEpochMs', { ...state, newestEpochMs: 0.5 }],
  ])('is damaged where `%s` is no whole number', (name, changed) => {
    expect(() => parseState(writeState(changed))).toThrow(`\`${name}\` is no whole number`);
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
