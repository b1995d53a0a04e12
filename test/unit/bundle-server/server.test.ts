import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../support/programs.ts';
import {
  NOW_S,
  newSigner,
  type OpenServer,
  openServer,
  orderFor,
  release,
  type ServerWish,
  storedIn,
} from './server-support.ts';

const author = newSigner('author-1');
const stranger = newSigner('author-1');
const second = newSigner('author-2', 'p256');
const keys = { 'author-1': author.publicPem, 'author-2': second.publicPem };
const [one, two, three] = [release(author, 1), release(second, 2), release(author, 3)];

const opened: OpenServer[] = [];
async function open(wish: Partial<ServerWish> = {}): Promise<OpenServer> {
  const server = await openServer({ keys, ...wish });
  opened.push(server);
  return server;
}
afterEach(async () => {
  for (const server of opened.splice(0).reverse()) await server.stop();
});

const archive = (more: Readonly<Record<string, string>> = {}, path = '/v1/bundles/authz') => ({ path, headers: more });
const reasonOf = ({ status, body }: { readonly status: number; readonly body: string }) => [
  status,
  JSON.parse(body).reason,
];

describe('publish and promote', () => {
  test('an archive is served once it is promoted, with its signature, and for ever by its digest', async () => {
    const server = await open();
    expect((await server.ask('read', archive())).status).toBe(404);
    expect((await server.publish(one)).status).toBe(201);
    expect(reasonOf(await server.ask('read', archive()))).toEqual([404, 'nothing_promoted']);
    expect((await server.promote(one.sha256)).status).toBe(200);
    const got = await server.ask('read', archive());
    expect(got.status).toBe(200);
    expect(got.headers).toMatchObject({
      etag: `"sha256:${one.sha256}"`,
      'x-sallyport-signature': one.jws,
      'content-type': 'application/gzip',
      'content-length': String(one.bytes.length),
    });
    expect((await server.ask('read', archive({}, '/v1/bundles/authz.jws'))).body).toBe(one.jws);

    expect((await server.publish(two)).status).toBe(201);
    expect((await server.promote(two.sha256)).status).toBe(200);
    const old = await server.ask('read', archive({}, `/v1/bundles/authz/archives/${one.sha256}`));
    expect([old.status, old.headers['x-sallyport-signature']]).toEqual([200, one.jws]);
    expect((await server.ask('read', archive({}, `/v1/bundles/authz/archives/${one.sha256}.jws`))).body).toBe(one.jws);
    const list = JSON.parse((await server.ask('read', archive({}, '/v1/bundles/authz/revisions'))).body);
    expect(list.revisions).toMatchObject([
      { version: 2, revision: 'r2', sha256: two.sha256, channels: ['stable'] },
      { version: 1, channels: [] },
    ]);
    expect(server.audit()).toMatchObject([
      { what: 'publish', who: 'publish', bundle: 'authz', sha256: one.sha256, version: 1, from: '127.0.0.1' },
      { what: 'promote', who: 'promote', channel: 'stable', sha256: one.sha256 },
      { what: 'publish', version: 2 },
      { what: 'promote', version: 2 },
    ]);
  });

  test('the same again is taken as done, and is no second change', async () => {
    const server = await open();
    await server.publish(one);
    await server.promote(one.sha256);
    expect((await server.publish(one)).status).toBe(200);
    expect((await server.promote(one.sha256)).status).toBe(200);
    expect(server.audit()).toHaveLength(2);
  });

  const otherScope = release(author, 9, { scope: 'staging' });
  const otherName = release(author, 9, { name: 'other' });
  const expired = release(author, 9, {
    expiresEpochS: NOW_S - 1,
    notBeforeEpochS: NOW_S - 9,
    issuedAtEpochS: NOW_S - 9,
  });
  const asDelta = release(author, 9, { kind: 'delta', baseSha256: one.sha256 });
  const otherRevision = release(author, 9, { revision: 'r8' });
  const flipped = Uint8Array.from(three.bytes, (byte, at) => (at === 500 ? byte ^ 1 : byte));
  const garbage = Buffer.from('no archive');
  test.each([
    ['by a key that is not configured', { ...release(stranger, 9) }, [422, 'bundle_untrusted']],
    ['for another scope', otherScope, [422, 'bundle_untrusted']],
    ['for another bundle', otherName, [422, 'bundle_untrusted']],
    ['that is expired', expired, [409, 'expired']],
    ['signed as a delta', asDelta, [422, 'bundle_untrusted']],
    ['whose manifest says another revision', otherRevision, [409, 'wrong_revision']],
    ['with one byte changed', { bytes: flipped, jws: three.jws }, [422, 'bundle_untrusted']],
    ['of the version that is here, with other bytes', release(author, 1, { expiresEpochS: NOW_S + 9 }), [409, 'older']],
    ['that is none', { bytes: garbage, jws: three.jws }, [422, 'bundle_untrusted']],
    ['without a signature', { bytes: three.bytes, jws: '' }, [422, 'bundle_untrusted']],
    ['larger than is allowed', { bytes: Buffer.alloc(5 * 2 ** 20), jws: three.jws }, [413, 'too_large']],
  ])('an archive %s is refused and leaves nothing', async (_title, sent, wanted) => {
    const server = await open();
    await server.publish(one);
    const before = storedIn(server);
    expect(reasonOf(await server.publish(sent))).toEqual(wanted);
    expect(storedIn(server)).toEqual(before);
    expect(server.audit()).toHaveLength(1);
  });

  test('a channel does not go back, and points at nothing that is not here', async () => {
    const server = await open();
    await server.publish(one);
    await server.publish(two);
    await server.promote(two.sha256);
    expect(reasonOf(await server.promote(one.sha256))).toEqual([409, 'older']);
    expect(reasonOf(await server.promote(three.sha256))).toEqual([404, 'not_found']);
    expect(reasonOf(await server.promote(two.sha256, 'nightly'))).toEqual([404, 'not_found']);
    expect((await server.promote(one.sha256, 'canary')).status).toBe(200);
  });

  test('nothing is changed that the audit log cannot take', async () => {
    const server = await open();
    await server.publish(one);
    rmSync(server.config.audit_log);
    mkdirSync(server.config.audit_log);
    expect(reasonOf(await server.promote(one.sha256))).toEqual([503, 'storage_failed']);
    expect(reasonOf(await server.publish(two))).toEqual([503, 'storage_failed']);
    expect((await server.ask('read', archive())).status).toBe(404);
    rmSync(server.config.audit_log, { recursive: true });
    expect((await server.promote(one.sha256)).status).toBe(200);
  });

  test('a line that was cut off in the audit log spoils no other', async () => {
    const server = await open();
    appendFileSync(server.config.audit_log, '{"cut": "of');
    await server.publish(one);
    const text = readFileSync(server.config.audit_log, 'utf8');
    expect(JSON.parse(text.split('\n')[1] ?? '')).toMatchObject({ what: 'publish' });
  });
});

