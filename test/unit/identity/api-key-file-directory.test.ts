import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MAX_KEY_FILE_BYTES, parseKeyFile } from '../../../src/identity/api-key-file.ts';
import { createFileKeyDirectory, createWatchedFile } from '../../../src/identity/api-key-file-directory.ts';
import { issueKey, keysFileText } from './api-key-support.ts';
import { manualTime, turn } from './support.ts';

const [one, two] = [issueKey(), issueKey({ tenant: 'tenant-b' })];
const MINUTE = 60_000;

/** A directory on a file in memory; `write` gives it a new stamp unless told to keep the old one. */
async function watched(text: string) {
  const time = manualTime();
  const events: string[] = [];
  let now: { readonly text: string | undefined; readonly stamp: number } = { text, stamp: 0 };
  const directory = createFileKeyDirectory({
    file: {
      stamp: async () => {
        if (now.text === undefined) throw new Error('ENOENT');
        return String(now.stamp);
      },
      read: async () => Buffer.from(now.text ?? ''),
    },
    ...time,
    report: (event) => events.push(event.kind === 'failed' ? `failed: ${event.cause}` : event.kind),
  });
  await directory.start();
  return {
    time,
    events,
    directory,
    find: (id: string) => directory.find(id, time.clock.now()),
    write: (next: string | undefined, stamp = now.stamp + 1) => {
      now = { text: next, stamp };
    },
  };
}

const both = keysFileText([one.entry, two.entry]);
const revokedOne = keysFileText([{ ...one.entry, revoked: true }, two.entry]);

describe('the keys of a file', () => {
  test('are found by id, and only those', async () => {
    const { find, events } = await watched(both);
    expect(find(one.id)).toMatchObject({ id: one.id, tenant: 'tenant-a', revoked: false });
    expect(find(two.id)).toMatchObject({ id: two.id, tenant: 'tenant-b' });
    expect([find('aaaaaaaaaaaa'), find('__proto__'), find('constructor')]).toEqual([undefined, undefined, undefined]);
    expect(events).toEqual(['loaded']);
  });

  test.each([
    ['revoked', revokedOne],
    ['gone', keysFileText([two.entry])],
  ])('a key that is %s is out of force within half a second', async (kind, text) => {
    const { find, write, time } = await watched(both);
    write(text);
    await time.advance(500);
    expect(find(one.id)).toEqual(kind === 'gone' ? undefined : expect.objectContaining({ revoked: true }));
    expect(find(two.id)).toMatchObject({ revoked: false });
  });

  test('a change within the same tick of the file system is seen too', async () => {
    const { find, write, time } = await watched(both);
    write(keysFileText([two.entry]), 0);
    await time.advance(500);
    expect(find(one.id)).toBeUndefined();
  });

  test('are not read again while nothing changes, and stay in force', async () => {
    const { find, time, events } = await watched(both);
    await time.advance(120 * MINUTE);
    expect(find(one.id)).toMatchObject({ revoked: false });
    expect(events).toEqual(['loaded']);
  });

  test('stop watching when told, and leave no timer', async () => {
    const { directory, time, write, find } = await watched(both);
    directory.stop();
    write(revokedOne);
    await time.advance(MINUTE);
    expect(time.pending()).toBe(0);
    expect(find(one.id)).toMatchObject({ revoked: false });
  });
});

describe('a revocation is final', () => {
  test.each([
    ['says nothing of it', both],
    ['says the contrary', keysFileText([{ ...one.entry, revoked: false }, two.entry])],
  ])('a later file that %s does not take it back', async (_name, text) => {
    const { find, write, time } = await watched(revokedOne);
    write(text);
    await time.advance(5000);
    expect(find(one.id)).toMatchObject({ revoked: true });
    write(keysFileText([two.entry]));
    await time.advance(5000);
    write(both);
    await time.advance(5000);
    expect(find(one.id)).toMatchObject({ revoked: true });
  });
});

