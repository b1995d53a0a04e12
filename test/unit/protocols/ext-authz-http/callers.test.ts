import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ExtAuthzHttpConfig } from '../../../../src/protocols/ext-authz-http/config.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../../support/certificates.ts';
import { describeWith } from '../../../support/describe-with.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { type Core, createCore, exchange, exchangeOn, header, type RunningDoor, startDoor, verdict } from './door.ts';

const CHECK = [
  'GET /ext-authz/x HTTP/1.1',
  'Host: h',
  'X-Forwarded-Client-Cert: By=spiffe://td/s;URI=spiffe://td/admin',
  'x-envoy-original-path: /y',
  '',
  '',
].join('\r\n');

const running: RunningDoor[] = [];
afterEach(async () => {
  for (const { door } of running.splice(0)) await door.stop();
});

async function start(core: Core, config: Partial<ExtAuthzHttpConfig>): Promise<RunningDoor> {
  const door = await startDoor(core, config);
  running.push(door);
  return door;
}

test.each([true, false])('with `trusted_loopback: %s` no peer, extension or metadata is believed', async (trusted) => {
  const core = createCore(() => verdict({ allow: true }));
  const { port } = await start(core, { trusted_loopback: trusted });
  await exchange(port, CHECK);
  const asked = core.last();
  for (const key of ['sourceAddress', 'sourcePrincipal', 'sourceCertificate', 'scheme', 'protocol']) {
    expect(asked).not.toHaveProperty(key);
  }
  expect(asked.contextExtensions.size).toBe(0);
  expect([...asked.headers.names()]).toEqual(['x-envoy-original-path']);
  expect(JSON.stringify(asked.attributes())).not.toContain('admin');
});

test('a unix socket serves checks', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-http-'));
  const path = join(folder, 'x.sock');
  const core = createCore(() => verdict({ allow: true }));
  await start(core, { listen: `unix:${path}` });
  const [answer] = await exchangeOn(connectPlain({ path }), CHECK);
  expect(answer?.status).toBe(200);
  rmSync(folder, { recursive: true });
});

describeWith(['openssl'], 'a door with certificates', () => {
  let maker: CertificateMaker;
  let ca: CertificateFiles;
  let first: CertificateFiles;
  let second: CertificateFiles;

  beforeAll(() => {
    maker = createCertificateMaker();
    ca = maker.make('ca', { isCa: true });
    first = maker.make('first');
    second = maker.make('second');
  });
  afterAll(() => maker.remove());

  function open(port: number, client?: CertificateFiles): TLSSocket {
    const identity = client && { cert: readFileSync(client.cert), key: readFileSync(client.key) };
    return connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...identity });
  }

  test('lets only the listed callers ask; others of the CA are denied, strangers do not get in', async () => {
    const core = createCore(() => verdict({ allow: true }));
    const { port } = await start(core, {
      tls: { ...first, client_ca: ca.cert },
      allowed_callers: ['spiffe://td/gateway'],
    });
    const gateway = maker.make('gateway', { ca, sans: ['URI:spiffe://td/gateway'] });
    const other = maker.make('other', { ca, sans: ['URI:spiffe://td/other'] });
    const [allowed] = await exchangeOn(open(port, gateway), CHECK);
    expect(allowed?.status).toBe(200);
    const [refused] = await exchangeOn(open(port, other), CHECK);
    expect(refused?.status).toBe(401);
    expect(core.codes()).toEqual(['invalid_credential']);
    expect(await exchangeOn(open(port), CHECK)).toEqual([]);
    expect(await exchangeOn(open(port, second), CHECK)).toEqual([]);
    expect(await exchange(port, CHECK)).toEqual([]);
    expect(core.asked).toHaveLength(2);
  });

  test('shows a new certificate while connections that stand go on', async () => {
    const live = { cert: join(maker.folder, 'live.crt'), key: join(maker.folder, 'live.key') };
    copyFileSync(first.cert, live.cert);
    copyFileSync(first.key, live.key);
    const clock = createManualClock();
    const core = createCore(() => verdict({ allow: true }));
    const events: unknown[] = [];
    const door = await startDoor(
      core,
      { tls: live },
      { startTimer: clock.startTimer, onTlsReload: (event) => events.push(event) },
    );
    running.push(door);
    const subject = async (): Promise<string | undefined> => {
      const socket = open(door.port);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      const shown = socket.getPeerX509Certificate()?.subject;
      const [answer] = await exchangeOn(socket, CHECK);
      expect(header(answer, 'content-length')).toBe('0');
      return shown;
    };
    const standing = open(door.port);
    await new Promise((resolve) => standing.once('secureConnect', resolve));
    expect(await subject()).toBe('CN=first');
    copyFileSync(second.cert, live.cert);
    copyFileSync(second.key, live.key);
    clock.advance(10_000);
    expect(events).toEqual([{ kind: 'reloaded' }]);
    expect(await subject()).toBe('CN=second');
    expect((await exchangeOn(standing, CHECK))[0]?.status).toBe(200);
  });

  test('does not start without its files', async () => {
    const core = createCore(() => verdict({ allow: true }));
    await expect(startDoor(core, { tls: { cert: '/nowhere/a', key: first.key } })).rejects.toThrow(
      'no usable certificate',
    );
  });
});
