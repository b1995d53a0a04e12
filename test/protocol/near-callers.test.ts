import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Authorize, Outcome } from '../../src/decision/ports.ts';
import { createWriteEvent, type WriteEvent } from '../../src/decision-log/event.ts';
import { toCheckResponse } from '../../src/protocols/ext-authz-grpc/from-decision.ts';
import { toAccessRequest } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { openDecider } from '../../src/service.ts';
import { logConfig } from '../support/events.ts';
import { decodeCheckResponse } from '../support/ext-authz-proto.ts';
import { inferRequest } from '../support/infer-request.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { toServiceConfig } from '../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { SHIPPED } from '../unit/bundle/shipped.ts';

/** Requests that differ in one thing from each other; `undefined` stands for the usual. */
const TENANTS = ['tenant-a', 'tenant-b', 'tenant-A'];
const SUBJECTS = ['alice', 'alicf', 'Alice'];
const TIERS = ['free', 'premium'];
const ROLES = [['inference'], ['inferencf'], []];
const PATHS = TENANTS.flatMap((tenant) =>
  ['llama-3-8b', 'mistral-7b', 'llama-3-8B'].flatMap((model) => [`/${tenant}/${model}/infer`, `/${tenant}/${model}/x`]),
).concat('/v1/chat/completions', '/v1/chat/completions?a=1');
const METHODS = ['POST', 'PUT', 'GET'];
const BODIES = [
  '{"prompt":"hello"}',
  '{"model":"llama-3-8b","messages":[{"role":"user","content":"hello"}]}',
  '{"model":"mistral-7b","messages":[{"role":"user","content":"hello"}]}',
  '{"model":"mistral-7b","messages":[{"role":"user","content":"hellp"}],"max_tokens":9}',
];
const HEADERS = [{}, { 'x-request-id': 'a' }, { 'content-type': 'application/jsom' }, { 'x-tenant': 'tenant-b' }];
const ADDRESSES = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];

interface Caller {
  readonly tenant: string;
  readonly subject: string;
  readonly token: string | undefined;
}

interface Asked {
  readonly name: string;
  readonly caller: Caller;
  readonly path: string;
  readonly bytes: Buffer;
}

/** SECURITY row 25: of the whole service, whatever it remembers of those who asked before. */
describe('callers that all but equal each other', () => {
  let folder: string;
  let issuer: TestIssuer;
  let callers: readonly Caller[];
  let config: Record<string, unknown>;
  const deciders: { readonly authorize: Authorize; readonly close: () => Promise<void> }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-near-'));
    issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    const bundleFile = join(folder, 'wide.tar.gz');
    await issuer.writeJwks(jwksFile);
    await writeFile(bundleFile, wideLimits());
    config = await toServiceConfig({ issuer, jwksFile, bundleFile });
    callers = await mintCallers(issuer);
  });

  afterAll(async () => {
    for (const decider of deciders) await decider.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(): Promise<(asked: Asked) => Promise<Told>> {
    const decider = await openDecider(parseConfig(join(folder, 'sallyport.yaml'), stringify(config), {}));
    deciders.push(decider);
    const write = createWriteEvent({
      config: logConfig(),
      labels: {},
      instanceId: 'instance-1',
      nextSpanId: () => '00000000000000aa',
    });
    return async ({ bytes }) => told(await decider.authorize(toAccessRequest(bytes, { believed: true })), write);
  }

  test('are told and recorded what each would be alone, in whatever order they ask', { timeout: 120_000 }, async () => {
    const seed = seedOf('near callers');
    const random = createRandom(seed);
    const requests = Array.from({ length: 400 }, () => draw(random, callers));
    const services = [await open(), await open(), await open()];
    const first = new Map<string, Told>();
    const mixed: unknown[] = [];
    let allowed = 0;
    const count = caseCount(20_000);
    for (let at = 0; at < count; at += 1) {
      const asked = random.pick(requests);
      const answer = await random.pick(services)(asked);
      const before = first.get(asked.name);
      if (before === undefined) first.set(asked.name, answer);
      else if (before.text !== answer.text) mixed.push({ seed, asked: asked.name, before, answer });
      if (answer.code === 0) allowed += 1;
      if (!isOwn(asked, answer)) mixed.push({ seed, asked: asked.name, answer });
    }
    console.info(
      `near callers: ${count} requests of ${first.size} kinds, ${allowed} allowed, ${mixed.length} mixed up`,
    );
    expect(mixed.slice(0, 3)).toEqual([]);
    expect(allowed).toBeGreaterThan(count / 20);
  });

  test('are told what a service tells them that nobody asked before', { timeout: 120_000 }, async () => {
    const random = createRandom(seedOf('near callers, alone'));
    const requests = Array.from({ length: 300 }, () => draw(random, callers));
    const warm = await open();
    for (const asked of [...requests, ...requests]) await warm(asked);
    for (const asked of requests.slice(0, caseCount(12))) {
      const alone = await (await open())(asked);
      expect((await warm(asked)).text, asked.name).toBe(alone.text);
    }
  });
});

