import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { AccessRequest, UnreadableRequest } from '../../src/decision/access-request.ts';
import { OWNED_HEADERS } from '../../src/decision/decision.ts';
import type { Authenticate, Authorize } from '../../src/decision/ports.ts';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { createChain } from '../../src/identity/authenticator.ts';
import { createMtlsPeers } from '../../src/identity/mtls-peers.ts';
import { formatAddress, type ListenAddress } from '../../src/listener/address.ts';
import type { DoorListenConfig } from '../../src/listener/config.ts';
import { exitCodeOf } from '../../src/main.ts';
import { createExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import { createExtAuthzHttpDoor } from '../../src/protocols/ext-authz-http/server.ts';
import { runCaptured } from '../support/captured-io.ts';
import {
  type CertificateFiles,
  type CertificateMaker,
  createCertificateMaker,
  makeDoorCertificates,
} from '../support/certificates.ts';
import { anonymous, core, generation, NAMED, tenantA } from '../support/core.ts';
import { createEventFile } from '../support/event-file.ts';
import { decodeCheckResponse, encodeCheckRequest } from '../support/ext-authz-proto.ts';
import { createCheckClient } from '../support/grpc-client.ts';
import { ask } from '../support/http-client.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';

/**
 * SECURITY row 28. The core behind these doors believes whatever a door hands on: a principal, a certificate or a
 * client-certificate header makes a peer, an extension picks a decision. So what a door lets through, tells.
 */
const CLAIM = 'claimed-by-nobody';
const SPIFFE_ID = `spiffe://td/${CLAIM}`;
const DECISIONS = ['open', 'legacy', 'admin'];

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

interface Believed {
  peerIdentities: number;
  takes: number;
  otherDecisions: number;
  /** Claims found anywhere in what policies may read. */
  claimsRead: number;
}

const NOTHING: Believed = { peerIdentities: 0, takes: 0, otherDecisions: 0, claimsRead: 0 };

type DoorKind = 'grpc' | 'http';
type Listening = Partial<DoorListenConfig>;

/** A caller of one door: `ask` answers whether the gateway would let the request pass. */
interface Caller {
  readonly believed: Believed;
  ask(claims: Claims): Promise<Answer>;
}

interface Answer {
  readonly allowed: boolean;
  /** Request headers that the gateway will set or remove. */
  readonly owned: readonly string[];
}

/** Everything a caller can claim, by the way in which it does. */
interface Claims {
  /** Of the CheckRequest, beside the request. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly sourceClaims: Readonly<Record<string, unknown>>;
  /** Of the client's request, as the caller tells it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly headersRaw: boolean;
  /** Of the check itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

describe.each<[DoorKind, string, () => Listening, ('stranger' | 'tls')?]>([
  ['grpc', 'on loopback, not marked trusted', () => ({})],
  ['grpc', 'off loopback, unauthenticated', () => ({ listen: '0.0.0.0:0' })],
  ['grpc', 'with TLS, from callers without a certificate', () => ({ tls: server }), 'tls'],
  ['grpc', 'with a client CA, from a caller that is not allowed', mutual, 'stranger'],
  ['http', 'on loopback, not marked trusted', () => ({})],
  ['http', 'on loopback, marked trusted: this protocol carries none of it', () => ({ trusted_loopback: true })],
  ['http', 'off loopback, unauthenticated', () => ({ listen: '0.0.0.0:0' })],
  ['http', 'with TLS, from callers without a certificate', () => ({ tls: server }), 'tls'],
  ['http', 'with a client CA, from a caller that is not allowed', mutual, 'stranger'],
])('the %s door %s', (kind, name, listening, shows) => {
  const tls = () => (shows === undefined ? undefined : { ca, ...(shows === 'tls' ? {} : { client: stranger }) });

  test('makes no peer, no take and no other decision of what a caller claims', async () => {
    const random = createRandom(seedOf(`untrusted callers, ${kind} ${name}`));
    const count = caseCount(250);
    const caller = await startDoor(kind, listening(), tls(), 'peer');
    const answers = await inTurns(count, () => caller.ask(randomClaims(random)));
    console.info(`untrusted callers, ${kind} ${name}: ${count} requests, ${JSON.stringify(caller.believed)}`);
    expect(caller.believed).toEqual(NOTHING);
    // The policy charges the peer, which nobody has here: forgetting denies.
    expect(answers.filter(({ allowed }) => allowed)).toEqual([]);
  });

  test('makes no mTLS identity of a principal, a certificate or XFCC that a caller claims', async () => {
    const random = createRandom(seedOf(`claimed mTLS identities, ${kind} ${name}`));
    const count = caseCount(250);
    const caller = await startDoor(kind, listening(), tls(), 'peer', mtlsIdentity);
    const answers = await inTurns(count, () => caller.ask(randomClaims(random)));
    console.info(`claimed mTLS identities, ${kind} ${name}: ${count} requests, ${JSON.stringify(caller.believed)}`);
    expect(caller.believed).toEqual(NOTHING);
    expect(answers.filter(({ allowed }) => allowed)).toEqual([]);
  });

  test('lets no copy of Sallyport’s own headers through an Allow', async () => {
    const random = createRandom(seedOf(`owned headers, ${kind} ${name}`));
    const caller = await startDoor(kind, listening(), tls(), 'nobody');
    const answers = await inTurns(caseCount(50), () => caller.ask(randomClaims(random)));
    expect(caller.believed).toEqual(NOTHING);
    for (const { allowed, owned } of answers) {
      expect(allowed).toBe(shows !== 'stranger');
      if (allowed) expect(owned).toEqual(expect.arrayContaining(Object.values(OWNED_HEADERS)));
    }
  });
});

describe('a caller of the gRPC door that may be believed', () => {
  test.each<[string, () => Listening, boolean]>([
    ['on trusted loopback', () => ({ trusted_loopback: true }), false],
    ['with an allowed certificate', mutual, true],
  ])('%s is, so that the zeros above mean something', async (_name, listening, shows) => {
    const random = createRandom(seedOf('believed callers'));
    const caller = await startDoor('grpc', listening(), shows ? { ca, client: gateway } : undefined, 'peer');
    await inTurns(200, () => caller.ask(randomClaims(random)));
    expect(caller.believed.peerIdentities).toBeGreaterThan(50);
    expect(caller.believed.takes).toBeGreaterThan(10);
    expect(caller.believed.otherDecisions).toBeGreaterThan(10);
    expect(caller.believed.claimsRead).toBeGreaterThan(50);
  });

  test.each<[string, () => Listening, boolean]>([
    ['on trusted loopback', () => ({ trusted_loopback: true }), false],
    ['with an allowed certificate', mutual, true],
  ])('%s makes mTLS identities of what it claims', async (_name, listening, shows) => {
    const random = createRandom(seedOf('believed mTLS identities'));
    const caller = await startDoor(
      'grpc',
      listening(),
      shows ? { ca, client: gateway } : undefined,
      'peer',
      mtlsIdentity,
    );
    await inTurns(200, () => caller.ask(randomClaims(random)));
    expect(caller.believed.peerIdentities).toBeGreaterThan(50);
    expect(caller.believed.takes).toBeGreaterThan(10);
  });
});

test.each<DoorKind>(['grpc', 'http'])(
  'the %s door with a client CA does not talk to whoever shows nothing',
  async (kind) => {
    const caller = await startDoor(kind, mutual(), { ca }, 'nobody');
    const random = createRandom(1);
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => caller.ask(randomClaims(random))));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(caller.believed).toEqual(NOTHING);
  },
);

describe('the whole service, its doors off loopback and unauthenticated', () => {
  test('decides by `default` for the anonymous, whatever is claimed', async () => {
    const random = createRandom(seedOf('untrusted callers of the service'));
    const { events, count } = await askService(random, false);
    expect(events).toHaveLength(count);
    for (const event of events) {
      expect(event.decision_name).toBe('default');
      expect(event.input).not.toHaveProperty('peer');
      expect(event.decision).toBe('deny');
      expect(JSON.stringify(event)).not.toContain(CLAIM);
    }
    console.info(`untrusted callers of the service: ${count} requests, 0 other decisions, 0 peers, 0 allows`);
  });

  test('and by the named one on trusted loopback, so that this means something', async () => {
    const { events } = await askService(createRandom(seedOf('believed callers of the service')), true);
    expect(new Set(events.map(({ decision_name }) => decision_name))).toContain('open');
  });
});

describe('an unguarded door off loopback does not start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-unguarded-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const listens = ['0.0.0.0:9191', '[::]:9191', '192.0.2.7:9191', '[2001:db8::1]:9191'];
  const guards: readonly (readonly [string, () => object])[] = [
    ['nothing', () => ({})],
    ['TLS alone', () => ({ tls: { cert: server.cert, key: server.key } })],
    ['a client CA without allowed callers', () => ({ tls: { ...server, client_ca: ca.cert } })],
    ['allowed callers without a client CA', () => ({ tls: server, allowed_callers: ['spiffe://td/gateway'] })],
    ['loopback’s trust', () => ({ trusted_loopback: true })],
  ];

  for (const door of ['ext_authz_grpc', 'ext_authz_http']) {
    test.each(guards)(`${door}, guarded by %s`, async (name, guard) => {
      for (const listen of listens) {
        const file = join(folder, 'sallyport.yaml');
        const bundles = { authz: { file: 'none.tar.gz', trust: { sha256: '0'.repeat(64) } } };
        writeFileSync(file, stringify({ doors: { [door]: { listen, ...guard() } }, bundles }));
        const { code, stderr } = await runCaptured(exitCodeOf, ['serve', '--config', file]);
        expect(code, `${name} at ${listen}`).toBe(3);
        expect(stderr).toContain(`doors.${door}.`);
      }
    });
  }
});

function mutual(): Listening {
  return { tls: { ...server, client_ca: ca.cert }, allowed_callers: ['spiffe://td/gateway'] };
}

interface CallerTls {
  readonly ca: CertificateFiles;
  readonly client?: CertificateFiles;
}

/** A real door before the believing core, and one caller of it. */
async function startDoor(
  kind: DoorKind,
  listening: Listening,
  tls: CallerTls | undefined,
  charged: 'peer' | 'nobody',
  authenticate: (believed: Believed) => Authenticate = claimedIdentity,
): Promise<Caller> {
  const believed = { ...NOTHING };
  const authorize = believingCore(believed, charged, authenticate(believed));
  const config = { listen: '127.0.0.1:0', trusted_loopback: false, max_in_flight: 1_000, ...listening };
  const ports = { authorize, clock: systemClock, startTimer: startSystemTimer, graceMs: 500 };
  if (kind === 'grpc') {
    const logger = { info: () => undefined, warn: () => undefined, limited: () => undefined };
    const door = createExtAuthzGrpcDoor({ ...ports, logger, config: { ...config, max_message_bytes: 2 ** 20 } });
    const { address } = await door.start();
    open.push(() => door.stop());
    const client = createCheckClient(loopbackOf(address), tls === undefined ? {} : { tls });
    open.push(() => client.close());
    return {
      believed,
      ask: async (claims) => fromGrpc(await client.check(toCheck(claims), { metadata: claims.metadata })),
    };
  }
  const door = createExtAuthzHttpDoor({
    ...ports,
    config: {
      ...config,
      path_prefix: '/ext-authz/',
      upstream_headers: Object.values(OWNED_HEADERS),
      deadline_ms: 10_000,
      max_body_bytes: 2 ** 20,
    },
  });
  const { address } = await door.start();
  open.push(() => door.stop());
  const [, port = ''] = /:(\d+)$/.exec(formatAddress(address)) ?? [];
  return { believed, ask: (claims) => askHttp(Number(port), claims, tls) };
}

function loopbackOf(address: ListenAddress): string {
  return formatAddress(address).replace('0.0.0.0', '127.0.0.1');
}

/** A core that makes a peer of every claim which reaches it, and charges that peer. */
function believingCore(believed: Believed, charged: 'peer' | 'nobody', authenticate: Authenticate): Authorize {
  const terms = { name: 'calls', unit: 'requests', kind: 'rate', limit: 9, per_seconds: 1, cost: 1, scope: 'tenant' };
  const limits = charged === 'peer' ? [{ ...terms, key: ['peer'] }] : [];
  const named = DECISIONS.map((name) => [name, { ...NAMED, name, decision: `${name}/decision` }] as const);
  const entrypoints = Object.fromEntries(DECISIONS.map((name) => [`${name}/decision`, { allow: true }]));
  const { authorize } = core({
    decisions: new Map([['default', NAMED], ...named]),
    currentGeneration: () => generation({ 'authz/limits': limits, 'authz/decision': { allow: true }, ...entrypoints }),
    authenticate,
    quota: {
      take: ({ plans }) => {
        if (plans.some((plan) => plan.length > 0)) believed.takes += 1;
        return { kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: {} } };
      },
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    maxWaitMs: 20_000,
  });
  return async (request) => {
    if (claimsIn(request)) believed.claimsRead += 1;
    const outcome = await authorize(request);
    if (outcome.named !== undefined && outcome.named.name !== 'default') believed.otherDecisions += 1;
    return outcome;
  };
}

/** Makes a peer of whatever was claimed. */
function claimedIdentity(believed: Believed): Authenticate {
  return (request) => {
    const claimed = [request.sourcePrincipal, request.sourceCertificate, ...request.headers.all(XFCC)];
    if (claimed.every((claim) => claim === undefined)) return anonymous;
    believed.peerIdentities += 1;
    const peer = { spiffeId: SPIFFE_ID, trustDomain: 'td', dnsSans: [], fingerprintSha256: 'ab' };
    return { kind: 'verified', principal: { ...tenantA, kind: 'mtls' }, peer, stripHeaders: [] };
  };
}

/** The real identity step, to which whoever is claimed here would be a trusted peer; what it refuses was believed too. */
function mtlsIdentity(believed: Believed): Authenticate {
  const config = { trust_domains: ['td'], from_listener: false, xfcc: { trusted_peers: [SPIFFE_ID] } };
  const chain = createChain([], systemClock, createMtlsPeers(config));
  return async (request, at) => {
    const found = await chain.authenticate(request, at);
    if (found.kind !== 'anonymous' || found.peer !== null) believed.peerIdentities += 1;
    return found;
  };
}

const XFCC = 'x-forwarded-client-cert';

function claimsIn(request: AccessRequest | UnreadableRequest): boolean {
  return !('unreadable' in request) && JSON.stringify(request.attributes() ?? null).includes(CLAIM);
}

function randomClaims(random: Random): Claims {
  const maybe = <T extends object>(value: T): T | Record<never, never> => (random.chance(0.5) ? value : {});
  const xfcc = random.pick([XFCC, 'X-Forwarded-Client-Cert', 'x-forwarded-client-CERT']);
  const peer = `By=${SPIFFE_ID};Hash=${'ab'.repeat(32)};URI=${SPIFFE_ID}/client`;
  const metadata = { filterMetadata: { [random.pick(['sallyport', 'envoy.filters.http.jwt_authn'])]: struct() } };
  return {
    headersRaw: random.chance(0.3),
    sourceClaims: {
      ...maybe({ principal: SPIFFE_ID }),
      ...maybe({ certificate: `-----BEGIN%20CERTIFICATE-----${CLAIM}` }),
    },
    attributes: {
      ...maybe({ destination: { principal: SPIFFE_ID, certificate: CLAIM } }),
      ...maybe({
        contextExtensions: {
          [random.pick(['sallyport.decision', 'Sallyport.Decision', 'sallyport.tenant'])]: random.pick(DECISIONS),
          peer: CLAIM,
        },
      }),
      ...maybe({ metadataContext: metadata }),
      ...maybe({ routeMetadataContext: metadata }),
      ...maybe({ tlsSession: { sni: `${CLAIM}.test` } }),
    },
    headers: {
      ...maybe({ [xfcc]: random.chance(0.5) ? peer : `${peer},${peer}` }),
      ...maybe({ 'x-sallyport-decision': random.pick(DECISIONS) }),
      ...maybe({ 'x-sallyport-tenant': 'tenant-b' }),
      ...maybe({ 'x-sallyport-role': 'admin' }),
      ...maybe({ 'x-sallyport-upstream': 'tenant-b-llama-3-8b' }),
      ...maybe({ 'X-Sallyport-Decision-Id': 'forged' }),
      ...maybe({ 'x-spiffe-id': 'spiffe://td/forged' }),
    },
    metadata: {
      ...maybe({ 'sallyport.decision': random.pick(DECISIONS) }),
      ...maybe({ 'x-sallyport-decision': random.pick(DECISIONS) }),
      ...maybe({ 'x-forwarded-client-cert': peer }),
      ...maybe({ 'x-forwarded-for': '127.0.0.1' }),
    },
  };
}

function struct(): object {
  return { fields: { principal: { stringValue: SPIFFE_ID }, decision: { stringValue: 'open' } } };
}

const PATH = '/tenant-a/llama-3-8b/infer';

function toCheck({ attributes, sourceClaims, headers, headersRaw }: Claims): Buffer {
  const raw = Object.entries(headers).map(([key, value]) => ({ key, rawValue: Buffer.from(value) }));
  return encodeCheckRequest({
    attributes: {
      ...attributes,
      source: { address: { socketAddress: { address: '192.0.2.1', portValue: 40_000 } }, ...sourceClaims },
      request: {
        http: {
          method: 'POST',
          path: PATH,
          host: 'gateway.test',
          scheme: 'https',
          ...(headersRaw ? { headerMap: { headers: raw } } : { headers }),
        },
      },
    },
  });
}

function fromGrpc(bytes: Buffer): Answer {
  const { status, okResponse } = decodeCheckResponse(bytes);
  const set = okResponse?.headers?.map(({ header }) => header.key) ?? [];
  const owned = [...set, ...(okResponse?.headersToRemove ?? [])];
  return { allowed: (status?.code ?? 0) === 0, owned };
}

async function askHttp(port: number, { headers, metadata }: Claims, tls: CallerTls | undefined): Promise<Answer> {
  const sent = { ...metadata, ...headers };
  const path = `/ext-authz${PATH}`;
  const answer = await (tls === undefined
    ? ask(port, { method: 'POST', path, headers: sent })
    : askHttps(port, path, sent, tls));
  const removals = answer.headers['x-envoy-auth-headers-to-remove'];
  const removed = typeof removals === 'string' ? removals.split(',') : [];
  const set = Object.keys(answer.headers).filter((name) => name.startsWith('x-sallyport-'));
  return { allowed: answer.status === 200, owned: [...set, ...removed] };
}

function askHttps(port: number, path: string, headers: Readonly<Record<string, string>>, tls: CallerTls) {
  return new Promise<{ readonly status: number; readonly headers: Readonly<Record<string, unknown>> }>(
    (resolve, reject) => {
      const outgoing = httpsRequest(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port,
          path,
          method: 'POST',
          headers,
          agent: false,
          ca: readFileSync(tls.ca.cert),
          ...(tls.client && { cert: readFileSync(tls.client.cert), key: readFileSync(tls.client.key) }),
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    },
  );
}

/** The shipped bundle with a second decision in local config; every request is anonymous. */
async function askService(
  random: Random,
  trusted: boolean,
): Promise<{ readonly events: readonly DecisionEvent[]; readonly count: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-untrusted-'));
  open.push(() => rmSync(folder, { recursive: true, force: true }));
  const eventsFile = join(folder, 'events.jsonl');
  const listening = trusted ? { listen: '127.0.0.1:0', trusted_loopback: true } : { listen: '0.0.0.0:0' };
  const service = await startService({
    config: {
      ...(await toServiceConfig({ eventsFile, decisions: { default: SHIPPED_DECISION, open: SHIPPED_DECISION } })),
      doors: { ext_authz_grpc: listening, ext_authz_http: { ...listening, deadline_ms: 10_000 } },
      ...(trusted ? {} : { insecure: { unauthenticated_door: true } }),
    },
  });
  const client = createCheckClient(`127.0.0.1:${service.port('ext_authz_grpc')}`);
  // One believed gRPC claim in 18 names the decision `open`: of 200 one surely does.
  const count = Math.max(trusted ? 400 : 64, caseCount(200));
  try {
    await inTurns(count / 2, () => client.check(toCheck(randomClaims(random))));
    await inTurns(count / 2, () => askHttp(service.port('ext_authz_http'), randomClaims(random), undefined));
  } finally {
    client.close();
    await service.stop();
  }
  return { events: createEventFile(eventsFile).all(), count: Math.ceil(count / 2) * 2 };
}

const SHIPPED_DECISION = { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' };

/** Sixteen at a time. */
async function inTurns<T>(count: number, step: () => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  for (let done = 0; done < count; done += 16) {
    results.push(...(await Promise.all(Array.from({ length: Math.min(16, Math.ceil(count) - done) }, step))));
  }
  return results;
}