describe('after a restart', () => {
  test('everything is as the files say; torn and foreign ones are ignored and told', async () => {
    const server = await open();
    for (const each of [one, two, three]) await server.publish(each);
    await server.promote(two.sha256);
    await server.order(orderFor(author, three, 5));
    await server.server.stop();
    const store = join(server.folder, 'store');
    writeFileSync(join(store, 'README'), 'hello');
    writeFileSync(join(store, 'authz/archives', `${three.sha256}.tar.gz`), 'torn');
    writeFileSync(join(store, 'authz/channels/stable/0000000000000002.json'), '{"sha');
    const again = await open({ folder: server.folder });
    expect((await again.ask('read', archive())).headers['etag']).toBe(`"sha256:${two.sha256}"`);
    const list = JSON.parse((await again.ask('read', archive({}, '/v1/bundles/authz/revisions'))).body);
    expect(list.revisions.map(({ version }: { version: number }) => version)).toEqual([2, 1]);
    expect(list.order.version).toBe(5);
    expect(reasonOf(await again.order(orderFor(author, two, 4)))).toEqual([409, 'older']);
    expect(reasonOf(await again.publish(release(author, 2, { security: true })))).toEqual([409, 'older']);
    const told = again.lines.filter((line) => line.includes('is ignored')).join('\n');
    for (const name of ['README', 'releases/0000000000000003.jws', 'channels/stable/0000000000000002.json']) {
      expect(told).toContain(name);
    }
    // The torn archive is mended by being published again, and the place of the torn turn is not taken twice.
    expect((await again.publish(three)).status).toBe(201);
    expect((await again.publish(release(author, 4))).status).toBe(201);
    expect((await again.promote(release(author, 4).sha256)).status).toBe(200);
  });
});

