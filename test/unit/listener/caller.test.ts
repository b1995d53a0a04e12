import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ListenAddress } from '../../../src/listener/address.ts';
import { type Caller, createCallerCheck, isAllowedCertificate } from '../../../src/listener/caller.ts';
import type { DoorListenConfig } from '../../../src/listener/config.ts';
import { listen } from '../../../src/listener/listen.ts';
import { createTls } from '../../../src/listener/tls.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const plain = { trusted_loopback: false, max_in_flight: 1 };
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
});

/** What the check says of a real connection, asked twice, because the answer is kept per connection. */
async function judged(
  config: DoorListenConfig,
  at: ListenAddress,
  open: (bound: ListenAddress) => Socket,
): Promise<Caller> {
  const check = createCallerCheck(config);
  const mutual = config.tls;
  const server =
    mutual === undefined
      ? createServer()
      : createTlsServer(createTls({ files: mutual, startTimer: createManualClock().startTimer }).serverOptions());
  servers.push(server);
  const seen = new Promise<Caller>((resolve) => {
    server.on(mutual === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      const caller = check(socket);
      resolve(check(socket) === caller ? caller : 'refused');
      socket.destroy();
    });
  });
  const client = open(await listen(server, at));
  client.on('error', () => undefined);
  const caller = await seen;
  client.destroy();
  return caller;
}

const anyPort: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

function openTcp(bound: ListenAddress): Socket {
  return bound.kind === 'tcp' ? connect({ host: '127.0.0.1', port: bound.port }) : connect({ path: bound.path });
}

describe('createCallerCheck', () => {
  test.each([
    ['a loopback door that is marked trusted', { listen: '127.0.0.1:0', trusted_loopback: true }, 'believed'],
    ['a loopback door that is not', { listen: '127.0.0.1:0', trusted_loopback: false }, 'unbelieved'],
    ['a door off loopback that insecure config opened', { listen: '0.0.0.0:0', trusted_loopback: false }, 'unbelieved'],
    ['a door off loopback, whatever it is marked as', { listen: '0.0.0.0:0', trusted_loopback: true }, 'unbelieved'],
  ] as const)('at %s a caller is %3$s', async (_name, config, caller) => {
    expect(await judged({ ...plain, ...config }, anyPort, openTcp)).toBe(caller);
  });

  test('at a unix socket a caller is believed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-caller-'));
    const path = join(folder, 'x.sock');
    expect(await judged({ ...plain, listen: `unix:${path}` }, { kind: 'unix', path }, openTcp)).toBe('believed');
    rmSync(folder, { recursive: true });
  });
});

describeWith(['openssl'], 'createCallerCheck with certificates', () => {
  let maker: CertificateMaker;
  let ca: CertificateFiles;
  let server: CertificateFiles;

  beforeAll(() => {
    maker = createCertificateMaker();
    ca = maker.make('ca', { isCa: true });
    server = maker.make('server');
  });
  afterAll(() => maker.remove());

  const allowed = ['spiffe://td/gateway', 'gateway.example'];

  test.each([
    ['the listed SPIFFE ID', ['URI:spiffe://td/gateway'], 'believed'],
    ['the listed DNS name', ['DNS:gateway.example'], 'believed'],
    ['the listed DNS name in other case', ['DNS:Gateway.EXAMPLE'], 'believed'],
    ['the listed SPIFFE ID beside another DNS name', ['URI:spiffe://td/gateway', 'DNS:x.example'], 'believed'],
    ['another SPIFFE ID of the same CA', ['URI:spiffe://td/other'], 'refused'],
    ['a longer SPIFFE ID', ['URI:spiffe://td/gateway/x'], 'refused'],
    ['a SPIFFE ID in other case', ['URI:spiffe://td/Gateway'], 'refused'],
    ['two URIs, the listed one first', ['URI:spiffe://td/gateway', 'URI:spiffe://td/other'], 'refused'],
    ['two URIs beside the listed DNS name', ['URI:a:b', 'URI:c:d', 'DNS:gateway.example'], 'refused'],
    ['a wildcard that covers the listed name', ['DNS:*.example'], 'refused'],
    ['the listed DNS name as a URI', ['URI:gateway.example'], 'refused'],
    ['the listed name as an e-mail address', ['email:gateway.example'], 'refused'],
    ['no name but its subject', [], 'refused'],
  ] as const)('a certificate with %s is %3$s', async (name, sans, caller) => {
    const client = maker.make(`client-${name.replace(/[^a-z]/gi, '-')}`, { ca, sans });
    const config = {
      ...plain,
      listen: '127.0.0.1:0',
      trusted_loopback: true,
      tls: { ...server, client_ca: ca.cert },
      allowed_callers: allowed,
    };
    const open = (bound: ListenAddress): Socket =>
      connectTls({
        host: '127.0.0.1',
        port: bound.kind === 'tcp' ? bound.port : 0,
        cert: readFileSync(client.cert),
        key: readFileSync(client.key),
        rejectUnauthorized: false,
      });
    expect(await judged(config, anyPort, open)).toBe(caller);
  });

  test('a socket without TLS is refused where certificates are asked for', () => {
    const check = createCallerCheck({
      ...plain,
      listen: '127.0.0.1:0',
      trusted_loopback: true,
      tls: { ...server, client_ca: ca.cert },
      allowed_callers: allowed,
    });
    // Only its class is looked at.
    expect(check({ remoteAddress: '127.0.0.1' } as Socket)).toBe('refused');
  });

  test('a name that holds a separator and another name is one name', () => {
    const client = maker.make('smuggler', { sans: [String.raw`DNS:x.example\, DNS:gateway.example`] });
    const certificate = new X509Certificate(readFileSync(client.cert));
    expect(certificate.subjectAltName).toContain('gateway.example');
    expect(isAllowedCertificate(certificate, new Set(allowed))).toBe(false);
  });
});