interface Told {
  readonly code: number;
  /** Who was told to the upstream. */
  readonly tenant: string | undefined;
  readonly event: Readonly<Record<string, unknown>>;
  /** The whole answer and its event, but for what no two have alike. */
  readonly text: string;
}

function told(outcome: Outcome, write: WriteEvent): Told {
  const answer = decodeCheckResponse(toCheckResponse(outcome.decision, outcome.decisionId));
  const headers = answer.okResponse?.headers ?? [];
  // `createWriteEvent` writes an object.
  const event = JSON.parse(write(outcome, 1).line) as Record<string, unknown>;
  const ids = new RegExp(`${outcome.decisionId}|${String(event['reservation_id'])}`, 'g');
  const both = JSON.stringify([answer, event], (key, value: unknown) =>
    VARYING.has(key) ? '' : unnumbered(key, value),
  );
  return {
    code: answer.status?.code ?? 0,
    tenant: headers.map(({ header }) => header).find(({ key }) => key === 'x-sallyport-tenant')?.value,
    event,
    text: both.replace(ids, 'ID'),
  };
}

const VARYING: ReadonlySet<string> = new Set(['timestamp', 'decision_id', 'trace_id', 'span_id', 'metrics']);

/** What is left of a limit depends on who asked before; whose it is, and how large, does not. */
function unnumbered(key: string, value: unknown): unknown {
  if (/remaining|reset|wait|held|level|used/i.test(key)) return 0;
  if (typeof value !== 'object' || value === null || !('key' in value)) return value;
  if (!/^(?:ratelimit|x-ratelimit-(?:remaining|reset)-\w+)$/.test(String(value.key))) return value;
  return { ...value, value: 'value' in value ? String(value.value).replace(/(?<==|^)\d+/g, 'N') : '' };
}

function isOwn({ caller, path }: Asked, { code, tenant, event }: Told): boolean {
  const input = event['input'];
  const text = JSON.stringify(input);
  if (code === 0 && tenant !== caller.tenant) return false;
  if (code === 0 && !text.includes(`"subject":"${caller.subject}"`)) return false;
  return !text.includes('"path":') || text.includes(`"path":"${path.replace(/\?.*/, '')}`);
}

async function mintCallers(issuer: TestIssuer): Promise<readonly Caller[]> {
  const callers: Caller[] = [{ tenant: '', subject: '', token: undefined }];
  for (const tenant of TENANTS) {
    for (const subject of SUBJECTS) {
      for (const tier of TIERS) {
        for (const roles of ROLES) {
          callers.push({ tenant, subject, token: await issuer.mint({ tenant, sub: subject, tier, roles }) });
        }
      }
    }
  }
  return callers;
}

function draw(random: Random, callers: readonly Caller[]): Asked {
  const caller = random.pick(callers);
  const path = random.chance(0.6) ? `/${caller.tenant}/llama-3-8b/infer` : random.pick(PATHS);
  const method = random.chance(0.7) ? 'POST' : random.pick(METHODS);
  const body = random.pick(BODIES);
  const headers = random.chance(0.5) ? {} : random.pick(HEADERS);
  const address = random.pick(ADDRESSES);
  const source = { address: { socketAddress: { address, portValue: 40_000 } } };
  const token = caller.token === undefined ? {} : { token: caller.token };
  return {
    name: [caller.token, path, method, body, JSON.stringify(headers), address].join(' '),
    caller,
    path,
    bytes: inferRequest({ ...token, path, method, body, headers, source }),
  };
}

/** The shipped bundle, with limits that nobody comes to. */
function wideLimits(): Uint8Array {
  const files = new Map<string, Uint8Array>(readArchive(SHIPPED));
  const text = Buffer.from(files.get('data.json') ?? []).toString();
  const data: unknown = JSON.parse(text, (key, value: unknown) => {
    // Shares depend on how many tenants are about.
    if (key === 'fair') return undefined;
    return /^(?:size|free|premium|internal)$/.test(key) && typeof value === 'number' ? value * 100_000 : value;
  });
  // They are about the limits too.
  files.delete('cases.json');
  return packArchive(files.set('data.json', Buffer.from(JSON.stringify(data))));
}
