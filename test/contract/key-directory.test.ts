import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createFileKeyDirectory, createWatchedFile } from '../../src/identity/api-key-file-directory.ts';
import type { KeyEntry } from '../../src/identity/api-key-record.ts';
import { createRedisKeyDirectory } from '../../src/identity/api-key-redis-directory.ts';
import { createRedisHashStore } from '../../src/identity/api-key-redis-store.ts';
import { verifyApiKey } from '../../src/identity/api-key-verify.ts';
import { describeWith } from '../support/describe-with.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { caseCount } from '../support/seed.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { requireTool } from '../support/tools.ts';
import { issueKey, keysFileText } from '../unit/identity/api-key-support.ts';
import { keyDirectorySuite } from './key-directory.suite.ts';

const ports = { clock: systemClock, startTimer: startSystemTimer, report: () => {} };

describe('a keys file', () => {
  keyDirectorySuite(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
    const path = join(folder, 'keys.yaml');
    const directory = createFileKeyDirectory({ file: createWatchedFile(path), ...ports });
    return {
      directory,
      write: async (entries) => {
        await writeFile(`${path}.next`, keysFileText(entries));
        await rename(`${path}.next`, path);
      },
      close: async () => {
        directory.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
});

describeWith(['valkey'], 'a directory in Valkey', () => {
  let port: number;
  let server: Program;
  let databases = 0;

  const startServer = async (): Promise<Program> => {
    const started = startProgram(requireTool('valkey'), [
      ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--databases', '64'],
      ...['--dir', tmpdir()],
    ]);
    await started.waitForLine((line) => line.includes('Ready to accept connections'));
    return started;
  };

  beforeAll(async () => {
    port = await freePort();
    server = await startServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  /** Each in a database of its own. */
  const open = async (prefix = 'sallyport:key:') => {
    const url = `redis://127.0.0.1:${port}/${databases++}`;
    const operator = await createClient({ url })
      .on('error', () => {})
      .connect();
    const store = createRedisHashStore({ url, ...ports });
    const directory = createRedisKeyDirectory({
      store,
      prefix,
      deadlineMs: 250,
      cacheMaxEntries: 100,
      startTimer: startSystemTimer,
    });
    const put = async (entries: readonly KeyEntry[]): Promise<void> => {
      for (let from = 0; from < entries.length; from += 1000) {
        const batch = entries.slice(from, from + 1000);
        await Promise.all(batch.map((entry) => operator.hSet(`${prefix}${entry.id}`, toFields(entry))));
      }
    };
    return {
      directory,
      operator,
      put,
      write: async (entries: readonly KeyEntry[]) => {
        await operator.flushDb();
        await put(entries);
      },
      close: async () => {
        directory.stop();
        operator.destroy();
      },
    };
  };

  keyDirectorySuite(open);

  test('of many keys only those are read that are asked for, and one is not read twice in a row', async () => {
    const { directory, operator, put, close } = await open('many:');
    onTestFinished(close);
    const count = caseCount(20_000);
    const wanted = issueKey();
    const others = Array.from({ length: count }, () => issueKey().entry);
    await put([wanted.entry, ...others]);
    await operator.configResetStat();
    await directory.start();
    for (let run = 0; run < 50; run += 1) {
      expect(await verifyApiKey(directory, wanted.text, systemClock.now(), () => undefined)).toMatchObject({
        kind: 'held',
      });
    }
    const stats = await operator.info('commandstats');
    const calls = Number(/cmdstat_hgetall:calls=(\d+)/.exec(stats)?.[1]);
    expect(calls).toBeGreaterThanOrEqual(1);
    expect(calls).toBeLessThan(10);
    expect(stats).not.toMatch(/cmdstat_(?:keys|scan):/);
    console.info(`key directory: ${count + 1} keys, 50 look-ups of one, ${calls} reads`);
  });

  test('a hash with names that every object has is no key, and the answers after it are the right ones', async () => {
    const { directory, operator, put, close } = await open();
    onTestFinished(close);
    const [odd, good] = [issueKey(), issueKey()];
    await put([odd.entry, good.entry]);
    await operator.hSet(`sallyport:key:${odd.id}`, { constructor: 'x', toString: 'y' });
    await directory.start();
    const judged = [odd, good, odd].map(async ({ text }) =>
      verifyApiKey(directory, text, systemClock.now(), () => undefined),
    );
    const unavailable = { kind: 'refused', code: 'issuer_unavailable' };
    expect(await Promise.all(judged)).toMatchObject([
      unavailable,
      { kind: 'held', record: { id: good.id } },
      unavailable,
    ]);
  });

  test('that is gone denies in time, says so, and is used again when it is back', async () => {
    const { directory, put, close } = await open();
    onTestFinished(close);
    const key = issueKey();
    await put([key.entry]);
    await directory.start();
    const judge = async () => verifyApiKey(directory, key.text, systemClock.now(), () => undefined);
    expect(await judge()).toMatchObject({ kind: 'held' });
    await server.stop();
    const refused = await eventually(async () => {
      const judged = await judge();
      return judged.kind === 'refused' ? judged : undefined;
    }, 5000);
    expect(refused).toMatchObject({ code: 'issuer_unavailable' });
    await eventually(() => directory.fault(systemClock.now()), 5000);
    const begun = performance.now();
    expect(await judge()).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
    expect(performance.now() - begun).toBeLessThan(1000);
    server = await startServer();
    await eventually(() => (directory.fault(systemClock.now()) === undefined ? true : undefined), 10_000);
    // Nothing was saved: the key is not there any more.
    expect(await judge()).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  });

  test('that was never there: the start is over all the same, and every key is denied', async () => {
    const told: string[] = [];
    const store = createRedisHashStore({
      url: `redis://user:hunter2@127.0.0.1:${await freePort()}`,
      startTimer: startSystemTimer,
      report: (event) => told.push(JSON.stringify(event)),
    });
    const directory = createRedisKeyDirectory({
      store,
      prefix: 'p:',
      deadlineMs: 50,
      cacheMaxEntries: 10,
      startTimer: startSystemTimer,
    });
    onTestFinished(() => directory.stop());
    await directory.start();
    const key = issueKey();
    expect(await verifyApiKey(directory, key.text, systemClock.now(), () => undefined)).toMatchObject({
      kind: 'refused',
      code: 'issuer_unavailable',
    });
    expect(directory.fault(systemClock.now())).toBe('the key directory cannot be reached: ECONNREFUSED');
    expect(told).toEqual([expect.stringContaining('ECONNREFUSED')]);
  });
});

function toFields(entry: KeyEntry): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}
