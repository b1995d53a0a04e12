import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHighWaterMark, MARK_FILE } from '../../../../src/bundle/signing/high-water-mark.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { claimsOf, orderOf, refusalOf, SIGNED_AT_S } from '../../../support/signed-bundles.ts';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-mark-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const markAt = (epochS = SIGNED_AT_S) =>
  createHighWaterMark({ folder, clock: createManualClock({ epochMs: epochS * 1000 }) });

describe('the high-water mark', () => {
  test('is kept over restarts, by name and scope, and never lowered by itself', async () => {
    await markAt().raise(claimsOf({ version: 7 }), A);
    await markAt().raise(claimsOf({ version: 6 }), B);
    await markAt().raise(claimsOf({ version: 3, scope: 'test' }), B);
    await markAt().raiseOrder(orderOf({ version: 9 }));
    await markAt().raiseOrder(orderOf({ version: 8 }));
    const { bundles, orders } = await markAt().read();
    expect([...bundles].map(([key, { version }]) => [key, version])).toEqual([
      ['prod authz', 7],
      ['test authz', 3],
    ]);
    expect(orders.get('prod authz')?.version).toBe(9);
    expect(await readdir(folder)).toEqual([MARK_FILE]);
  });

  test('keeps the highest rollback bound that was signed', async () => {
    await markAt().raise(claimsOf({ version: 7, minRollbackVersion: 6 }), A);
    await markAt().raise(claimsOf({ version: 8, minRollbackVersion: 0 }), B);
    expect((await markAt().read()).bundles.get('prod authz')?.minRollbackVersion).toBe(6);
  });

  test('of a delta takes one whole archive of the version and revision that it led to', async () => {
    const delta = claimsOf({ kind: 'delta', version: 7, revision: 'r7' });
    const whole = claimsOf({ version: 7, revision: 'r7' });
    await markAt().raise(delta, A);
    expect(await refusalOf(() => markAt().check(delta, A))).toBe('believed');
    for (const other of [{ revision: 'r8' }, { revision: '' }]) {
      expect(await refusalOf(() => markAt().check(claimsOf({ version: 7, ...other }), B))).toContain('given once');
      expect(await refusalOf(() => markAt().raise(claimsOf({ version: 7, ...other }), B))).toContain('another archive');
    }
    expect(await refusalOf(() => markAt().check(whole, B))).toBe('believed');
    await markAt().raise(whole, B);
    expect(await refusalOf(() => markAt().check(whole, B))).toBe('believed');
    expect(await refusalOf(() => markAt().check(whole, A))).toContain('given once');
    expect(await refusalOf(() => markAt().check(delta, A))).toContain('given once');
  });

  test.each([
    ['expired within the leeway', SIGNED_AT_S + 3600 + 59, 'believed'],
    ['expired beyond it', SIGNED_AT_S + 3600 + 60, 'expired'],
    ['begins within the leeway', SIGNED_AT_S - 60, 'believed'],
    ['begins beyond it', SIGNED_AT_S - 61, 'not valid before'],
  ])('judges a bundle that %s', async (_when, epochS, says) => {
    expect(await refusalOf(() => markAt(epochS).check(claimsOf(), A))).toContain(says);
  });

  test('goes by the latest time seen when the clock is set back', async () => {
    await markAt(SIGNED_AT_S + 4000).now();
    expect(await markAt(SIGNED_AT_S).now()).toBe(SIGNED_AT_S + 4000);
    expect(await refusalOf(() => markAt(SIGNED_AT_S).check(claimsOf(), A))).toContain('expired');
  });

  test('is lowered by an operator, to one version or to none', async () => {
    await markAt(SIGNED_AT_S + 100).raise(claimsOf({ version: 7 }), A);
    expect((await markAt().lower({ name: 'authz', scope: 'prod', version: 5 })).bundle?.version).toBe(7);
    expect(await refusalOf(() => markAt().check(claimsOf({ version: 4, minRollbackVersion: 0 }), B))).toContain(
      'older',
    );
    expect(await refusalOf(() => markAt().check(claimsOf({ version: 5 }), B))).toBe('believed');
    await markAt().raise(claimsOf({ version: 5 }), B);
    expect(await refusalOf(() => markAt().check(claimsOf({ version: 5 }), A))).toContain('given once');
    expect(await refusalOf(() => markAt().lower({ name: 'authz', scope: 'prod', version: 6 }))).toContain('lower');
    await markAt(0).lower({ name: 'authz', scope: 'prod', version: 0, resetTime: true });
    expect(await markAt().read()).toEqual({ latestEpochS: 0, bundles: new Map(), orders: new Map() });
  });

  test('of orders stays when that of the bundle is lowered, and is forgotten by itself', async () => {
    await markAt().raise(claimsOf({ version: 7 }), A);
    await markAt().raiseOrder(orderOf({ version: 9 }));
    await markAt().lower({ name: 'authz', scope: 'prod', version: 0 });
    expect(await refusalOf(() => markAt().checkOrder(orderOf({ version: 8 })))).toContain('older than 9');
    await markAt().raise(claimsOf({ version: 7 }), A);
    const before = await markAt().lower({ name: 'authz', scope: 'prod', forgetOrders: true });
    expect([before.order?.version, before.bundle?.version]).toEqual([9, 7]);
    expect(await refusalOf(() => markAt().checkOrder(orderOf({ version: 8 })))).toBe('believed');
    expect(await refusalOf(() => markAt().check(claimsOf({ version: 6 }), B))).toContain('older than 7');
  });

  test('is refused when its file was damaged, wherever that is, and is not begun anew', async () => {
    await markAt().raise(claimsOf(), A);
    const file = join(folder, MARK_FILE);
    const good = await readFile(file);
    const damaged = [Buffer.alloc(0), good.subarray(0, 20), Buffer.from('{}\n'), Buffer.concat([good, good])];
    for (let at = 0; at < good.length; at += 1) {
      const copy = Buffer.from(good);
      copy[at] = (copy[at] ?? 0) ^ 0x01;
      damaged.push(copy);
    }
    for (const bytes of damaged) {
      await writeFile(file, bytes);
      expect(await refusalOf(() => markAt().check(claimsOf({ version: 8 }), B))).toMatch(
        /^bundle_untrusted: .*damaged/,
      );
      expect(await refusalOf(() => markAt().raise(claimsOf({ version: 8 }), B))).toMatch(
        /^bundle_untrusted: .*damaged/,
      );
      expect(Buffer.compare(await readFile(file), bytes)).toBe(0);
    }
  });

  test('takes changes that come at the same time one after the other', async () => {
    const mark = markAt();
    const versions = Array.from({ length: 20 }, (_, at) => at + 1);
    await Promise.all(
      versions.map((version) => mark.raise(claimsOf({ version, scope: `s${version}`, minRollbackVersion: 0 }), A)),
    );
    expect((await mark.read()).bundles.size).toBe(20);
  });
});
