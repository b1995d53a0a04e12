import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockSpool } from '../../../../src/decision-log/spool/spool-lock.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-lock-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const listening = (path: string): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server: Server = createServer().once('error', reject);
    server.listen({ path }, () => resolve(server));
  });
const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
const locks = (): string[] => readdirSync(dir).filter((name) => name.startsWith('lock-'));

describe('the lock of a spool', () => {
  test('is for one at a time, and leaves nothing behind', async () => {
    const unlock = await lockSpool(dir);
    await expect(lockSpool(dir)).rejects.toThrow('another process has the spool');
    await unlock();
    expect(readdirSync(dir)).toEqual([]);
    await (await lockSpool(dir))();
  });

  test('cannot be taken by somebody who may not enter the folder', async () => {
    const name = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 32);
    const squatter = await listening(`\0sallyport-spool-${name}`);
    await (await lockSpool(dir))();
    await closed(squatter);
  });

  test('of a process that was killed counts for nothing and is cleared away', async () => {
    const server = await listening(join(dir, 'bound'));
    // Node removes the path that it made, and so leaves this one, as `kill -9` does.
    renameSync(join(dir, 'bound'), join(dir, 'lock-0123456789abcdef'));
    await expect(lockSpool(dir)).rejects.toThrow('another process has the spool');
    await closed(server);
    writeFileSync(join(dir, 'lock-00000000000000ff'), '');
    expect(locks()).toHaveLength(2);
    const unlock = await lockSpool(dir);
    expect(locks()).toHaveLength(1);
    expect(locks()).not.toContain('lock-0123456789abcdef');
    await unlock();
  });

  test('holds in a folder whose path is too long for a socket', async () => {
    const deep = join(dir, 'x'.repeat(120), 'y'.repeat(120));
    mkdirSync(deep, { recursive: true });
    const unlock = await lockSpool(deep);
    expect(readdirSync(deep)).toHaveLength(1);
    await expect(lockSpool(deep)).rejects.toThrow('another process has the spool');
    await unlock();
    expect(readdirSync(deep)).toEqual([]);
  });

  test('goes to one at the most of many that ask at once, with a dead one there', async () => {
    for (let round = 0; round < 20; round += 1) {
      writeFileSync(join(dir, 'lock-0123456789abcdef'), '');
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => lockSpool(dir)));
      const got = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(got.length).toBeLessThanOrEqual(1);
      for (const unlock of got) await unlock();
      await (await lockSpool(dir))();
    }
  });

  test('of a folder that cannot have one is told as such', async () => {
    await expect(lockSpool(join(dir, 'none'))).rejects.toThrow('cannot be locked');
  });
});
