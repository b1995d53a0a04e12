import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { agentOf, cleanUp, DOWN, START_S, signed, sourceOf, until } from './fleet-of-one.ts';

afterEach(cleanUp);

const revisionOf = ({ activator }: ReturnType<typeof agentOf>) => activator.status().get('authz')?.revision;
const codeOf = ({ activator }: ReturnType<typeof agentOf>) => activator.status().get('authz')?.lastError?.code;

describe('a signed bundle', () => {
  it('is activated when it is newer, and refused when it is older, also after a restart and with the clock set back', async () => {
    const source = sourceOf(signed(2));
    const agent = agentOf(source);
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r2');
    expect(agent.activator.status().get('authz')).toMatchObject({ version: 2, sha256: signed(2).sha256 });
    source.given = signed(1);
    await agent.activator.reload();
    expect([revisionOf(agent), codeOf(agent)]).toEqual(['r2', 'bundle_untrusted']);
    await agent.activator.stop();

    const { folder } = agent;
    rmSync(join(folder, 'bundles'), { recursive: true });
    const later = agentOf(source, { folder, clock: createManualClock({ epochMs: (START_S - 30) * 1000 }) });
    await later.activator.start();
    await until(() => codeOf(later) === 'bundle_untrusted');
    expect(later.activator.ready()).toBe(false);
    source.given = signed(3);
    await later.activator.reload();
    expect(revisionOf(later)).toBe('r3');
  });

  it.each([
    ['has no signature', () => ({ bytes: signed(2).bytes })],
    ['has the signature of another one', () => ({ ...signed(2), signature: signed(3).signature })],
    [
      'is expired',
      () =>
        signed(2, { notBeforeEpochS: START_S - 7200, expiresEpochS: START_S - 3600, issuedAtEpochS: START_S - 7200 }),
    ],
    ['is for another scope', () => signed(2, { scope: 'other' })],
    ['has another name', () => signed(2, { name: 'other' })],
    ['is a version that was another archive', () => signed(1, {}, signed(2).bytes)],
  ])('that %s is refused, and the old one serves on', async (_fault, given) => {
    const source = sourceOf(signed(1));
    const agent = agentOf(source);
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    source.given = given();
    await agent.activator.reload();
    expect([revisionOf(agent), codeOf(agent), agent.inForce]).toEqual(['r1', 'bundle_untrusted', ['r1']]);
  });

  it('whose archive and sidecar are not of one revision is refused and asked for again soon', async () => {
    const source = sourceOf({ ...signed(1), signature: signed(2).signature });
    const agent = agentOf(source);
    await agent.activator.start();
    await until(() => codeOf(agent) === 'bundle_untrusted');
    source.given = signed(2);
    agent.clock.advance(250);
    await until(() => revisionOf(agent) === 'r2');
  });

  it('that is signed anew, for longer, is not activated again but lives longer', async () => {
    const source = sourceOf(signed(1));
    const agent = agentOf(source, { watch: { stale: { level: 'deny' } } });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    source.given = { ...signed(1, { expiresEpochS: START_S + 7200 }), etag: '"anew"' };
    await agent.activator.reload();
    agent.clock.advance(3_700_000);
    expect(agent.activator.staleness().level).toBe('fresh');
    expect(agent.inForce).toEqual(['r1']);
  });
});

describe('an examination before activation', () => {
  it('refuses by throwing, with its words', async () => {
    const examine = (bundles: readonly Bundle[]) =>
      bundles.some(({ revision }) => revision === 'r2') ? Promise.reject(new Error('case 3 fails')) : Promise.resolve();
    const source = sourceOf(signed(1));
    const agent = agentOf(source, { examine });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    source.given = signed(2);
    await agent.activator.reload();
    expect(agent.inForce).toEqual(['r1']);
    expect(agent.activator.status().get('authz')?.lastError).toMatchObject({
      code: 'bundle_rejected',
      message: 'bundle `authz`: case 3 fails',
    });
  });

  it('that does not end is given up', async () => {
    const agent = agentOf(sourceOf(signed(1)), { examine: () => new Promise(() => {}), examineTimeoutMs: 100 });
    await agent.activator.start();
    await until(() => {
      agent.clock.advance(100);
      return codeOf(agent) === 'bundle_rejected';
    });
    expect(agent.inForce).toEqual([]);
  });
});

