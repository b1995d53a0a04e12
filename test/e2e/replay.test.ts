import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { toAccessRequest } from '../../src/cases/to-access-request.ts';
import type { Trial } from '../../src/cli/trial.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import type { Generation, Outcome } from '../../src/decision/ports.ts';
import type { Authentication, Peer, Principal } from '../../src/decision/principal.ts';
import { createRedecide } from '../../src/decision/trial.ts';
import { createWriteEvent } from '../../src/decision-log/event.ts';
import { DEFAULT_INPUT, inputPathFault } from '../../src/decision-log/loggable.ts';
import { exitCodeOf } from '../../src/main.ts';
import { openTrial } from '../../src/open-trial.ts';
import { createQuotas } from '../../src/quota/quotas.ts';
import type { Impact } from '../../src/replay/impact.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { runCaptured } from '../support/captured-io.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { ROOT } from '../support/tools.ts';

/** What the shipped policies read beside the defaults, none of it secret, as far as it can be logged at all. */
const READ_BY_POLICY = ['identity.models', 'peer.*', 'inference.*'];

const CASES = caseCount(10_000);
const SHIPPED = join(ROOT, 'bundles/authz.tar.gz');

let folder: string;
let recorded: { readonly outcomes: readonly Outcome[]; readonly trial: Trial; readonly generation: Generation };
let log: string;
let configFile: string;
let close: () => void;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  configFile = join(folder, 'sallyport.yaml');
  const input = [...DEFAULT_INPUT, ...READ_BY_POLICY.filter((path) => inputPathFault(path) === undefined)];
  const sections = JSON.stringify({ sinks: [{ stdout: {} }], input });
  const shipped = readFileSync(join(ROOT, 'sallyport.yaml'), 'utf8');
  writeFileSync(configFile, shipped.replace(/^decision_log:\n(?: .*\n)+/m, `decision_log: ${sections}\n`));
  const config = loadConfig(configFile, {});
  const trial = openTrial(config);
  const { generation, close: closed } = await trial.load([parseBundle('authz', readFileSync(SHIPPED))]);
  close = closed;
  recorded = { trial, generation, outcomes: await decideMany(config, trial, generation) };
  log = join(folder, 'decisions.log');
  writeFileSync(log, linesOf(config, recorded.outcomes).join(''));
});

afterAll(() => {
  close();
  rmSync(folder, { recursive: true, force: true });
});

describe(`replay of ${CASES} decisions`, () => {
  test('on the logged revision everything replayable is equal, and at least 95 % is replayable', async () => {
    const { impact, code, stderr } = await replay(['--bundle', SHIPPED]);
    const { decisions, replayable, changed, equal, core } = impact;
    console.info(impact.not_replayable);
    console.info(`${decisions} decisions, ${replayable} replayable, ${core} of them refused by the core`);
    expect(impact.changes).toEqual([]);
    expect({ decisions, changed, equal, code, stderr }).toEqual({
      ...{ decisions: CASES, changed: 0, equal: replayable },
      ...{ code: 0, stderr: '' },
    });
    expect(impact.charges).toEqual([]);
    expect(replayable / decisions).toBeGreaterThanOrEqual(0.95);
    expect(core).toBeLessThan(decisions / 4);
  });

  test('by another bundle the differences are those that the whole requests show', async () => {
    const bundle = changedBundle();
    const { generation, close: closeChanged } = await recorded.trial.load([parseBundle('authz', readFileSync(bundle))]);
    const { impact, code } = await replay(['--bundle', bundle]);
    const redecide = createRedecide(recorded.trial.tryOnce);
    const expected = new Map<string, number>();
    let losers = 0;
    for (const outcome of recorded.outcomes) {
      const again = await redecide(outcome, generation);
      const change = again === undefined ? undefined : changeOf(outcome, again);
      if (change !== undefined) expected.set(change, (expected.get(change) ?? 0) + 1);
      if (change === 'allow_to_deny') losers += 1;
    }
    closeChanged();
    const { reasons: _, upstream: __, ...told } = impact.by_change;
    expect(told).toEqual(Object.fromEntries(expected));
    expect(losers).toBeGreaterThan(CASES / 1000);
    expect(code).toBe(1);
    for (const { change, to } of impact.changes) {
      if (change === 'allow_to_deny') expect(to).toMatch(/^deny (?:403 policy_denied|404 unknown_route|413|429)/);
    }
  });

  test('against the old bundle another upstream shows, and the charges that would be others', async () => {
    const bundle = changedBundle();
    const { impact } = await replay(['--bundle', bundle, '--compare-with', SHIPPED]);
    const expected = recorded.outcomes.filter(
      ({ decision, inspected }) =>
        decision.kind === 'allow' && inspected?.kind === 'inspected' && inspected.route?.model === 'llama-3-8b',
    );
    expect(impact.by_change['upstream']).toBeGreaterThan(0);
    expect(impact.by_change['upstream']).toBeLessThanOrEqual(expected.length);
    const same = await replay(['--bundle', SHIPPED, '--compare-with', SHIPPED, '--expect-unchanged']);
    expect(same.impact.changed).toBe(0);
    expect(impact.charges.length).toBeGreaterThan(0);
  });

  test('a log that is compressed, read twice, mixed and damaged gives the same', async () => {
    const lines = readFileSync(log, 'utf8').split('\n').slice(0, 200);
    const compressed = join(folder, 'again.log.gz');
    writeFileSync(compressed, gzipSync(lines.map((line) => `${line}\n`).join('')));
    const mixed = join(folder, 'mixed.log');
    const torn = lines[0]?.slice(0, 100) ?? '';
    writeFileSync(mixed, `{"level":"info","message":"listening"}\nplain text\n${torn}\n${lines.join('\n')}\n${torn}`);
    const { impact } = await replay(['--bundle', SHIPPED], `${compressed},${mixed}`);
    expect(impact.lines).toMatchObject({ other: 2, damaged: 2, duplicates: lines.length });
    expect(impact.decisions).toBe(lines.length);
    expect(impact.changed).toBe(0);
  });
});

