import { copyFileSync, readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AccessRequest, UnreadableRequest } from '../../src/decision/access-request.ts';
import { formatAddress } from '../../src/listener/address.ts';
import { createExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import {
  type CertificateFiles,
  type CertificateMaker,
  createCertificateMaker,
  makeDoorCertificates,
} from '../support/certificates.ts';
import { core } from '../support/core.ts';
import { decodeCheckResponse, encodeCheckRequest, type ReadCheckResponse } from '../support/ext-authz-proto.ts';
import { CLAIMING_REQUEST } from '../support/random-check-request.ts';

const claiming = encodeCheckRequest(CLAIMING_REQUEST);
const same = (bytes: Buffer): Buffer => bytes;

let maker: CertificateMaker;
let ca: CertificateFiles;
let server: CertificateFiles;
let gateway: CertificateFiles;
let stranger: CertificateFiles;

beforeAll(() => {
  maker = createCertificateMaker();
  ({ ca, server, gateway, stranger } = makeDoorCertificates(maker));
});
afterAll(() => maker.remove());

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Running {
  readonly target: string;
  readonly requests: (AccessRequest | UnreadableRequest)[];
}

async function startDoor({ mutual, pollMs }: { mutual: boolean; pollMs?: number }): Promise<Running> {
  const requests: (AccessRequest | UnreadableRequest)[] = [];
  const { authorize } = core();
  const door = createExtAuthzGrpcDoor({
    authorize: (request) => {
      requests.push(request);
      return authorize(request);
    },
    config: {
      listen: '127.0.0.1:0',
      trusted_loopback: false,
      max_in_flight: 10,
      max_message_bytes: 65_536,
      tls: { ...server, ...(mutual ? { client_ca: ca.cert } : {}) },
      ...(mutual ? { allowed_callers: ['spiffe://td/gateway'] } : {}),
    },
    startTimer: (delayMs, late) => {
      const timer = setTimeout(late, delayMs);
      return () => clearTimeout(timer);
    },
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
    graceMs: 1_000,
    ...(pollMs === undefined ? {} : { tlsPollMs: pollMs }),
  });
  const { address } = await door.start();
  open.push(() => door.stop());
  return { target: formatAddress(address), requests };
}

function ask(target: string, client?: CertificateFiles): Promise<ReadCheckResponse> {
  const credentials = grpc.credentials.createSsl(
    readFileSync(ca.cert),
    client === undefined ? null : readFileSync(client.key),
    client === undefined ? null : readFileSync(client.cert),
  );
  const stub = new grpc.Client(target, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  });
  open.push(() => stub.close());
  return new Promise((resolve, reject) => {
    const path = '/envoy.service.auth.v3.Authorization/Check';
    stub.makeUnaryRequest(path, same, same, claiming, { deadline: Date.now() + 10_000 }, (error, answer) => {
      if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
      else resolve(decodeCheckResponse(answer));
    });
  });
}

describe('a door with TLS', () => {
  it('answers whoever trusts its CA, and believes nothing it says of peers', async () => {
    const { target, requests } = await startDoor({ mutual: false });
    expect((await ask(target)).status).toEqual({});
    const [request] = requests;
    expect(request).not.toHaveProperty('sourcePrincipal');
    expect(request).toMatchObject({ contextExtensions: new Map() });
  });

  it('with a client CA believes a listed certificate', async () => {
    const { target, requests } = await startDoor({ mutual: true });
    expect((await ask(target, gateway)).status?.code).toBeGreaterThan(0);
    // The claimed decision `legacy` is not configured: believed, and so denied.
    expect(requests).toMatchObject([{ sourcePrincipal: 'spiffe://td/client' }]);
  });

  it('with a client CA denies every check of a certificate that is not listed', async () => {
    const { target, requests } = await startDoor({ mutual: true });
    const response = await ask(target, stranger);
    expect(response.deniedResponse?.status?.code).toBe(401);
    expect(requests).toMatchObject([{ unreadable: { code: 'invalid_credential' } }]);
  });

  it('with a client CA does not talk to whoever has no certificate', async () => {
    const { target, requests } = await startDoor({ mutual: true });
    await expect(ask(target)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
    expect(requests).toEqual([]);
  });

  it('serves a renewed certificate without a restart', async () => {
    const own = maker.make('renewing', { ca, sans: ['DNS:localhost'] });
    const first = { ...server };
    server = own;
    const { target } = await startDoor({ mutual: false, pollMs: 20 });
    server = first;
    expect((await ask(target)).status).toEqual({});
    const otherCa = maker.make('other-ca', { isCa: true });
    const renewed = maker.make('renewed', { ca: otherCa, sans: ['DNS:localhost'] });
    copyFileSync(renewed.key, own.key);
    copyFileSync(renewed.cert, own.cert);
    // From now on the old CA is no use, which is how the new certificate is seen.
    await expect
      .poll(
        () =>
          ask(target).then(
            () => 'old',
            () => 'new',
          ),
        { timeout: 10_000 },
      )
      .toBe('new');
  });
});
