import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../../../src/listener/listen.ts';
import { createTls, type Tls, type TlsReload } from '../../../src/listener/tls.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

describeWith(['openssl'], 'createTls', () => {
  let maker: CertificateMaker;
  let first: CertificateFiles;
  let second: CertificateFiles;
  let ca: CertificateFiles;
  let clientOfCa: CertificateFiles;
  const servers: Server[] = [];

  beforeAll(() => {
    maker = createCertificateMaker();
    ca = maker.make('ca', { isCa: true });
    first = maker.make('first', { sans: ['DNS:first.example'] });
    second = maker.make('second', { sans: ['DNS:second.example'] });
    clientOfCa = maker.make('client', { ca, sans: ['DNS:gateway.example'] });
  });

  afterAll(async () => {
    for (const server of servers) await new Promise((closed) => server.close(closed));
    maker.remove();
  });

  function files(name: string, from: CertificateFiles): { cert: string; key: string } {
    const made = { cert: join(maker.folder, `${name}-live.crt`), key: join(maker.folder, `${name}-live.key`) };
    copyFileSync(from.cert, made.cert);
    copyFileSync(from.key, made.key);
    return made;
  }

  function tlsOf(live: { cert: string; key: string; client_ca?: string }): {
    tls: Tls;
    clock: ManualClock;
    events: TlsReload[];
  } {
    const clock = createManualClock();
    const events: TlsReload[] = [];
    const tls = createTls({
      files: live,
      startTimer: clock.startTimer,
      pollMs: 1000,
      report: (event) => events.push(event),
    });
    return { tls, clock, events };
  }

  async function serve(tls: Tls): Promise<number> {
    const server = createServer(tls.serverOptions(), (socket) => socket.end('hello'));
    server.on('tlsClientError', () => undefined);
    servers.push(server);
    tls.attach(server);
    const bound = await listen(server, { kind: 'tcp', host: '127.0.0.1', port: 0 });
    if (bound.kind !== 'tcp') throw new Error('not a TCP address');
    return bound.port;
  }

  /** The subject that the server shows, or the error that ends the connection. */
  function shown(port: number, client?: CertificateFiles, maxVersion?: 'TLSv1.1'): Promise<string> {
    return new Promise((resolve) => {
      const identity = client && { cert: readFileSync(client.cert), key: readFileSync(client.key) };
      const socket = connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ...identity,
        ...(maxVersion && { maxVersion, minVersion: maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' }),
      });
      let subject = 'no certificate';
      socket.once('secureConnect', () => {
        subject = socket.getPeerX509Certificate()?.subject ?? subject;
      });
      socket.once('data', () => {
        resolve(subject);
        socket.destroy();
      });
      socket.once('error', () => resolve('error'));
      socket.once('close', () => resolve('closed'));
    });
  }

  test('a new pair is shown to new connections without a restart', async () => {
    const live = files('swap', first);
    const { tls, clock, events } = tlsOf(live);
    tls.start();
    const port = await serve(tls);
    expect(await shown(port)).toBe('CN=first');
    copyFileSync(second.cert, live.cert);
    copyFileSync(second.key, live.key);
    clock.advance(999);
    expect(await shown(port)).toBe('CN=first');
    clock.advance(1);
    expect(await shown(port)).toBe('CN=second');
    clock.advance(5000);
    expect(events).toEqual([{ kind: 'reloaded' }]);
    tls.stop();
    expect(clock.pendingTimers()).toBe(0);
  });

  test('a pair that does not match keeps the old one, is reported once, and is taken when it is whole', async () => {
    const live = files('half', first);
    const { tls, clock, events } = tlsOf(live);
    tls.start();
    const port = await serve(tls);
    copyFileSync(second.cert, live.cert);
    clock.advance(3000);
    expect(await shown(port)).toBe('CN=first');
    expect(events).toEqual([{ kind: 'kept', cause: expect.stringContaining('is not the key of') }]);
    copyFileSync(second.key, live.key);
    clock.advance(1000);
    expect(await shown(port)).toBe('CN=second');
    expect(events.at(-1)).toEqual({ kind: 'reloaded' });
    tls.stop();
  });

  test.each([
    ['empty', ''],
    ['garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('a certificate file that is %s keeps the old pair', (name, text) => {
    const live = files(`bad-${name}`, first);
    const { tls } = tlsOf(live);
    tls.start();
    writeFileSync(live.cert, text);
    expect(tls.reload()).toEqual({
      kind: 'kept',
      cause: expect.stringContaining('does not hold a certificate in PEM'),
    });
    expect(tls.material().cert.equals(readFileSync(first.cert))).toBe(true);
    tls.stop();
  });

  test('without a usable pair it does not start', () => {
    const { tls } = tlsOf({ cert: join(maker.folder, 'missing.crt'), key: first.key });
    expect(() => tls.start()).toThrow(/no usable certificate: `.*missing\.crt` cannot be read \(ENOENT\)/);
  });

  test('with a client CA only its bearers complete a handshake', async () => {
    const { tls } = tlsOf({ ...first, client_ca: ca.cert });
    const port = await serve(tls);
    expect(await shown(port, clientOfCa)).toBe('CN=first');
    expect(await shown(port)).not.toBe('CN=first');
    expect(await shown(port, second)).not.toBe('CN=first');
  });

  test('TLS 1.1 is refused', async () => {
    const { tls } = tlsOf(first);
    const port = await serve(tls);
    expect(await shown(port, undefined, 'TLSv1.1')).toBe('error');
  });
});
