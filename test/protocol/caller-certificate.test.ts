import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import type { Authorize } from '../../src/decision/ports.ts';
import { formatAddress } from '../../src/listener/address.ts';
import { createExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import { createExtAuthzHttpDoor } from '../../src/protocols/ext-authz-http/server.ts';
import {
  type CertificateFiles,
  type CertificateMaker,
  createCertificateMaker,
  makeDoorCertificates,
} from '../support/certificates.ts';
import { core } from '../support/core.ts';
import { encodeCheckRequest } from '../support/ext-authz-proto.ts';
import { createCheckClient } from '../support/grpc-client.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';

let maker: CertificateMaker;
let ca: CertificateFiles;
let server: CertificateFiles;
let gateway: CertificateFiles;
let client: CertificateFiles;

beforeAll(() => {
  maker = createCertificateMaker();
  ({ ca, server, gateway } = makeDoorCertificates(maker));
  client = maker.make('client', { ca, sans: ['URI:spiffe://td/client'] });
});
afterAll(() => maker.remove());

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const CHECK = encodeCheckRequest({ attributes: { request: { http: { method: 'GET', path: '/', host: 'a.test' } } } });

interface Running {
  readonly requests: AccessRequest[];
  ask(shown: CertificateFiles): Promise<void>;
}

/** A door with a client CA, or without, where callers are asked for no certificate. */
async function startDoor(kind: 'grpc' | 'http', mutual: boolean): Promise<Running> {
  const requests: AccessRequest[] = [];
  const { authorize: decide } = core();
  const authorize: Authorize = (request) => {
    if (!('unreadable' in request)) requests.push(request);
    return decide(request);
  };
  const listening = {
    listen: '127.0.0.1:0',
    trusted_loopback: false,
    max_in_flight: 10,
    tls: { ...server, ...(mutual ? { client_ca: ca.cert } : {}) },
    ...(mutual ? { allowed_callers: ['spiffe://td/gateway', 'spiffe://td/client'] } : {}),
  };
  const ports = { authorize, clock: systemClock, startTimer: startSystemTimer, graceMs: 500 };
  if (kind === 'grpc') {
    const logger = { info: () => undefined, warn: () => undefined, limited: () => undefined };
    const door = createExtAuthzGrpcDoor({ ...ports, logger, config: { ...listening, max_message_bytes: 65_536 } });
    const { address } = await door.start();
    open.push(() => door.stop());
    const ask = async (shown: CertificateFiles): Promise<void> => {
      const caller = createCheckClient(formatAddress(address), { tls: { ca, client: shown } });
      await caller.check(CHECK);
      await caller.check(CHECK);
      caller.close();
    };
    return { requests, ask };
  }
  const http = { path_prefix: '/ext-authz/', upstream_headers: [], deadline_ms: 5_000, max_body_bytes: 1_000 };
  const door = createExtAuthzHttpDoor({ ...ports, config: { ...listening, ...http } });
  const { address } = await door.start();
  open.push(() => door.stop());
  const port = Number(formatAddress(address).split(':')[1]);
  const ask = async (shown: CertificateFiles): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await get(port, agent, shown);
    await get(port, agent, shown);
    agent.destroy();
  };
  return { requests, ask };
}

function get(port: number, agent: Agent, shown: CertificateFiles): Promise<void> {
  return new Promise((resolve, reject) => {
    const tls = { ca: readFileSync(ca.cert), cert: readFileSync(shown.cert), key: readFileSync(shown.key) };
    httpsRequest(
      { host: '127.0.0.1', servername: 'localhost', port, path: '/ext-authz/', agent, ...tls },
      (response) => {
        response.resume();
        response.on('end', resolve);
      },
    )
      .on('error', reject)
      .end();
  });
}

describe.each(['grpc', 'http'] as const)('the %s door', (kind) => {
  test('tells the core the certificate that each caller showed', async () => {
    const door = await startDoor(kind, true);
    await door.ask(gateway);
    await door.ask(client);
    const told = door.requests.map(
      ({ callerCertificate = '' }) => new X509Certificate(callerCertificate).subjectAltName,
    );
    const [first, second] = ['URI:spiffe://td/gateway', 'URI:spiffe://td/client'];
    expect(told).toEqual([first, first, second, second]);
    expect(door.requests.map(({ callerCertificate }) => callerCertificate)).toContain(
      readFileSync(client.cert, 'utf8'),
    );
  });

  test('without a client CA tells none, whatever is shown', async () => {
    const door = await startDoor(kind, false);
    await door.ask(gateway);
    expect(door.requests).toHaveLength(2);
    for (const request of door.requests) expect(request).not.toHaveProperty('callerCertificate');
  });
});
