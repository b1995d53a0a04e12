import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDiskStore } from '../../../src/bundle-server/disk-store.ts';
import type { ObjectStore } from '../../../src/bundle-server/object-store.ts';
import { createManualClock } from '../../support/manual-clock.ts';

let folder: string;
let store: ObjectStore;
let names = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  store = createDiskStore({
    folder: join(folder, 'store'),
    clock: createManualClock(),
    uniqueName: () => `n${names++}`,
  });
  mkdirSync(join(folder, 'store/authz/releases'), { recursive: true });
  mkdirSync(join(folder, 'elsewhere'));
  writeFileSync(join(folder, 'elsewhere/1.jws'), 'outside the store');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (key: string): string => join(folder, 'store', key);

test.each([
  ['a link to a file', (path: string) => symlinkSync(join(folder, 'elsewhere/1.jws'), path)],
  ['a link to a device without end', (path: string) => symlinkSync('/dev/zero', path)],
  ['a link to nothing', (path: string) => symlinkSync(join(folder, 'nothing'), path)],
  ['a pipe that nobody writes to', (path: string) => void execFileSync('mkfifo', [path])],
  ['a folder', (path: string) => mkdirSync(path)],
])('%s in place of a record is not read', async (_what, make) => {
  make(at('authz/releases/1.jws'));
  await expect(store.get('authz/releases/1.jws', 8192)).rejects.toThrow();
});

test('a folder that is a link is neither read from nor written to', async () => {
  symlinkSync(join(folder, 'elsewhere'), at('authz/orders'));
  await expect(store.get('authz/orders/1.jws', 8192)).rejects.toThrow('is a link');
  await expect(store.create('authz/orders/2.jws', Buffer.from('x'))).rejects.toThrow('is a link');
  await expect(store.replace('authz/orders/1.jws', Buffer.from('x'))).rejects.toThrow('is a link');
});

test('the folder of the store itself may be one', async () => {
  symlinkSync(join(folder, 'store'), join(folder, 'alias'));
  const alias = createDiskStore({ folder: join(folder, 'alias'), clock: createManualClock(), uniqueName: () => 'n' });
  expect(await alias.create('authz/releases/2.jws', Buffer.from('ours'))).toBe('created');
  expect(Buffer.from((await alias.get('authz/releases/2.jws', 4)) ?? []).toString()).toBe('ours');
});
