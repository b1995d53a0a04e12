import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../support/programs.ts';
import type { Asking } from '../operations/ask.ts';
import {
  newSigner,
  type OpenServer,
  openServer,
  orderFor,
  release,
  storedIn,
  TOKENS,
  type TokenName,
} from './server-support.ts';

/** SECURITY rows 13 and 29 at the bundle server: who has not the right to it has no effect. */
const author = newSigner('author-1');
const [one, two] = [release(author, 1), release(author, 2)];
let server: OpenServer;

beforeAll(async () => {
  server = await openServer({
    keys: { 'author-1': author.publicPem },
    limits: { max_waiters: 5, transfer_seconds: 1, max_connections: 200 },
  });
  await server.publish(one);
  await server.promote(one.sha256);
});
afterAll(() => server.stop());

const json = (value: object) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
const status = { labels: { id: 'intruder' }, bundles: { authz: { name: 'authz', active_revision: 'x' } } };

const ROUTES: readonly (readonly [Asking, readonly TokenName[]])[] = [
  [{ path: '/v1/bundles/authz' }, ['read']],
  [{ path: '/v1/bundles/authz', method: 'HEAD' }, ['read']],
  [{ path: '/v1/bundles/authz.jws' }, ['read']],
  [{ path: `/v1/bundles/authz/archives/${one.sha256}` }, ['read']],
  [{ path: `/v1/bundles/authz/archives/${one.sha256}.jws` }, ['read']],
  [{ path: '/v1/bundles/authz/orders' }, ['read']],
  [{ path: '/v1/bundles/authz/revisions' }, ['read']],
  [
    {
      path: '/v1/bundles/authz/archives',
      method: 'PUT',
      headers: { 'x-sallyport-signature': two.jws },
      body: two.bytes,
    },
    ['publish'],
  ],
  [
    { path: '/v1/bundles/authz/deltas', method: 'PUT', headers: { 'x-sallyport-signature': two.jws }, body: two.bytes },
    ['publish'],
  ],
  [{ path: '/v1/bundles/authz/channels/canary', method: 'POST', ...json({ sha256: one.sha256 }) }, ['promote']],
  [{ path: '/v1/bundles/authz/orders', method: 'POST', ...json({ order: orderFor(author, one, 5) }) }, ['promote']],
  [{ path: '/v1/status', method: 'POST', ...json(status) }, ['report', 'report2', 'other']],
  [{ path: '/status', method: 'POST', ...json(status) }, ['report', 'report2', 'other']],
  [{ path: '/v1/status/partition', method: 'POST', ...json(status) }, ['report', 'report2', 'other']],
  [{ path: '/v1/fleet' }, ['fleet', 'other']],
];

test('every route × {no token, a wrong right, another bundle, a foreign Host or Origin}: 0 effects', async () => {
  const snapshot = () => [storedIn(server), server.audit().length];
  const before = snapshot();
  const fleetBefore = JSON.parse((await server.ask('fleet', { path: '/v1/fleet' })).body).instances;
  const seen = new Map<number, number>();
  const names = Object.keys(TOKENS) as readonly TokenName[];
  const port = String(server.port);
  for (const [asking, granted] of ROUTES) {
    const refused = names.filter((name) => !granted.includes(name));
    const tries: {
      readonly token: TokenName | undefined;
      readonly headers: Readonly<Record<string, string | readonly string[]>>;
      readonly wanted: number;
    }[] = [
      { token: undefined, headers: {}, wanted: 401 },
      ...['Bearer ', 'Bearer x', `Basic ${TOKENS.read}`, `Bearer ${TOKENS.read} `, `Bearer ${TOKENS.publish}x`].map(
        (authorization) => ({ token: undefined, headers: { authorization }, wanted: 401 }),
      ),
      ...refused.map((token) => ({ token, headers: {}, wanted: 403 })),
      ...granted.flatMap((token) => [
        { token, headers: { host: 'evil.test' }, wanted: 403 },
        { token, headers: { host: `localhost.evil.test:${port}` }, wanted: 403 },
        { token, headers: { origin: 'https://evil.test' }, wanted: 403 },
        { token, headers: { origin: 'null' }, wanted: 403 },
      ]),
    ];
    for (const { token, headers, wanted } of tries) {
      // A trailing blank is trimmed by every HTTP parser, so that token is the reader's.
      const answer = await server.ask(token, { ...asking, headers: { ...asking.headers, ...headers } });
      const isTrimmed = headers['authorization'] === `Bearer ${TOKENS.read} `;
      const isReader = isTrimmed && granted.includes('read');
      if (!isReader)
        expect([asking.path, token, headers, answer.status]).toEqual([
          asking.path,
          token,
          headers,
          isTrimmed ? 403 : wanted,
        ]);
      if (answer.status !== 200) expect(answer.body).not.toContain(one.jws);
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
    }
  }
  expect(snapshot()).toEqual(before);
  expect(JSON.parse((await server.ask('fleet', { path: '/v1/fleet' })).body).instances).toEqual(fleetBefore);
  console.info(
    `row 29 at the bundle server: ${[...seen].map(([code, count]) => `${count} × ${code}`).join(', ')}, 0 effects`,
  );
  const written = readFileSync(server.config.audit_log, 'utf8') + server.lines.join('');
  for (const token of Object.values(TOKENS)) expect(written).not.toContain(token);
});

