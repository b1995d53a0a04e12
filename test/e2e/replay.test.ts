import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { parseBundle } from '../../src/bundle/bundle.ts';
import type { Trial } from '../../src/cli/trial.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Generation, Outcome } from '../../src/decision/ports.ts';
import { createRedecide } from '../../src/decision/trial.ts';
import { createWriteEvent } from '../../src/decision-log/event.ts';
import { exitCodeOf } from '../../src/main.ts';
import { openTrial } from '../../src/open-trial.ts';
import { createQuotas } from '../../src/quota/quotas.ts';
import type { Impact } from '../../src/replay/impact.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { runCaptured } from '../support/captured-io.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { drawCaller, drawRequest } from '../support/replay-traffic.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { ROOT } from '../support/tools.ts';

/** What the shipped policies read beside the defaults, none of it secret, as far as it can be logged at all. */

/** Fewer need not meet every sort of decision. */
const CASES = Math.max(1_000, caseCount(10_000));
const SHIPPED = join(ROOT, 'bundles/authz.tar.gz');

let folder: string;
let recorded: { readonly outcomes: readonly Outcome[]; readonly trial: Trial; readonly generation: Generation };
let log: string;
let configFile: string;
let close: () => void;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  configFile = join(folder, 'sallyport.yaml');
  // What is logged by default is enough.
  writeFileSync(configFile, readFileSync(join(ROOT, 'sallyport.yaml')));
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
    const paths = impact.not_replayable.map(({ why, path, count }) => `; ${count} ${path} ${why}`).join('');
    console.info(`${decisions} decisions, ${replayable} replayable, ${core} of them refused by the core${paths}`);
    expect(impact.changes).toEqual([]);
    expect({ decisions, changed, equal, code, stderr }).toEqual({
      ...{ decisions: CASES, changed: 0, equal: replayable },
      ...{ code: 0, stderr: '' },
    });
    expect(impact.charges).toEqual([]);
    expect(replayable / decisions).toBeGreaterThanOrEqual(0.95);
    expect(core).toBeLessThan(decisions / 4);
    for (const code of ['allow', 'policy_denied', 'quota_exceeded', 'invalid_credential', 'unknown_route']) {
      expect(recorded.outcomes.filter(({ decision }) => codeOf(decision) === code).length, code).toBeGreaterThan(0);
    }
  });

  test('by another bundle the differences are those that the whole requests show', async () => {
    const { bundle, changes, upstreams, losers } = await changed();
    const { impact, code } = await replay(['--bundle', bundle.file], bundle.log);
    const { reasons: _, ...told } = impact.by_change;
    expect(told).toEqual(Object.fromEntries(changes));
    expect(impact.changed).toBe([...changes.values()].reduce((sum, count) => sum + count, 0));
    expect(code).toBe(1);
    expect(losers).toBeGreaterThan(CASES / 1000);
    expect(upstreams).toBeGreaterThan(CASES / 1000);
  });

  test('against the old bundle another upstream shows too, and what would be charged otherwise', async () => {
    const { bundle, changes, upstreams, charged } = await changed();
    const { impact } = await replay(['--bundle', bundle.file, '--compare-with', SHIPPED], bundle.log);
    const { reasons: _, ...told } = impact.by_change;
    expect(told).toEqual({ ...Object.fromEntries(changes), upstream: upstreams });
    const effects = impact.charges.map(({ limit, tenant, before, after }) => [`${limit} ${tenant}`, before, after]);
    expect(effects.length).toBeGreaterThan(0);
    expect(new Map(effects.map(([key, ...sums]) => [key, sums]))).toEqual(charged);
    const same = await replay(['--bundle', SHIPPED, '--compare-with', SHIPPED, '--expect-unchanged'], bundle.log);
    expect({ changed: same.impact.changed, charges: same.impact.charges, code: same.code }).toEqual({
      ...{ changed: 0, charges: [], code: 0 },
    });
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

/** What the whole requests, of which events hold a part, come to by the changed bundle. */
async function changed(): Promise<Changed> {
  const file = changedBundle();
  const { generation, close: closed } = await recorded.trial.load([parseBundle('authz', readFileSync(file))]);
  const redecide = createRedecide(recorded.trial.tryOnce);
  const changes = new Map<string, number>();
  const sums = new Map<string, readonly [Sum, Sum]>();
  let upstreams = 0;
  for (const outcome of recorded.outcomes) {
    const again = await redecide(outcome, generation);
    const change = again === undefined ? undefined : changeOf(outcome, again);
    if (change !== undefined) changes.set(change, (changes.get(change) ?? 0) + 1);
    else if (again !== undefined && upstreamOf(outcome) !== upstreamOf(again)) upstreams += 1;
    charge(sums, 0, outcome);
    if (again !== undefined) charge(sums, 1, again);
  }
  closed();
  const charged = new Map([...sums].filter(([, [before, after]]) => before.cost !== after.cost));
  const losers = changes.get('allow_to_deny') ?? 0;
  return { bundle: { file, log }, changes, upstreams, losers, charged };
}

interface Changed {
  readonly bundle: { readonly file: string; readonly log: string };
  readonly changes: ReadonlyMap<string, number>;
  readonly upstreams: number;
  readonly losers: number;
  readonly charged: ReadonlyMap<string, readonly [Sum, Sum]>;
}

interface Sum {
  requests: number;
  cost: number;
}

function charge(sums: Map<string, readonly [Sum, Sum]>, side: 0 | 1, outcome: Outcome): void {
  const { decision, plans, quota, principal } = outcome;
  if (decision.kind === 'deny' || quota?.plan === undefined) return;
  for (const { terms } of plans?.[quota.plan] ?? []) {
    const key = `${terms.name} ${principal?.tenant ?? '-'}`;
    const sum: readonly [Sum, Sum] = sums.get(key) ?? [
      { requests: 0, cost: 0 },
      { requests: 0, cost: 0 },
    ];
    sums.set(key, sum);
    sum[side].requests += 1;
    sum[side].cost += terms.cost;
  }
}

function upstreamOf({ decision }: Outcome): string | undefined {
  if (decision.kind === 'deny') return undefined;
  return decision.setHeaders.find(([name]) => name === 'x-sallyport-upstream')?.[1];
}

async function replay(
  flags: readonly string[],
  logs = log,
): Promise<{ readonly impact: Impact; readonly code: number; readonly stderr: string }> {
  const ran = await runCaptured(exitCodeOf, ['replay', '--log', logs, '--config', configFile, '--json', ...flags]);
  // The command wrote an Impact.
  return { impact: JSON.parse(ran.stdout || '{}') as Impact, code: ran.code, stderr: ran.stderr };
}

function codeOf(decision: Outcome['decision']): string {
  return decision.kind === 'allow' ? 'allow' : decision.code;
}

function linesOf(config: Config, outcomes: readonly Outcome[]): readonly string[] {
  const { decision_log, labels } = config;
  const write = createWriteEvent({
    config: decision_log,
    labels,
    instanceId: 'recorded',
    nextSpanId: () => '00000000000000aa',
  });
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
