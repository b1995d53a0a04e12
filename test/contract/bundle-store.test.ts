import { randomBytes } from 'node:crypto';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toWatchedBundles } from '../../src/bundle/watch.ts';
import { createDiskStore } from '../../src/bundle-server/disk-store.ts';
import { createS3Store } from '../../src/bundle-server/s3-store.ts';
import { describeWith } from '../support/describe-with.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { requireTool } from '../support/tools.ts';
import { newSigner, openServer, release } from '../unit/bundle-server/server-support.ts';
import { bundleStoreSuite } from './bundle-store.suite.ts';

const uniqueName = (): string => randomBytes(8).toString('hex');

describe('a folder', () => {
  bundleStoreSuite(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-store-'));
    const open = () => createDiskStore({ folder: join(folder, 'store'), clock: systemClock, uniqueName });
    return { store: open(), twin: open(), close: () => rm(folder, { recursive: true, force: true }) };
  });

  test('what was half written is not listed, and goes away; links are not followed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-store-'));
    const store = createDiskStore({ folder, clock: systemClock, uniqueName });
    mkdirSync(join(folder, '.partial'));
    const stale = join(folder, '.partial/stale');
    writeFileSync(stale, 'half');
    utimesSync(stale, 1, 1);
    symlinkSync('/etc/passwd', join(folder, 'link'));
    expect(await store.list()).toEqual([{ key: 'link', sizeBytes: 0 }]);
    await rm(folder, { recursive: true, force: true });
  });
});

describeWith(['versitygw'], 'a bucket', () => {
  let folder: string;
  let port: number;
  let server: Program;
  let prefixes = 0;
  const credentials = { access_key_id: 'tester', secret_access_key: 'tester-secret' };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-s3-'));
    mkdirSync(join(folder, 'root/bundles'), { recursive: true });
    mkdirSync(join(folder, 'meta'));
    port = await freePort();
    server = startProgram(requireTool('versitygw'), [
      ...[
        '--port',
        `127.0.0.1:${port}`,
        '--access',
        credentials.access_key_id,
        '--secret',
        credentials.secret_access_key,
      ],
      ...['posix', '--sidecar', join(folder, 'meta'), join(folder, 'root')],
    ]);
    await eventually(async () => ((await fetch(`http://127.0.0.1:${port}/`)).status > 0 ? true : undefined));
  }, 60_000);
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const openAt = (prefix: string, secret = credentials.secret_access_key) =>
    createS3Store({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'bundles',
      prefix,
      timeout_ms: 10_000,
      ...credentials,
      secret_access_key: secret,
    });

  bundleStoreSuite(async () => {
    const prefix = `fleet-${prefixes++}/`;
    return { store: openAt(prefix), twin: openAt(prefix), close: () => Promise.resolve() };
  });

  test('wrong credentials are an error, and say nothing of the secret', async () => {
    const store = openAt('x/', 'not-the-secret');
    await expect(store.list()).rejects.toThrow('answered listing with 403');
    await expect(store.create('a/b', Buffer.from('x'))).rejects.toThrow('answered writing with 403');
  });

  test('an agent downloads an object with its signature from there, and learns that it is still the same', async () => {
    const author = newSigner('author-1');
    const expiresEpochS = Math.floor(systemClock.now().epochMs / 1000) + 3600;
    const { bytes, jws, sha256 } = release(author, 1, { expiresEpochS });
    const store = openAt('agents/');
    await store.create('authz.tar.gz', bytes);
    await store.create('authz.tar.gz.jws', Buffer.from(jws));
    await writeFile(join(folder, 'author.pem'), author.publicPem);
    const sourceWith = (secret: string) => {
      const { bundles } = toWatchedBundles(
        {
          authz: {
            s3: {
              endpoint: `http://127.0.0.1:${port}`,
              region: 'us-east-1',
              bucket: 'bundles',
              key: 'agents/authz.tar.gz',
              ...credentials,
              secret_access_key: secret,
            },
            trust: { keys: { 'author-1': join(folder, 'author.pem') }, scope: 'prod' },
          },
        },
        { data_dir: join(folder, 'agent') },
        { clock: systemClock, startTimer: startSystemTimer },
      );
      const watched = bundles.get('authz');
      if (watched === undefined) throw new Error('there is no such bundle');
      return watched;
    };
    const { source, authority } = sourceWith(credentials.secret_access_key);
    const { signal } = new AbortController();
    const download = await source.load(undefined, signal);
    if (download === undefined) throw new Error('nothing was downloaded');
    await authority.open();
    expect(await authority.verify(download, 'offered')).toMatchObject({ sha256, claims: { version: 1 } });
    expect(download.etag).toBeDefined();
    expect(await source.load(download.etag, signal)).toBeUndefined();
    await expect(sourceWith('not-the-secret').source.load(undefined, signal)).rejects.toMatchObject({
      code: 'bundle_unreachable',
      message: expect.not.stringContaining('not-the-secret'),
    });
  });

  test('two servers over one bucket serve the same, and cannot both take one version', async () => {
    const author = newSigner('author-1');
    const keys = { 'author-1': author.publicPem };
    const prefix = `fleet-${prefixes++}/`;
    const [here, there] = [
      await openServer({ keys, store: openAt(prefix) }),
      await openServer({ keys, store: openAt(prefix), config: {} }),
    ];
    try {
      const [one, other] = [release(author, 1), release(author, 1, { security: true })];
      expect((await here.publish(one)).status).toBe(201);
      expect((await there.publish(other)).status).toBe(409);
      expect((await there.publish(one)).status).toBe(201);
      expect((await there.promote(one.sha256)).status).toBe(200);
      expect((await there.ask('read', { path: '/v1/bundles/authz' })).status).toBe(200);
    } finally {
      await here.stop();
      await there.stop();
    }
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
