import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_EVENT_BYTES } from '../../src/decision-log/event.ts';
import { describeWith } from '../support/describe-with.ts';
import { createCheckClient } from '../support/grpc-client.ts';
import { ask } from '../support/http-client.ts';
import { inferRequest, wholeJsonBody } from '../support/infer-request.ts';
import { buildPolicyBundle, type PolicyBundle } from '../support/policy-bundle.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';

/**
 * SECURITY row 23 on a running service: policies that copy their whole input into everything they may answer, behind
 * both doors, with everything logged that config can ask for. No secret of a request is in any event, in the
 * operational log, in the spool or in the metrics, whole or in part, plain or encoded.
 */
const FIXTURE = join(import.meta.dirname, 'fixtures/hostile');
const HOSTILE = { decision: 'hostile/decision', limits: 'hostile/limits', result: 'sallyport' };
const ENVOY = { decision: 'envoy/authz/allow', result: 'opa-envoy' };
const ENVOY_CHARGED = { ...ENVOY, limits: 'hostile/limits' };

describeWith(['opa'], 'a hostile policy behind a running service', () => {
  let bundle: PolicyBundle;
  let issuer: TestIssuer;
  let modes: readonly string[];
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));

  beforeAll(async () => {
    bundle = await buildPolicyBundle(FIXTURE, ['hostile/decision', 'hostile/limits', 'envoy/authz/allow']);
    issuer = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    const rego = readFileSync(join(FIXTURE, 'hostile/hostile.rego'), 'utf8');
    modes = [...new Set([...rego.matchAll(/if mode == "([a-z-]+)"/g)].map(([, mode = '']) => mode))];
  });
  afterAll(() => {
    bundle?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    ['sallyport', { default: HOSTILE, envoy: ENVOY }],
    ['opa-envoy, credentials exposed', { default: ENVOY_CHARGED, envoy: ENVOY }],
  ])('of the shape %s: 0 canaries in events, spool, operational log and metrics', async (name, decisions) => {
    const random = createRandom(seedOf(`no secrets, ${name}`));
    const count = Math.max(300, caseCount(2_000));
    const eventsFile = join(folder, `${name.replaceAll(/\W+/g, '-')}.jsonl`);
    const service = await startService({ config: await configOf(eventsFile, decisions) });
    const canaries = createCanaries(random);
    let metrics: string;
    try {
      await askMany({ service, issuer, random, canaries, modes, count });
      metrics = await service.metrics();
    } finally {
      await service.stop();
    }
    const events = readFileSync(eventsFile, 'utf8');
    const lines = events.trimEnd().split('\n');
    const output = service.program.output();
    const spool = readSpool(`${eventsFile}.spool`);
    expect(spool.trimEnd().split('\n')).toHaveLength(lines.length);

    const dropped = Number(/^sallyport_decision_log_dropped_total (\d+)$/m.exec(metrics)?.[1] ?? Number.NaN);
    // The first event of all is the activation.
    expect(lines.length + dropped).toBe(count + 1);
    const codes = new Map<string, number>();
    for (const [index, line] of lines.entries()) {
      if (index === 0) continue;
      const event: { sequence: number; code?: string } = JSON.parse(line);
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(MAX_EVENT_BYTES);
      if (dropped === 0) expect(event.sequence).toBe(index + 1);
      codes.set(event.code ?? 'allowed', (codes.get(event.code ?? 'allowed') ?? 0) + 1);
    }
    console.info(
      `no secrets, ${name}: ${count} requests, ${lines.length} events (${dropped} dropped), ` +
        `${events.length + spool.length + output.length + metrics.length} bytes searched; ${[...codes].map(([code, n]) => `${code} ${n}`).join(', ')}`,
    );
    // The policies were evaluated, in ways that are allowed, denied and refused.
    for (const code of ['policy_denied', 'invalid_verdict', 'invalid_charges', 'invalid_credential', 'policy_error']) {
      expect([...codes.keys()]).toContain(code);
    }
    const places = { events, spool, 'operational log': output, metrics };
    const found = Object.entries(places).flatMap(([place, text]) => leaks(place, text, canaries));
    expect(found).toEqual([]);
  });

  test('the search finds a canary in part and encoded, so that the zeros above mean something', () => {
    const canaries = createCanaries(createRandom(1));
    const forms = [
      (text: string) => text,
      (text: string) => text.slice(5, 25),
      (text: string) => text.toUpperCase(),
      (text: string) => Buffer.from(`x${text}`).toString('base64'),
      (text: string) => Buffer.from(`xy${text}`).toString('base64url'),
      (text: string) => Buffer.from(text).toString('hex'),
      (text: string) => Array.from(text).reverse().join(''),
    ];
    for (const canary of canaries.all()) {
      for (const form of forms) expect(leaks('here', `{"a":"${form(canary)}"}`, canaries).length).toBeGreaterThan(0);
    }
  });

  async function configOf(eventsFile: string, decisions: Readonly<Record<string, unknown>>) {
    const config = await toServiceConfig({
      issuer,
      jwksFile: join(folder, 'jwks.json'),
      bundleFile: bundle.file,
      decisions,
      eventsFile,
      deadlineMs: 30_000,
    });
    return {
      ...config,
      log: { level: 'debug' },
      compatibility: { expose_credentials: true, header_map_bodies: true },
      decision_log: {
        // The target is down, so that all events stay in the spool.
        sinks: [{ file: { path: eventsFile } }, { http: { url: 'http://127.0.0.1:9/logs' } }],
        spool: { dir: `${eventsFile}.spool`, max_mb: 4096 },
        queue: { max_events: 1_000_000 },
        // One event for each request, so that they can be counted.
        aggregate: { above_per_second: 1_000_000 },
        input: ['request', 'route', 'identity', 'peer', 'network', 'inference', 'quota'],
        result: LOGGED_RESULT,
      },
    };
  }
});

