import { describe, expect, test } from 'vitest';
import { createRedisKeyDirectory, type HashStore } from '../../../src/identity/api-key-redis-directory.ts';
import { issueKey } from './api-key-support.ts';
import { later, manualTime, turn } from './support.ts';

const key = issueKey({ models: ['llama-3-8b'], revoked: false });

const hash = (entry: object = key.entry): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(entry).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );

const EMPTY: ReadonlyMap<string, string> = new Map();

/** A directory whose store answers when the test says so. */
function directoryOn({ cacheMaxEntries = 100 } = {}) {
  const time = manualTime();
  const asked: {
    readonly name: string;
    readonly answer: (fields: ReadonlyMap<string, string>) => void;
    readonly fail: () => void;
  }[] = [];
  const store: HashStore = {
    readHash: (name) =>
      new Promise((resolve, reject) => asked.push({ name, answer: resolve, fail: () => reject(new Error('down')) })),
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => undefined,
  };
  const directory = createRedisKeyDirectory({ store, prefix: 'p:', deadlineMs: 50, cacheMaxEntries, ...time });
  const find = async (id = key.id) => directory.find(id, time.clock.now());
  return { time, asked, directory, find };
}

const UNAVAILABLE = expect.objectContaining({ code: 'issuer_unavailable' });

test('a key is asked for by its name, alone, and once for all who ask at one time', async () => {
  const { asked, find } = directoryOn();
  const found = [find(), find(), find()];
  await turn();
  expect(asked.map(({ name }) => name)).toEqual([`p:${key.id}`]);
  asked[0]?.answer(hash());
  for (const one of await Promise.all(found)) {
    expect(one).toMatchObject({ id: key.id, tenant: 'tenant-a', roles: ['inference'], models: ['llama-3-8b'] });
  }
});

describe.each([
  ['a key', hash()],
  ['an id that is none', EMPTY],
])('%s', (_name, fields) => {
  test('is remembered for less than a second, counted from the question', async () => {
    const { asked, find, time } = directoryOn();
    const first = find();
    await time.advance(40);
    asked[0]?.answer(fields);
    await first;
    await time.advance(850);
    await find();
    expect(asked).toHaveLength(1);
    await time.advance(10);
    const second = find();
    expect(asked).toHaveLength(2);
    asked[1]?.answer(hash({ ...key.entry, revoked: true }));
    expect(await second).toMatchObject({ revoked: true });
  });

  test('is not taken from the cache by a clock that went back', async () => {
    const { asked, find, directory } = directoryOn();
    const first = find();
    asked[0]?.answer(fields);
    await first;
    void directory.find(key.id, later(-1));
    expect(asked).toHaveLength(2);
  });
});

describe('what cannot be found out denies', () => {
  test('no answer in time; the answer that comes later is dropped', async () => {
    const { asked, find, time } = directoryOn();
    const first = expect(find()).rejects.toEqual(UNAVAILABLE);
    await time.advance(50);
    await first;
    asked[0]?.answer(hash());
    await turn();
    const second = expect(find()).rejects.toEqual(UNAVAILABLE);
    expect(asked).toHaveLength(2);
    asked[1]?.fail();
    await second;
    expect(time.pending()).toBe(0);
  });

  test('a failure is not remembered, and a key that was known is not used beyond its time', async () => {
    const { asked, find, time } = directoryOn();
    const first = find();
    asked[0]?.answer(hash());
    await first;
    await time.advance(900);
    const second = expect(find()).rejects.toEqual(UNAVAILABLE);
    asked[1]?.fail();
    await second;
    const third = find();
    asked[2]?.answer(hash());
    expect(await third).toMatchObject({ id: key.id });
  });

  test.each([
    ['the id of another', { ...key.entry, id: issueKey().id }],
    ['no tenant', { ...key.entry, tenant: '' }],
    ['an unknown field', { ...key.entry, admin: 'true' }],
    ['revoked that is neither true nor false', { ...key.entry, revoked: '1' }],
    ['roles that are no JSON', { ...key.entry, roles: 'inference' }],
    ['a field `__proto__`', JSON.parse(`{"__proto__": "x", "id": "${key.id}"}`)],
  ])('an entry with %s', async (_name, entry) => {
    const { asked, find } = directoryOn();
    const found = expect(find()).rejects.toEqual(UNAVAILABLE);
    asked[0]?.answer(hash(entry));
    await found;
  });

  test('a flood of invented ids: no more than so many look-ups at a time', async () => {
    const { asked, find } = directoryOn();
    const found = Array.from({ length: 3000 }, (_, index) =>
      find(`a${String(index).padStart(12, '0')}`).catch(() => 'refused'),
    );
    await turn();
    expect(asked).toHaveLength(1024);
    for (const { answer } of asked) answer(EMPTY);
    expect((await Promise.all(found)).filter((one) => one === 'refused')).toHaveLength(3000 - 1024);
  });
});

test('invented ids never push out a key, and no more of them are remembered than config says', async () => {
  const { asked, find } = directoryOn({ cacheMaxEntries: 10 });
  const first = find();
  asked[0]?.answer(hash());
  await first;
  for (let index = 0; index < 500; index += 1) {
    const found = find(`a${String(index).padStart(12, '0')}`);
    asked.at(-1)?.answer(EMPTY);
    await found;
  }
  const before = asked.length;
  await find();
  expect(asked).toHaveLength(before);
  void find('a000000000000');
  expect(asked).toHaveLength(before + 1);
});