describe('a verified copy', () => {
  it('is in force at once after a restart with the source down, without being examined again', async () => {
    const source = sourceOf(signed(1));
    const first = agentOf(source);
    await first.activator.start();
    await until(() => revisionOf(first) === 'r1');
    await first.activator.reload();
    await first.activator.stop();
    const files = readdirSync(join(first.folder, 'bundles/authz'));
    const { sha256 } = signed(1);
    expect(files.sort()).toEqual([`${sha256}.tar.gz`, `${sha256}.tar.gz.jws`, 'in-force.json'].sort());
    for (const file of files) expect(statSync(join(first.folder, 'bundles/authz', file)).mode & 0o777).toBe(0o600);

    source.given = DOWN;
    const startedMs = performance.now();
    const examined: string[] = [];
    const examine = async ([bundle]: readonly Bundle[]) => void examined.push(bundle?.revision ?? '');
    const again = agentOf(source, { folder: first.folder, examine });
    await again.activator.start();
    expect(again.activator.ready()).toBe(true);
    expect(again.inForce).toEqual(['r1']);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await until(() => codeOf(again) === 'bundle_unreachable');
    source.given = signed(2);
    await again.activator.reload();
    expect([revisionOf(again), examined]).toEqual(['r2', ['r2']]);
    expect(source.wishes.some(({ etag }) => etag === signed(1).etag)).toBe(true);
  });

  it.each<[string, (folder: string) => void]>([
    [
      'was tampered with',
      (folder) => {
        const file = join(folder, `${signed(1).sha256}.tar.gz`);
        const bytes = readFileSync(file);
        bytes[100] = (bytes[100] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      },
    ],
    ['lost its archive', (folder) => rmSync(join(folder, `${signed(1).sha256}.tar.gz`))],
    ['has an index that is no JSON', (folder) => writeFileSync(join(folder, 'in-force.json'), '{')],
    [
      'has another signature',
      (folder) => {
        const file = join(folder, 'in-force.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace(signed(1).signature, signed(2).signature));
      },
    ],
  ])('that %s is not put in force', async (_fault, spoil) => {
    const source = sourceOf(signed(1));
    const first = agentOf(source);
    await first.activator.start();
    await until(() => revisionOf(first) === 'r1');
    await first.activator.reload();
    await first.activator.stop();
    spoil(join(first.folder, 'bundles/authz'));
    source.given = DOWN;
    const again = agentOf(source, { folder: first.folder });
    await again.activator.start();
    expect([again.activator.ready(), again.inForce]).toEqual([false, []]);
    source.given = signed(1);
    await again.activator.reload();
    expect(revisionOf(again)).toBe('r1');
  });

  it('stands in for a file that is gone', async () => {
    const source = sourceOf(signed(1), 'file');
    const first = agentOf(source);
    await first.activator.start();
    await first.activator.stop();
    source.given = DOWN;
    const again = agentOf(source, { folder: first.folder });
    await again.activator.start();
    expect([again.inForce, codeOf(again)]).toEqual([['r1'], 'bundle_unreachable']);
  });

  it('that cannot be written is warned of and counted, and the bundle is in force', async () => {
    const agent = agentOf(sourceOf(signed(1)));
    writeFileSync(join(agent.folder, 'bundles'), 'in the way');
    await agent.activator.start();
    await until(() => agent.counted.includes('not kept'));
    expect(agent.inForce).toEqual(['r1']);
    expect(agent.logged.some((line) => line.startsWith('bundle in force, but not kept on disk'))).toBe(true);
    rmSync(join(agent.folder, 'bundles'));
    mkdirSync(join(agent.folder, 'bundles'));
    await until(() => {
      agent.clock.advance(1_000);
      return readdirSync(join(agent.folder, 'bundles')).length === 1;
    });
  });
});

describe('a stale bundle', () => {
  it.each(['warn', 'not_ready', 'deny'] as const)(
    'is told of as `%s` once its source is silent for too long',
    async (level) => {
      const source = sourceOf(signed(1));
      const agent = agentOf(source, { watch: { stale: { maxAgeMs: 10_000, level } } });
      await agent.activator.start();
      await until(() => revisionOf(agent) === 'r1');
      source.given = DOWN;
      for (let second = 0; second < 12; second += 1) {
        agent.clock.advance(1_000);
        await new Promise(setImmediate);
      }
      expect(agent.levels).toEqual([`${level} authz: age`]);
      expect(agent.activator.status().get('authz')?.stale).toBe('age');
      source.given = signed(1);
      await agent.activator.reload();
      agent.clock.advance(1_000);
      expect(agent.levels).toEqual([`${level} authz: age`, 'fresh']);
    },
  );

  it('that expires in force is told of, whatever its source says', async () => {
    const agent = agentOf(sourceOf(signed(1)), { watch: { stale: { level: 'not_ready' } } });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    agent.clock.advance(3_601_000);
    expect(agent.activator.staleness()).toEqual({ level: 'not_ready', reasons: ['authz: expired'] });
  });

  it('is as old after a restart as before, and an expired copy is put in force and told of', async () => {
    const source = sourceOf(signed(1));
    const first = agentOf(source);
    await first.activator.start();
    await until(() => revisionOf(first) === 'r1');
    await first.activator.reload();
    await first.activator.stop();
    source.given = DOWN;
    const clock = createManualClock({ epochMs: (START_S + 7200) * 1000 });
    const again = agentOf(source, { folder: first.folder, clock, watch: { stale: { maxAgeMs: 1e9, level: 'deny' } } });
    await again.activator.start();
    expect(again.inForce).toEqual(['r1']);
    expect(again.levels).toEqual(['deny authz: expired']);
    expect(again.activator.status().get('authz')?.ageMs).toBe(7_200_000);
  });
});

describe('a long poll', () => {
  it('is asked for once the source was heard, and not after a fault', async () => {
    const source = sourceOf(signed(1));
    const agent = agentOf(source, { watch: { longPollSeconds: 30 } });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    const asked = (times: number) =>
      until(() => {
        agent.clock.advance(10);
        return source.wishes.length === times;
      });
    await asked(2);
    source.given = DOWN;
    await asked(3);
    await asked(4);
    expect(source.wishes.map(({ waitSeconds }) => waitSeconds)).toEqual([0, 30, 30, 0]);
  });

  it('that is under way does not hold up `reload`', async () => {
    const source = sourceOf(signed(1));
    const load = source.load.bind(source);
    let held = 0;
    source.load = (etag, signal, wish = {}) => {
      if ((wish.waitSeconds ?? 0) === 0) return load(etag, signal, wish);
      held += 1;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const agent = agentOf(source, { watch: { longPollSeconds: 600 } });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    await until(() => {
      agent.clock.advance(10);
      return held === 1;
    });
    source.given = signed(2);
    await agent.activator.reload();
    expect(revisionOf(agent)).toBe('r2');
    expect(codeOf(agent)).toBeUndefined();
  });
});
