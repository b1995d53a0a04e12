import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CredentialsConfig, TlsClientConfig } from '../../../src/bundle/config-sources.ts';
import { createCredentials, createS3Credentials } from '../../../src/bundle/sources/credentials.ts';
import { createFileSource } from '../../../src/bundle/sources/file-source.ts';
import { createHttpClient } from '../../../src/bundle/sources/http-client.ts';
import { createOrderSource } from '../../../src/bundle/sources/order-source.ts';
import { preferenceOf } from '../../../src/bundle/sources/preference.ts';
import { createUrlSource } from '../../../src/bundle/sources/url-source.ts';
import type { StartTimer } from '../../../src/decision/ports.ts';
import { createCertificateMaker, makeDoorCertificates } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';

const never: StartTimer = () => () => {};
const servers: Server[] = [];
const { signal } = new AbortController();
const folder = mkdtempSync(join(tmpdir(), 'sallyport-sources-'));

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A listening TCP server has an address of this kind.
  return (server.address() as AddressInfo).port;
}

const serve = async (answer: Answer): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer(answer))}/bundles/authz?channel=stable`;

const client = (credentials?: CredentialsConfig, tls?: TlsClientConfig) =>
  createHttpClient({ startTimer: never, credentials: createCredentials(credentials), tls });

const sourceOf = (url: string, http = client(), signed = true) =>
  createUrlSource({ url, timeoutMs: 1000, maxBytes: 1000, http, signed });

describe('a signature', () => {
  it('comes in the header of the answer', async () => {
    const url = await serve((_, response) => response.setHeader('x-sallyport-signature', 'a.b.c').end('abc'));
    expect((await sourceOf(url).load(undefined, signal))?.signature).toBe('a.b.c');
  });

  it('else lies beside the archive', async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve(({ url: path }, response) => {
      asked.push(path);
      response.end(path?.includes('.jws') === true ? 'a.b.c\n' : 'abc');
    });
    expect((await sourceOf(url).load(undefined, signal))?.signature).toBe('a.b.c');
    expect(asked).toEqual(['/bundles/authz?channel=stable', '/bundles/authz.jws?channel=stable']);
  });

  it('that is not there is no fault of the source', async () => {
    const url = await serve(({ url: path }, response) => {
      if (path?.includes('.jws') === true) response.writeHead(404).end();
      else response.end('abc');
    });
    expect(await sourceOf(url).load(undefined, signal)).not.toHaveProperty('signature');
  });

  it.each<[string, string, Answer]>([
    ['is too large', 'bundle_too_large', (_, response) => void response.end('a'.repeat(20_000))],
    [
      'is a web page',
      'bundle_unreachable',
      (_, response) => void response.setHeader('content-type', 'text/html; charset=utf-8').end('<p>'),
    ],
    ['cannot be had', 'bundle_unreachable', (_, response) => void response.writeHead(500).end()],
  ])('that %s is refused: %s', async (_fault, code, answer) => {
    const url = await serve((request, response) =>
      request.url?.includes('.jws') === true ? answer(request, response) : response.end('abc'),
    );
    await expect(sourceOf(url).load(undefined, signal)).rejects.toMatchObject({ code });
  });

  it('of a file lies beside it', async () => {
    const path = join(folder, 'b.tar.gz');
    writeFileSync(path, 'abc');
    const source = createFileSource({ path, maxBytes: 10, signed: true });
    expect(await source.load(undefined, signal)).not.toHaveProperty('signature');
    writeFileSync(`${path}.jws`, 'a.b.c\n');
    expect((await source.load(undefined, signal))?.signature).toBe('a.b.c');
  });
});

describe('a server of bundles', () => {
  it('is asked to wait in both forms, and for deltas only where they are wanted', async () => {
    expect(preferenceOf({})).toBe('modes=snapshot');
    expect(preferenceOf({ waitSeconds: 30, delta: true })).toBe('wait=30, modes=snapshot,delta;wait=30');
    const seen: IncomingMessage['headers'][] = [];
    const url = await serve(({ headers }, response) => {
      seen.push(headers);
      response.writeHead(304).end();
    });
    const labels = { region: 'eu', 'Not a name': 'x', zone: 'a', odd: 'a,b' };
    const source = createUrlSource({ url, timeoutMs: 1000, maxBytes: 1000, http: client(), labels });
    await source.load('"1"', signal, { waitSeconds: 5, base: 'abc' });
    expect(seen[0]).toMatchObject({
      prefer: 'wait=5, modes=snapshot,delta;wait=5',
      'x-sallyport-base': 'abc',
      'x-sallyport-labels': 'region=eu,zone=a',
    });
  });

  it('that has the same archive under a new signature is asked for both', async () => {
    const url = await serve(({ headers }, response) => {
      response.setHeader('x-sallyport-signature', 'a.b.new');
      if (headers['if-none-match'] === undefined) response.end('abc');
      else response.writeHead(304).end();
    });
    expect(await sourceOf(url).load('"1"', signal, { signature: 'a.b.new' })).toBeUndefined();
    expect(await sourceOf(url).load('"1"', signal, { signature: 'a.b.old' })).toMatchObject({ signature: 'a.b.new' });
  });

  it('that has another archive’s signature after a delta is asked for it only where that claims more', async () => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const jws = `${part({ typ: 'x' })}.${part({ version: 3 })}.${Buffer.alloc(64).toString('base64url')}`;
    const url = await serve(({ headers }, response) => {
      response.setHeader('x-sallyport-signature', jws);
      if (headers['if-none-match'] === undefined) response.end('abc');
      else response.writeHead(304).end();
    });
    expect(await sourceOf(url).load('"1"', signal, { newerThan: 3 })).toBeUndefined();
    expect(await sourceOf(url).load('"1"', signal, { newerThan: 2 })).toMatchObject({ signature: jws });
  });

  it('that gives a web page in place of the file is refused', async () => {
    const url = await serve((_, response) => response.setHeader('content-type', 'text/html').end('<h1>log in'));
    await expect(sourceOf(url).load(undefined, signal)).rejects.toMatchObject({
      code: 'bundle_unreachable',
      message: expect.stringContaining('web page'),
    });
  });

  it('that lies about the length is refused', async () => {
    const url = await serve(({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'));
    await expect(sourceOf(url).load(undefined, signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
    const twice = await serve(
      ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 900\r\n\r\nabc'),
    );
    await expect(sourceOf(twice).load(undefined, signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
  });
});

describe('credentials', () => {
  const seen: IncomingMessage['headers'][] = [];
  const noting: Answer = ({ headers }, response) => {
    seen.push(headers);
    response.end('abc');
  };
  afterEach(() => void seen.splice(0));

  it('are a token, a key in a header, or a token in a file that is read again at each use', async () => {
    const url = await serve(noting);
    const file = join(folder, 'token');
    writeFileSync(file, 'first\n');
    const fromFile = client({ bearer_token_file: file });
    await sourceOf(url, client({ bearer_token: 'abc' }), false).load(undefined, signal);
    await sourceOf(url, client({ api_key: { header: 'X-Key', value: 'k' } }), false).load(undefined, signal);
    await sourceOf(url, fromFile, false).load(undefined, signal);
    writeFileSync(file, 'second');
    await sourceOf(url, fromFile, false).load(undefined, signal);
    expect(seen.map((headers) => headers['authorization'] ?? headers['x-key'])).toEqual([
      'Bearer abc',
      'k',
      'Bearer first',
      'Bearer second',
    ]);
    writeFileSync(file, 'two\nlines');
    await expect(sourceOf(url, fromFile).load(undefined, signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
    rmSync(file);
    await expect(sourceOf(url, fromFile).load(undefined, signal)).rejects.toMatchObject({ code: 'bundle_unreachable' });
    expect(seen).toHaveLength(4);
  });

  it('are not sent where a redirect leads', async () => {
    const elsewhere = await serve(noting);
    const url = await serve((_, response) => void response.writeHead(307, { location: elsewhere }).end());
    const load = sourceOf(url, client({ bearer_token: 'abc' })).load(undefined, signal);
    await expect(load).rejects.toMatchObject({ code: 'bundle_unreachable' });
    expect(seen).toEqual([]);
  });

  it('of an S3-style store sign the request', async () => {
    const url = await serve(noting);
    const s3 = {
      endpoint: url,
      region: 'eu-west-1',
      bucket: 'b',
      key: 'k',
      access_key_id: 'AKID',
      secret_access_key: 's',
    };
    const http = createHttpClient({ startTimer: never, credentials: createS3Credentials(s3) });
    await sourceOf(url, http, false).load('"1"', signal);
    expect(seen[0]?.['authorization']).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/s3\/aws4_request, SignedHeaders=host;x-amz-[a-z0-9;-]+, Signature=[0-9a-f]{64}$/,
    );
    expect(seen[0]).toMatchObject({ 'if-none-match': '"1"', 'x-amz-content-sha256': expect.any(String) });
  });
});

describeWith(['openssl'], 'a server with TLS', () => {
  let maker: ReturnType<typeof createCertificateMaker>;
  let files: ReturnType<typeof makeDoorCertificates>;
  beforeAll(() => {
    maker = createCertificateMaker();
    files = makeDoorCertificates(maker);
  });
  afterAll(() => maker.remove());

  it('is believed by the configured CA alone, and is shown the certificate', async () => {
    const server = createTlsServer(
      {
        cert: readFileSync(files.server.cert),
        key: readFileSync(files.server.key),
        ca: readFileSync(files.ca.cert),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (_request, response) => response.end('abc'),
    );
    const url = `https://localhost:${await listen(server)}/b`;
    const { gateway, ca } = files;
    const load = (tls?: TlsClientConfig) => sourceOf(url, client(undefined, tls), false).load(undefined, signal);
    expect((await load({ ca: ca.cert, cert: gateway.cert, key: gateway.key }))?.bytes).toHaveLength(3);
    for (const tls of [undefined, { cert: gateway.cert, key: gateway.key }, { ca: ca.cert }]) {
      await expect(load(tls)).rejects.toMatchObject({ code: 'bundle_unreachable' });
    }
    await expect(load({ ca: `${ca.cert}.gone` })).rejects.toMatchObject({ message: expect.stringContaining('tls.ca') });
  });
});

describe('a server of orders', () => {
  const ordersAt = (url: string) => createOrderSource({ url, timeoutMs: 1000, http: client() });

  it('gives the order and who met a guard rail', async () => {
    const url = await serve((_, response) => response.setHeader('etag', '"7"').end('{"order":"a.b.c","trips":["i1"]}'));
    expect(await ordersAt(url).load(undefined, signal, 0)).toEqual({ order: 'a.b.c', trips: ['i1'], etag: '"7"' });
  });

  it.each([
    ['is no JSON', 'x'],
    ['is no object', '[]'],
    ['has no order', '{"trips":[]}'],
    ['has trips that are none', '{"order":null,"trips":[1]}'],
    ['has an order that is no text', '{"order":{}}'],
    ['is too large', JSON.stringify({ order: 'a'.repeat(600_000) })],
  ])('that %s is refused', async (_fault, body) => {
    const url = await serve((_, response) => void response.end(body));
    await expect(ordersAt(url).load(undefined, signal, 0)).rejects.toMatchObject({ name: 'BundleError' });
  });
});
