import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { ObjectStore } from '../../src/bundle-server/object-store.ts';

/** A store with the means to put into it what is not ours. */
export interface OpenStore {
  readonly store: ObjectStore;
  /** A second server's view of the same files. */
  readonly twin: ObjectStore;
  close(): Promise<void>;
}

const MIB = 2 ** 20;

/** What every store promises, against the real thing. */
export function bundleStoreSuite(openStore: () => Promise<OpenStore>): void {
  async function open(): Promise<OpenStore> {
    const opened = await openStore();
    onTestFinished(() => opened.close());
    return opened;
  }
  const keysOf = async (store: ObjectStore) => (await store.list()).map(({ key }) => key).sort();

  test('an empty store has nothing', async () => {
    const { store } = await open();
    expect(await store.list()).toEqual([]);
    expect(await store.get('authz/orders/1.jws', 100)).toBeUndefined();
  });

  test('a file is there as it was written, for everybody', async () => {
    const { store, twin } = await open();
    const bytes = new Uint8Array(randomBytes(3 * MIB));
    expect(await store.create('authz/archives/a.tar.gz', bytes)).toBe('created');
    expect(await store.create('authz/orders/1.jws', Buffer.from('x'))).toBe('created');
    expect(Buffer.compare((await twin.get('authz/archives/a.tar.gz', 4 * MIB)) ?? Buffer.alloc(0), bytes)).toBe(0);
    expect((await twin.list()).toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: 'authz/archives/a.tar.gz', sizeBytes: 3 * MIB },
      { key: 'authz/orders/1.jws', sizeBytes: 1 },
    ]);
  });

  test('a file that is there is left as it is; only `replace` changes it', async () => {
    const { store, twin } = await open();
    await store.create('a/b', Buffer.from('first'));
    expect(await twin.create('a/b', Buffer.from('second'))).toBe('exists');
    expect(Buffer.from((await store.get('a/b', 100)) ?? []).toString()).toBe('first');
    await twin.replace('a/b', Buffer.from('third'));
    expect(Buffer.from((await store.get('a/b', 100)) ?? []).toString()).toBe('third');
    expect(await keysOf(store)).toEqual(['a/b']);
  });

  test('of many who make one file at one time, one does', async () => {
    const { store, twin } = await open();
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? store : twin).create('a/turn', Buffer.from(`by ${at}`))),
    );
    expect(made.filter((result) => result === 'created')).toHaveLength(1);
    const winner = made.indexOf('created');
    expect(Buffer.from((await store.get('a/turn', 100)) ?? []).toString()).toBe(`by ${winner}`);
  });

  test('more than is expected is not read', async () => {
    const { store } = await open();
    await store.create('a/b', Buffer.alloc(1000));
    await expect(store.get('a/b', 999)).rejects.toThrow('more than the 999');
  });

  test('a list of more than a page is whole', async () => {
    const { store } = await open();
    const keys = Array.from({ length: 1100 }, (_, at) => `n/${String(at).padStart(5, '0')}.jws`);
    for (let from = 0; from < keys.length; from += 50) {
      await Promise.all(keys.slice(from, from + 50).map((key) => store.create(key, Buffer.from('x'))));
    }
    expect(await keysOf(store)).toEqual(keys);
  });

  test.each(['../a', 'a/../b', '/a', 'a//b', '.a', 'a/.b', 'A', 'a b', '', 'a\0', `a${'/a'.repeat(300)}`])(
    'the key %j leads nowhere',
    async (key) => {
      const { store } = await open();
      await expect(async () => store.create(key, Buffer.from('x'))).rejects.toThrow('malformed');
      await expect(async () => store.get(key, 10)).rejects.toThrow('malformed');
      expect(await store.list()).toEqual([]);
    },
  );
}
