import { afterEach, beforeEach, expect, test } from 'vitest';
import { packArchive } from '../../../src/bundle/archive.ts';
import { signBundle } from '../../../src/bundle/signing/bundle-signature.ts';
import { claimsOf, newSigner, type OpenServer, openServer, release, sha256 } from './server-support.ts';

const author = newSigner('author-1');
const [one, two] = [release(author, 1), release(author, 2)];
const manifest = { revision: 'r2', roots: ['catalog'] };
const patch = { data: [{ op: 'replace', path: '/catalog/x', value: 1 }] };

function delta(
  members: Readonly<Record<string, unknown>> = { '.manifest': manifest, 'patch.json': patch },
  base = one.sha256,
  revision = 'r2',
) {
  const bytes = packArchive(
    new Map(Object.entries(members).map(([name, value]) => [name, Buffer.from(JSON.stringify(value))])),
  );
  return { bytes, jws: signBundle(bytes, claimsOf(2, revision, { kind: 'delta', baseSha256: base }), author) };
}

let server: OpenServer;
beforeEach(async () => {
  server = await openServer({ keys: { 'author-1': author.publicPem }, bundle: { opa_deltas: true } });
  await server.publish(one);
});
afterEach(() => server.stop());

const send = ({ bytes, jws }: ReturnType<typeof delta>) =>
  server.ask('publish', {
    method: 'PUT',
    path: '/v1/bundles/authz/deltas',
    headers: { 'x-sallyport-signature': jws },
    body: bytes,
  });

test('a delta goes to those who have its base, the whole archive to all others', async () => {
  await server.publish(two);
  const made = delta();
  expect((await send(made)).status).toBe(201);
  expect((await send(made)).status).toBe(200);
  await server.promote(two.sha256);
  const get = async (headers: Readonly<Record<string, string>>) => {
    const { headers: got } = await server.ask('read', { path: '/v1/bundles/authz', headers });
    expect(got['etag']).toBe(`"sha256:${two.sha256}"`);
    return [got['x-sallyport-base'], got['x-sallyport-signature'], Number(got['content-length'])];
  };
  const whole = [undefined, two.jws, two.bytes.length];
  const part = [one.sha256, made.jws, made.bytes.length];
  const tag = `"sha256:${one.sha256}"`;
  expect(await get({})).toEqual(whole);
  expect(await get({ 'x-sallyport-base': one.sha256 })).toEqual(part);
  expect(await get({ 'x-sallyport-base': two.sha256 })).toEqual(whole);
  expect(await get({ prefer: 'modes=snapshot,delta;wait=5', 'if-none-match': tag })).toEqual(part);
  expect(await get({ prefer: 'modes=snapshot', 'if-none-match': tag })).toEqual(whole);
  expect(await get({ prefer: 'wait=5', 'if-none-match': tag })).toEqual(whole);
  const byDigest = await server.ask('read', { path: `/v1/bundles/authz/archives/${sha256(made.bytes)}` });
  expect([byDigest.status, byDigest.headers['x-sallyport-signature']]).toEqual([200, made.jws]);
  expect(server.audit().at(-2)).toMatchObject({ what: 'publish_delta', base_sha256: one.sha256 });
});

test('one without its archive, or without its base, is refused', async () => {
  expect((await send(delta())).status).toBe(409);
  await server.publish(two);
  expect((await send(delta(undefined, 'a'.repeat(64)))).status).toBe(409);
});

test('one whose signature names no revision is refused', async () => {
  await server.publish(two);
  expect(await send(delta(undefined, undefined, ''))).toMatchObject({
    status: 422,
    body: expect.stringContaining('is for a delta and lacks `revision`'),
  });
});

test.each([
  ['no patch', { '.manifest': manifest }],
  ['no manifest', { 'patch.json': patch }],
  ['another revision', { '.manifest': { ...manifest, revision: 'r9' }, 'patch.json': patch }],
  ['Rego in it', { '.manifest': manifest, 'patch.json': patch, 'a.rego': 'x' }],
  [
    'a patch outside its roots',
    { '.manifest': manifest, 'patch.json': { data: [{ op: 'upsert', path: '/tiers/x', value: 1 }] } },
  ],
  ['a patch of everything', { '.manifest': manifest, 'patch.json': { data: [{ op: 'upsert', path: '/', value: 1 }] } }],
  [
    'an operation that agents refuse',
    { '.manifest': manifest, 'patch.json': { data: [{ op: 'add', path: '/catalog/x', value: 1 }] } },
  ],
  [
    'more operations than agents take',
    { '.manifest': manifest, 'patch.json': { data: Array(10_001).fill({ op: 'remove', path: '/catalog/x' }) } },
  ],
  [
    'the removal of all data',
    { '.manifest': { revision: 'r2', roots: [''] }, 'patch.json': { data: [{ op: 'remove', path: '/' }] } },
  ],
  [
    'an operation nobody knows',
    { '.manifest': manifest, 'patch.json': { data: [{ op: 'move', path: '/catalog/x' }] } },
  ],
  ['no list', { '.manifest': manifest, 'patch.json': { data: {} } }],
])('one with %s is refused', async (_title, members) => {
  await server.publish(two);
  expect((await send(delta(members))).status).toBe(422);
});