test.each([
  ['POST', '/v1/bundles/authz', 404],
  ['DELETE', `/v1/bundles/authz/archives/${one.sha256}`, 404],
  ['GET', '/v1/bundles/..%2f..%2fetc', 403],
  ['GET', '/v1/bundles/authz/archives/..%2f..%2faudit.jsonl', 404],
  ['GET', '/v1/bundles/__proto__', 403],
  ['GET', '/v1/bundles/%ff', 400],
  ['GET', '/v1/bundles/authz/archives/ABC', 404],
  ['GET', '/', 404],
])('%s %s leads nowhere', async (method, path, wanted) => {
  expect((await server.ask('read', { method, path })).status).toBe(wanted);
});

test.each([
  ['a body on a GET', { path: '/v1/bundles/authz', body: 'x' }, 413],
  [
    'JSON with a key twice',
    {
      ...json({}),
      path: '/v1/bundles/authz/channels/stable',
      method: 'POST',
      body: `{"sha256":"a","sha256":"${one.sha256}"}`,
    },
    400,
  ],
  [
    'more members',
    {
      ...json({}),
      path: '/v1/bundles/authz/channels/stable',
      method: 'POST',
      body: `{"sha256":"${one.sha256}","x":1}`,
    },
    400,
  ],
  [
    'a form',
    {
      path: '/v1/bundles/authz/channels/stable',
      method: 'POST',
      body: `sha256=${one.sha256}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    },
    415,
  ],
  [
    'a large body',
    {
      ...json({}),
      path: '/v1/bundles/authz/channels/stable',
      method: 'POST',
      body: `{"sha256":"${'a'.repeat(70_000)}"}`,
    },
    413,
  ],
  ['a list', { ...json([]), path: '/v1/bundles/authz/orders', method: 'POST' }, 400],
])('%s is refused', async (_title, asking, wanted) => {
  const token = asking.path === '/v1/bundles/authz' ? 'read' : 'promote';
  expect((await server.ask(token, asking)).status).toBe(wanted);
});

test('a status that unpacks to more than is allowed is refused; a packed one is taken', async () => {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const bomb = gzipSync(Buffer.alloc(30 * 2 ** 20, ' '));
  const send = (body: Uint8Array) => server.ask('report', { path: '/v1/status', method: 'POST', headers, body });
  expect((await send(bomb)).status).toBe(400);
  expect((await send(gzipSync(JSON.stringify({ labels: { id: 'packed' } })))).status).toBe(200);
});

test('bodies that come slowly and readers that stall are cut off, others are served meanwhile', async () => {
  const cut: string[] = [];
  const slow = connect(server.port, '127.0.0.1', () => {
    slow.write(
      `PUT /v1/bundles/authz/archives HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKENS.publish}\r\n` +
        `x-sallyport-signature: ${two.jws}\r\ncontent-length: 100000\r\n\r\nabc`,
    );
  });
  slow.on('data', (chunk: Buffer) => void cut.push(chunk.toString().slice(0, 12)));
  slow.on('error', () => undefined);
  const silent = Array.from({ length: 20 }, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
  expect((await server.ask('read', { path: '/v1/bundles/authz' })).status).toBe(200);
  await eventually(() => (cut[0] === 'HTTP/1.1 408' ? true : undefined), 10_000);
  expect((await server.ask('read', { path: '/v1/bundles/authz' })).status).toBe(200);
  for (const socket of [slow, ...silent]) socket.destroy();
});