describe('channels', () => {
  const channels = {
    default: 'stable',
    names: ['stable', 'canary', 'edge'],
    select: [{ labels: { ring: 'canary', region: 'eu' }, channel: 'canary' }],
  };

  test('are chosen by labels, or by name', async () => {
    const server = await open({ bundle: { channels } });
    await server.publish(one);
    await server.publish(two);
    await server.promote(one.sha256);
    const labelled = { 'x-sallyport-labels': 'region=eu, ring=canary,zone=a' };
    const tag = async (headers: Readonly<Record<string, string>>, path?: string) =>
      (await server.ask('read', archive(headers, path))).headers['etag'];
    expect(await tag(labelled)).toBe(`"sha256:${one.sha256}"`);
    await server.promote(two.sha256, 'canary');
    expect(await tag(labelled)).toBe(`"sha256:${two.sha256}"`);
    expect(await tag({ 'x-sallyport-labels': 'ring=canary' })).toBe(`"sha256:${one.sha256}"`);
    expect(await tag({})).toBe(`"sha256:${one.sha256}"`);
    expect(await tag({}, '/v1/bundles/authz?channel=canary')).toBe(`"sha256:${two.sha256}"`);
    for (const path of ['?channel=edge', '?channel=none', '?channel=a&channel=b', '?channel[x]=stable']) {
      expect((await server.ask('read', archive({}, `/v1/bundles/authz${path}`))).status).toBe(
        path.includes('[') ? 200 : 404,
      );
    }
    for (const bad of ['ring', 'ring=a,ring=b', '=x', 'RING=x', `ring=${'a'.repeat(200)}`]) {
      expect((await server.ask('read', archive({ 'x-sallyport-labels': bad }))).status).toBe(400);
    }
  });
});

test('the list of revisions also has what is signed for longer than times have names', async () => {
  const server = await open();
  const expiresEpochS = 8_640_000_000_001;
  await server.publish(release(author, 1, { expiresEpochS }));
  const got = await server.ask('read', archive({}, '/v1/bundles/authz/revisions'));
  expect([got.status, JSON.parse(got.body).revisions[0].expires_at]).toEqual([200, String(expiresEpochS)]);
});

describe('long polls', () => {
  const waiting = (server: OpenServer, digest: string, seconds: string, more: Readonly<Record<string, string>> = {}) =>
    server.ask('read', archive({ 'if-none-match': `"sha256:${digest}"`, prefer: seconds, ...more }));

  test.each(['wait=30', 'modes=snapshot,delta;wait=30', 'respond-async, wait="30"'])(
    'are answered at once on change (%s)',
    async (prefer) => {
      const server = await open();
      await server.publish(one);
      await server.publish(two);
      await server.promote(one.sha256);
      const asked = waiting(server, one.sha256, prefer);
      await eventually(() => (server.server.waiting() === 1 ? true : undefined));
      await server.promote(two.sha256);
      const got = await asked;
      expect([got.status, got.headers['etag']]).toEqual([200, `"sha256:${two.sha256}"`]);
      expect(got.headers['content-type']).toBe('application/vnd.openpolicyagent.bundles');
      expect(server.server.waiting()).toBe(0);
    },
  );

  test('end with 304 when the time is up, when another channel changes, and when the server ends', async () => {
    const server = await open({ limits: { max_wait_seconds: 1 } });
    await server.publish(one);
    await server.publish(two);
    await server.promote(one.sha256);
    const asked = waiting(server, one.sha256, 'wait=600');
    await server.promote(two.sha256, 'canary');
    const got = await asked;
    expect([got.status, got.headers['etag'], got.headers['x-sallyport-signature']]).toEqual([
      304,
      `"sha256:${one.sha256}"`,
      one.jws,
    ]);
    expect((await waiting(server, one.sha256, 'wait=0')).status).toBe(304);
    const last = waiting(server, one.sha256, 'wait=600');
    await eventually(() => (server.server.waiting() === 1 ? true : undefined));
    await server.server.stop();
    expect((await last).status).toBe(304);
  });

  test('are bounded in number: one more is told to come again', async () => {
    const server = await open({ limits: { max_waiters: 3 } });
    await server.publish(one);
    await server.publish(two);
    await server.promote(one.sha256);
    const asked = [1, 2, 3].map(() => waiting(server, one.sha256, 'wait=30'));
    await eventually(() => (server.server.waiting() === 3 ? true : undefined));
    const refused = await waiting(server, one.sha256, 'wait=30');
    expect([...reasonOf(refused), refused.headers['retry-after']]).toEqual([503, 'too_many_wait', '1']);
    expect((await waiting(server, one.sha256, 'respond-async')).status).toBe(304);
    await server.promote(two.sha256);
    for (const each of await Promise.all(asked)) expect(each.status).toBe(200);
  });

  test('a client that leaves gives its place back', async () => {
    const server = await open({ limits: { max_waiters: 1 } });
    await server.publish(one);
    await server.promote(one.sha256);
    const leaving = new AbortController();
    const asked = fetch(`http://127.0.0.1:${server.port}/v1/bundles/authz`, {
      signal: leaving.signal,
      headers: { authorization: 'Bearer reader-token-1', prefer: 'wait=30', 'if-none-match': `"sha256:${one.sha256}"` },
    });
    await eventually(() => (server.server.waiting() === 1 ? true : undefined));
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await eventually(() => (server.server.waiting() === 0 ? true : undefined));
  });
});