async function replay(
  flags: readonly string[],
  logs = log,
): Promise<{ readonly impact: Impact; readonly code: number; readonly stderr: string }> {
  const ran = await runCaptured(exitCodeOf, ['replay', '--log', logs, '--config', configFile, '--json', ...flags]);
  // The command wrote an Impact.
  return { impact: JSON.parse(ran.stdout || '{}') as Impact, code: ran.code, stderr: ran.stderr };
}

function linesOf(config: Config, outcomes: readonly Outcome[]): readonly string[] {
  const { decision_log: log, labels } = config;
  const write = createWriteEvent({ config: log, labels, instanceId: 'recorded', nextSpanId: () => '00000000000000aa' });
  return outcomes.map((outcome, index) => write(outcome, index + 1).line);
}

/** Who is not allowed any more, what goes elsewhere, what costs more: in the data alone. */
function changedBundle(): string {
  const files = new Map<string, Uint8Array>(readArchive(readFileSync(SHIPPED)));
  // The shipped data has this shape.
  const data = JSON.parse(new TextDecoder().decode(files.get('data.json'))) as {
    catalog: {
      routes: { name: string; max_bytes?: number }[];
      models: Record<string, { grants: Record<string, unknown>; upstreams: Record<string, string> }>;
      limits: Record<string, { size: unknown }>;
    };
  };
  const { routes, models, limits } = data.catalog;
  const [mistral, llama] = [models['mistral-7b'], models['llama-3-8b']];
  const rate = limits['client-rps'];
  if (mistral === undefined || llama === undefined || rate === undefined) throw new Error('the shipped data is other');
  mistral.grants['chat'] = [{ tiers: ['internal'] }];
  llama.upstreams['tenant-b'] = 'elsewhere';
  rate.size = { by_tier: { free: 10, premium: 3, internal: 100 } };
  for (const route of routes) if (route.name === 'infer') route.max_bytes = 60_000;
  files.set('data.json', new TextEncoder().encode(JSON.stringify(data)));
  const file = join(folder, 'changed.tar.gz');
  writeFileSync(file, packArchive(files));
  return file;
}

function changeOf({ decision: before }: Outcome, { decision: after }: Outcome): string | undefined {
  if (before.kind === 'allow') return after.kind === 'allow' ? undefined : 'allow_to_deny';
  if (after.kind === 'allow') return 'deny_to_allow';
  return before.code === after.code && before.status === after.status ? undefined : 'status';
}