/** All segments of a spool. */
function readSpool(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.spool'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('');
}

/** All that a result may have but `body`, which config refuses. */
const LOGGED_RESULT = [
  ...['allow', 'allowed', 'reasons', 'reason', 'status', 'http_status', 'headers', 'response_headers', 'id'],
  ...['remove_headers', 'query_set', 'query_remove', 'upstream', 'metadata', 'obligations', 'dynamic_metadata'],
  ...['response_headers_to_add', 'request_headers_to_remove', 'query_parameters_to_set'],
];

interface Canaries {
  readonly opaqueToken: string;
  readonly apiKey: string;
  readonly cookie: string;
  readonly password: string;
  readonly prompt: string;
  readonly message: string;
  readonly query: string;
  readonly claim: string;
  readonly certificate: string;
  readonly metadata: string;
  readonly extension: string;
  all(): readonly string[];
  /** Tokens that were sent: found out by their signatures. */
  readonly signatures: Set<string>;
}

function createCanaries(random: Random): Canaries {
  const made: string[] = [];
  const make = (): string => {
    // Letters of both cases: a leak in lower case is one too.
    const canary = Array.from({ length: 32 }, () => LETTERS[random.below(LETTERS.length)]).join('');
    made.push(canary);
    return canary;
  };
  return {
    opaqueToken: make(),
    apiKey: make(),
    cookie: make(),
    password: make(),
    prompt: make(),
    message: make(),
    query: make(),
    claim: make(),
    certificate: make(),
    metadata: make(),
    extension: make(),
    all: () => made,
    signatures: new Set(),
  };
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

interface Asking {
  readonly service: Service;
  readonly issuer: TestIssuer;
  readonly random: Random;
  readonly canaries: Canaries;
  readonly modes: readonly string[];
  readonly count: number;
}

async function askMany({ service, issuer, random, canaries, modes, count }: Asking): Promise<void> {
  const client = createCheckClient(`127.0.0.1:${service.port('ext_authz_grpc')}`);
  const claims = { tenant: 'tenant-a', tier: 'premium', roles: ['inference'], secret: canaries.claim };
  const tokens = await Promise.all([1, 2, 3].map((jti) => issuer.mint({ ...claims, jti: String(jti) })));
  const expired = await issuer.mint({ ...claims, exp: 1 });
  for (const token of [...tokens, expired]) canaries.signatures.add(token.split('.')[2] ?? '');
  const one = async (index: number): Promise<void> => {
    const authorization = random.chance(0.8)
      ? `Bearer ${random.pick(tokens)}`
      : random.pick([`Bearer ${expired}`, `Bearer ${canaries.opaqueToken}`, basic(canaries)]);
    const request = hostileRequest(random, canaries, authorization, modes[index % modes.length] ?? 'allow');
    if (random.chance(0.5)) await askGrpc(request);
    else await askHttp(request);
  };
  const askGrpc = ({ path, headers, body }: HostileRequest): Promise<unknown> =>
    client.check(
      inferRequest({
        path,
        headers,
        body,
        source: random.chance(0.5) ? { certificate: canaries.certificate, principal: canaries.certificate } : {},
        extensions: {
          extension: canaries.extension,
          ...(random.chance(0.3) ? { 'sallyport.decision': random.pick(['envoy', 'envoy', 'unknown']) } : {}),
        },
        attributes: {
          metadataContext: { filterMetadata: { m: { fields: { k: { stringValue: canaries.metadata } } } } },
        },
      }),
    );
  const askHttp = ({ path, headers, body }: HostileRequest): Promise<unknown> =>
    ask(service.port('ext_authz_http'), { method: 'POST', path: `/ext-authz${path}`, headers, body });
  try {
    for (let done = 0; done < count; done += 16) {
      await Promise.all(Array.from({ length: Math.min(16, count - done) }, (_, index) => one(done + index)));
    }
  } finally {
    client.close();
  }
}

interface HostileRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function hostileRequest(random: Random, canaries: Canaries, authorization: string, mode: string): HostileRequest {
  const body = JSON.stringify({
    model: 'llama-3-8b',
    prompt: `Repeat after me: ${canaries.prompt}`,
    messages: [{ role: 'user', content: canaries.message }],
    ...(random.chance(0.1) ? { max_tokens: canaries.prompt } : {}),
  });
  // A caller may put a credential where it does not belong.
  const [segment, requestId] = [random.chance(0.1), random.chance(0.1)];
  const path = segment ? `/tenant-a/${canaries.apiKey}/infer` : '/tenant-a/llama-3-8b/infer';
  return {
    path: `${path}?key=${canaries.query}&again=${canaries.query}`,
    body,
    headers: {
      ...wholeJsonBody(body),
      authorization,
      'x-api-key': canaries.apiKey,
      cookie: `theme=dark; session=${canaries.cookie}`,
      'proxy-authorization': basic(canaries),
      'x-mode': mode,
      'x-request-id': requestId ? canaries.apiKey : `request-${random.below(1_000)}`,
      ...(random.chance(0.1) ? { traceparent: canaries.apiKey } : {}),
    },
  };
}

function basic({ password }: Canaries): string {
  return `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
}

/** Which canaries a text holds, by runs of twelve characters, in any of the forms that a policy can give them. */
function leaks(place: string, text: string, canaries: Canaries): readonly string[] {
  const lower = text.toLowerCase();
  const all = [...canaries.all(), ...canaries.signatures];
  return all.flatMap((canary, index) => {
    const found = Object.entries(formsOf(canary)).flatMap(([form, runs]) =>
      runs.some((run) => lower.includes(run.toLowerCase())) ? [form] : [],
    );
    const line = (runs: readonly string[]): string =>
      text.split('\n').find((one) => runs.some((run) => one.toLowerCase().includes(run.toLowerCase()))) ?? '';
    return found.map(
      (form) => `${place}: canary ${index} ${form}: ${line(formsOf(canary)[form] ?? []).slice(0, 2_000)}`,
    );
  });
}

function formsOf(canary: string): Readonly<Record<string, readonly string[]>> {
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.from('x'.repeat(offset) + canary).toString('base64url');
    // Without the characters that its neighbours have a part in.
    return encoded.slice(offset === 0 ? 0 : offset + 1, -2);
  });
  return {
    plain: runsOf(canary, 12),
    reversed: runsOf(Array.from(canary).reverse().join(''), 12),
    hex: runsOf(Buffer.from(canary).toString('hex'), 24),
    base64: base64.flatMap((encoded) => runsOf(encoded, 16)),
  };
}

function runsOf(text: string, length: number): readonly string[] {
  return Array.from({ length: Math.max(0, text.length - length + 1) }, (_, at) => text.slice(at, at + length));
}