describe('rollout orders', () => {
  test('are handed on as they were signed, and trips with them', async () => {
    const server = await open();
    await server.publish(one);
    await server.publish(two);
    const orders = archive({}, '/v1/bundles/authz/orders');
    expect(JSON.parse((await server.ask('read', orders)).body)).toEqual({ order: null, trips: [] });
    const jws = orderFor(author, two, 7, { abortOnTrips: 1 });
    expect((await server.order(jws)).status).toBe(201);
    const got = await server.ask('read', orders);
    expect(JSON.parse(got.body)).toEqual({ order: jws, trips: [] });
    const etag = String(got.headers['etag']);
    const asked = server.ask('read', archive({ prefer: 'wait=30', 'if-none-match': etag }, '/v1/bundles/authz/orders'));
    await eventually(() => (server.server.waiting() === 1 ? true : undefined));
    await server.report('report', {
      labels: { id: 'i-1' },
      sallyport: {
        instance_id: 'i-1',
        bundles: {
          authz: { sha256: one.sha256, version: 1, candidate: { sha256: two.sha256, state: 'rolled_back', trips: 1 } },
        },
      },
    });
    expect(JSON.parse((await asked).body)).toEqual({ order: jws, trips: ['report/i-1'] });
    expect(server.audit().at(-1)).toMatchObject({
      what: 'order',
      version: 7,
      sha256: two.sha256,
      percent: 10,
      mode: 'canary',
    });
  });

  test.each([
    ['older', () => orderFor(author, two, 6), [409, 'older']],
    ['equally old, and another', () => orderFor(author, two, 7, { percent: 50 }), [409, 'older']],
    ['by a stranger', () => orderFor(stranger, two, 8), [422, 'bundle_untrusted']],
    ['for another scope', () => orderFor(author, two, 8, { scope: 'staging' }), [422, 'bundle_untrusted']],
    ['for another bundle', () => orderFor(author, two, 8, { bundle: 'other' }), [422, 'bundle_untrusted']],
    ['expired', () => orderFor(author, two, 8, { expiresEpochS: NOW_S }), [409, 'expired']],
    ['of a candidate that is not here', () => orderFor(author, three, 8), [409, 'no_candidate']],
    ['of a candidate under another version', () => orderFor(author, { ...two, version: 1 }, 8), [409, 'no_candidate']],
    ['that is a signature of an archive', () => one.jws, [422, 'bundle_untrusted']],
    ['that is nothing', () => 'a.b.c', [422, 'bundle_untrusted']],
  ])('one that is %s is refused', async (_title, make, wanted) => {
    const server = await open();
    await server.publish(one);
    await server.publish(two);
    const jws = orderFor(author, two, 7);
    await server.order(jws);
    expect(reasonOf(await server.order(make()))).toEqual(wanted);
    expect(JSON.parse((await server.ask('read', archive({}, '/v1/bundles/authz/orders'))).body).order).toBe(jws);
  });
});