/** The shipped bundle, the real core and limiter, and a clock that goes on a little with each request. */
async function decideMany(config: Config, trial: Trial, generation: Generation): Promise<readonly Outcome[]> {
  const random = createRandom(seedOf('replay'));
  const clock = createManualClock();
  const quotas = createQuotas({
    config: config.quota,
    clock,
    startTimer: clock.startTimer,
    metrics: createMetrics({ processMetrics: false }).quota,
    logger: createLogger({ level: 'silent' }),
  });
  await quotas.start();
  const outcomes: Outcome[] = [];
  for (let index = 0; index < CASES; index += 1) {
    clock.advance(random.below(20));
    const given = { request: drawRequest(random), authentication: drawCaller(random), at: clock.now() };
    const decisionId = `decision-${index}`;
    outcomes.push(await trial.tryOnce({ ...given, quota: quotas.limiter, decisionId }, generation));
  }
  await quotas.stop();
  return outcomes;
}

function drawCaller(random: Random): Authentication {
  const peer = random.chance(0.2) ? drawPeer(random) : null;
  const drawn = random.next();
  if (drawn < 0.03) return { kind: 'refused', code: 'invalid_credential', cause: 'expired' };
  if (drawn < 0.1) return { kind: 'anonymous', peer, stripHeaders: [] };
  const isKey = drawn < 0.3;
  const principal: Principal = {
    kind: isKey ? 'api_key' : 'jwt',
    subject: `user-${random.below(40)}`,
    ...(isKey ? { keyId: `key-${random.below(40)}` } : { issuer: 'https://issuer.test' }),
    ...(isKey && random.chance(0.5) ? { models: [random.pick(['llama-3-8b', 'mistral-7b'])] } : {}),
    tenant: random.pick(['tenant-a', 'tenant-a', 'tenant-b', 'tenant-c']),
    ...(random.chance(0.03) ? {} : { tier: random.pick(['free', 'premium', 'internal']) }),
    roles: random.chance(0.3) ? ['batch'] : [],
    scopes: [],
    claims: { team: 'research' },
    credentials: [],
    demo: false,
  };
  return { kind: 'verified', principal, peer, stripHeaders: [] };
}

function drawPeer(random: Random): Peer {
  const kind = random.below(3);
  if (kind === 0) {
    return { spiffeId: 'spiffe://mesh.test/ns/a/sa/gateway', trustDomain: 'mesh.test', dnsSans: ['gateway.test'] };
  }
  return kind === 1 ? { dnsSans: ['batch.test'] } : { dnsSans: [], subject: 'CN=batch,O=test' };
}

function drawRequest(random: Random): AccessRequest {
  const model = random.pick(['llama-3-8b', 'mistral-7b', 'gpt-unknown']);
  const tenant = random.pick(['tenant-a', 'tenant-b']);
  const drawn = random.next();
  if (drawn < 0.45) return toRequest(random, 'POST', '/v1/chat/completions', chatBody(random, model));
  if (drawn < 0.85) return toRequest(random, 'POST', `/${tenant}/${model}/infer`, infer(random));
  if (drawn < 0.88) return toRequest(random, 'GET', `/${tenant}/${model}/infer`, '');
  if (drawn < 0.93) return toRequest(random, 'OPTIONS', '/v1/chat/completions', '');
  if (drawn < 0.95) return toRequest(random, 'POST', '/no/such', '');
  if (drawn < 0.97) return toRequest(random, 'POST', `/${tenant}/../${model}/infer`, '');
  return toRequest(random, 'POST', '/v1/chat/completions', '{"model":');
}

function chatBody(random: Random, model: string): string {
  return JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'x'.repeat(random.below(4_000)) }],
    ...(random.chance(0.5) ? { max_tokens: 1 + random.below(9_000) } : {}),
    ...(random.chance(0.2) ? { n: 1 + random.below(4) } : {}),
    ...(random.chance(0.3) ? { stream: random.chance(0.5) } : {}),
  });
}

function infer(random: Random): string {
  return random.chance(0.05) ? 'x'.repeat(59_000 + random.below(8_000)) : '{"prompt":"hello"}';
}

function toRequest(random: Random, method: string, target: string, text: string): AccessRequest {
  const body = new TextEncoder().encode(text);
  return toAccessRequest({
    door: 'ext_authz_grpc',
    method,
    target,
    host: 'gateway.test',
    scheme: 'https',
    headers: [
      ...(text === '' ? [] : [['content-type', 'application/json'] as const]),
      ...(method === 'OPTIONS' && random.chance(0.8)
        ? [['origin', 'https://app.test'] as const, ['access-control-request-method', 'POST'] as const]
        : []),
    ],
    body,
    complete: true,
    declaredLength: body.length,
    address: `192.0.2.${1 + random.below(60)}`,
  });
}