describe('a file that is broken or gone', () => {
  const broken: readonly (readonly [string, string | undefined])[] = [
    ['cut short', both.slice(0, both.length - 30)],
    ['empty', ''],
    ['no YAML', '{'],
    ['gone', undefined],
    ['with an entry of faults', keysFileText([{ ...one.entry, tier: undefined }, two.entry])],
    ['with an id twice', keysFileText([one.entry, { ...two.entry, id: one.id }])],
    ['with an unknown key', JSON.stringify({ keys: [one.entry], admin: true })],
  ];
  test.each(broken)('%s: the last good keys stay for a quarter of an hour, then none holds', async (_name, text) => {
    const { find, write, time, events, directory } = await watched(both);
    write(text);
    await time.advance(14 * MINUTE);
    expect(find(one.id)).toMatchObject({ revoked: false });
    expect(events).toEqual(['loaded', expect.stringMatching(/^failed: /)]);
    await time.advance(2 * MINUTE);
    expect(() => find(one.id)).toThrow(expect.objectContaining({ code: 'issuer_unavailable' }));
    expect(directory.fault(time.clock.now())).toMatch(/^keys file: /);
    write(both);
    await time.advance(500);
    expect(find(one.id)).toMatchObject({ revoked: false });
    expect(directory.fault(time.clock.now())).toBeUndefined();
  });

  test.each([
    ['an entry beside it is broken', keysFileText([{ ...one.entry, revoked: true }, { id: 'x' }])],
    ['its own entry is broken', keysFileText([{ id: one.id, revoked: true }, two.entry])],
    ['`revoked` is `yes`', keysFileText([{ ...one.entry, revoked: 'yes' }, two.entry])],
  ])('what it revokes is revoked all the same: %s', async (_name, text) => {
    const { find, write, time } = await watched(both);
    write(text);
    await time.advance(500);
    expect(find(one.id)).toMatchObject({ revoked: true });
    expect(find(two.id)).toMatchObject({ revoked: false });
  });

  test('at the start no key holds, and it says why', async () => {
    const { find, directory, time, events } = await watched('keys: 1');
    expect(() => find(one.id)).toThrow(expect.objectContaining({ code: 'issuer_unavailable' }));
    expect(directory.fault(time.clock.now())).toBe('keys file: `keys` is compulsory, a list');
    expect(events).toEqual(['failed: `keys` is compulsory, a list']);
  });

  test('no fault repeats a digest', () => {
    const { faults } = parseKeyFile(Buffer.from(keysFileText([{ ...one.entry, sha256: `${one.sha256}0`, x: 1 }])));
    expect(faults).toHaveLength(2);
    expect(faults.join()).not.toContain(one.sha256);
  });
});

test('faults of a keys file name the line and the key', () => {
  const { faults } = parseKeyFile(Buffer.from('# keys\nkeys:\n  - id: short\n    sha256: 12\n    tier: free\n'));
  expect(faults.toSorted()).toEqual([
    'line 3: keys[0].id: must match pattern "^[a-z0-9]{12,20}$"',
    'line 3: keys[0].roles: is compulsory',
    'line 3: keys[0].tenant: is compulsory',
    'line 4: keys[0].sha256: must be string',
  ]);
  expect(parseKeyFile(Buffer.alloc(MAX_KEY_FILE_BYTES + 1)).faults).toEqual([expect.stringMatching(/is larger than/)]);
  expect(parseKeyFile(Buffer.from([0x6b, 0xff])).faults).toEqual(['is no UTF-8']);
  expect(parseKeyFile(Buffer.from('keys: &a\n  - *a\n')).faults).not.toEqual([]);
});

test('a real file is seen to change by being replaced and by being written to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'keys.yaml');
  await writeFile(path, both);
  const file = createWatchedFile(path);
  const stamps = [await file.stamp()];
  expect(Buffer.from(await file.read()).toString()).toBe(both);
  await writeFile(path, `${both}\n`);
  stamps.push(await file.stamp());
  await writeFile(join(folder, 'next'), both);
  await rename(join(folder, 'next'), path);
  stamps.push(await file.stamp());
  expect(new Set(stamps).size).toBe(3);
  await writeFile(path, Buffer.alloc(MAX_KEY_FILE_BYTES + 100));
  expect(await file.read()).toHaveLength(MAX_KEY_FILE_BYTES + 1);
  await turn();
});
