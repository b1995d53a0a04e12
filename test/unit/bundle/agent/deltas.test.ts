import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { packArchive } from '../../../../src/bundle/archive.ts';
import { type Bundle, bundleData } from '../../../../src/bundle/bundle.ts';
import { deltaSha256 } from '../../../../src/bundle/delta.ts';
import type { BundleClaims } from '../../../../src/bundle/signing/claims.ts';
import type { Download } from '../../../../src/bundle/source.ts';
import { agentOf, claimsOf, cleanUp, DOWN, signed, sourceOf, until } from './fleet-of-one.ts';

afterEach(cleanUp);

const revisionOf = ({ activator }: ReturnType<typeof agentOf>) => activator.status().get('authz')?.revision;
const codeOf = ({ activator }: ReturnType<typeof agentOf>) => activator.status().get('authz')?.lastError?.code;

describe('a delta', () => {
  const base = signed(1);
  const patch = (data: readonly unknown[]) =>
    packArchive(
      new Map([
        ['.manifest', Buffer.from('{"revision":"r2","roots":["tiers"]}')],
        ['patch.json', Buffer.from(JSON.stringify({ data }))],
      ]),
    );
  const deltaOf = (version: number, baseSha256: string) =>
    signed(version, { kind: 'delta', baseSha256 }, patch([{ op: 'upsert', path: '/tiers/extra', value: 7 }]));

  it('changes the data in force, and what it made is there after a restart', async () => {
    const source = sourceOf(base);
    const seen: Bundle[] = [];
    const activate = (bundles: readonly Bundle[]) => void seen.push(...bundles);
    const agent = agentOf(source, { activate });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    const delta = deltaOf(2, base.sha256);
    source.given = delta;
    await agent.activator.reload();
    expect(revisionOf(agent)).toBe('r2');
    expect(source.wishes.at(-1)?.base).toBe(base.sha256);
    expect(seen.at(-1)).toMatchObject({ sha256: deltaSha256(base.sha256, delta.sha256) });
    expect(tiersOf(seen.at(-1))).toMatchObject({ extra: 7 });
    await agent.activator.stop();
    source.given = DOWN;
    const again = agentOf(source, { folder: agent.folder, activate });
    await again.activator.start();
    expect(again.activator.status().get('authz')).toMatchObject({ revision: 'r2', version: 2 });
    expect(tiersOf(seen.at(-1))).toMatchObject({ extra: 7 });
  });

  it('for something else than what is in force makes the whole bundle be asked for', async () => {
    const source = sourceOf(base);
    const agent = agentOf(source);
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    const wrong = deltaOf(2, 'b'.repeat(64));
    const load = source.load.bind(source);
    source.load = async (etag, signal, wish) => {
      await load(etag, signal, wish);
      return wish?.base === undefined ? signed(2) : wrong;
    };
    await agent.activator.reload();
    expect(agent.activator.status().get('authz')).toMatchObject({ revision: 'r2', sha256: signed(2).sha256 });
    expect(source.wishes.slice(-2).map(({ etag, base: named }) => [etag, named])).toEqual([
      [base.etag, base.sha256],
      [undefined, undefined],
    ]);
    expect(claimsOf(2).kind).toBe('bundle');
  });

  it('is not taken for the whole archive, which is believed once in its place', async () => {
    const source = sourceOf(base);
    const agent = agentOf(source);
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    source.given = deltaOf(2, base.sha256);
    await agent.activator.reload();
    await agent.activator.reload();
    expect(source.wishes.at(-1)).toMatchObject({ etag: source.given.etag, newerThan: 2 });
    expect(source.wishes.at(-1)).not.toHaveProperty('signature');
    await agent.activator.stop();

    const { folder } = agent;
    rmSync(join(folder, 'bundles'), { recursive: true });
    source.given = signed(2);
    const again = agentOf(source, { folder });
    await again.activator.start();
    await until(() => revisionOf(again) === 'r2');
    await again.activator.stop();
    rmSync(join(folder, 'bundles'), { recursive: true });
    source.given = signed(2, {}, signed(3).bytes);
    const later = agentOf(source, { folder });
    await later.activator.start();
    await until(() => codeOf(later) === 'bundle_untrusted');
  });

  it.each<[string, () => Download]>([
    ['has an operation that it does not know', () => faulty(patch([{ op: 'add', path: '/tiers/x', value: 1 }]))],
    ['is signed for another bundle', () => faulty(patch([]), { name: 'other' })],
    ['names no revision', () => faulty(patch([]), { revision: '' })],
    ['is rejected when it is examined', () => faulty(patch([]))],
  ])('that %s is passed over: the whole bundle is taken', async (_fault, given) => {
    const source = sourceOf(base);
    const examine = async ([bundle]: readonly Bundle[]) => {
      if (bundle !== undefined && ![base.sha256, signed(2).sha256].includes(bundle.sha256)) throw new Error('no');
    };
    const agent = agentOf(source, { examine });
    await agent.activator.start();
    await until(() => revisionOf(agent) === 'r1');
    const load = source.load.bind(source);
    source.load = async (etag, signal, wish) => {
      await load(etag, signal, wish);
      return wish?.base === undefined ? signed(2) : given();
    };
    await agent.activator.reload();
    expect(agent.activator.status().get('authz')).toMatchObject({ revision: 'r2', sha256: signed(2).sha256 });
    expect(agent.logged.at(-2)).toMatch(/^delta refused: bundle `authz`: /);
  });

  const faulty = (bytes: Uint8Array, wish: Partial<BundleClaims> = {}) =>
    signed(2, { kind: 'delta', baseSha256: base.sha256, ...wish }, bytes);
});

function tiersOf(bundle: Bundle | undefined): unknown {
  return bundle && bundleData(bundle)['tiers'];
}
