import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { Charge, LimitState, TakeResult } from '../../../src/decision/charges.ts';
import { type QuotaConfig, quotaConfigSchema } from '../../../src/quota/config.ts';
import { exportUsage } from '../../../src/quota/ledger/ledger-export.ts';
import { createQuotas, type Quotas } from '../../../src/quota/quotas.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/programs.ts';
import { openScenario } from '../../support/scenario.ts';
import { createRandom, type Random, seedOf } from '../../support/seed.ts';

/**
 * What cannot be shown with servers that count by the real clock: the same limits out of the scenario's catalog, the same
 * limiter, store, settlement and ledger, on a clock that the test moves.
 */
const CATALOG = JSON.parse(openScenario('token-budget').text('catalog/data.json'));
const CONFIG: QuotaConfig = {
  store: {
    kind: 'memory',
    max_buckets: 1024,
    max_outsider_buckets: 1024,
    max_reservations: 4096,
    key_prefix: 'sallyport:',
    cold_start_seconds: 60,
  },
  deadline_ms: 50,
  settle_horizon_seconds: quotaConfigSchema.properties.settle_horizon_seconds.default,
  max_holds_per_principal: quotaConfigSchema.properties.max_holds_per_principal.default,
  failure: { local_share: 0.5, replicas: 1, allow: false },
  lease_batch: 0,
  learning: { enabled: true, max_entries: 100 },
  refusals: { limit: 300, per_seconds: 60, max_entries: 100 },
};
const PROMPT = 40;
const MINUTES = 5;
const BUDGET = 20_000_000_000;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe('a reservation over midnight', () => {
  test.each([
    ['less than was held', 900],
    ['more than was held', 9000],
  ])('belongs to the day on which its call began, also when it used %s', async (_what, output) => {
    const { clock, quotas, take, standing, rows } = await createWorld({ startMs: Date.UTC(2026, 11, 31, 23, 59, 50) });
    const id = await take(['budget', 'tokens-per-month'], 4000);
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET - moneyOf(4000), held: moneyOf(4000) });

    clock.advance(20_000);
    // A new day, and a new month.
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET, held: 0 });
    expect(await quotas.settlement.settle(id, toUsage(output))).toMatchObject({ body: { outcome: 'settled' } });
    expect(await quotas.settlement.settle(id, toUsage(output))).toMatchObject({ body: { outcome: 'already' } });
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET, held: 0 });
    expect(await standing('tokens-per-month')).toMatchObject({ remaining: 10_000_000, held: 0 });

    const next = await take(['budget', 'tokens-per-month'], 4000);
    expect(await quotas.settlement.settle(next, toUsage(100))).toMatchObject({ body: { outcome: 'settled' } });
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET - moneyOf(100), held: 0 });
    // The bill says so too.
    expect(await rows()).toEqual([billed('2026-12-31', output), billed('2027-01-01', 100)]);
  });
});

describe('a call of which nobody tells the end', () => {
  test('is charged what was held, is in the bill, and cannot be reported any more', async () => {
    const { clock, quotas, take, standing, rows } = await createWorld({ startMs: Date.UTC(2026, 11, 1, 12) });
    const id = await take(['budget', 'tokens-per-month'], 4000);
    clock.advance(121_000);
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET - moneyOf(4000), held: 0 });
    clock.advance(CONFIG.settle_horizon_seconds * 1000);
    expect(await quotas.settlement.settle(id, toUsage(10))).toMatchObject({ status: 410, reason: 'late' });
    expect(await standing('budget')).toMatchObject({ remaining: BUDGET - moneyOf(4000), held: 0 });
    // Its end is written down in one of the next seconds.
    const found = await eventually(async () => {
      clock.advance(1000);
      const all = await rows();
      return all.length > 0 ? all : undefined;
    });
    expect(found).toEqual([
      {
        ...{ tenant: 'acme', model: 'large', day: '2026-12-01', settled: 0, expired: 1 },
        ...{ input_tokens: 0, cached_tokens: 0, output_tokens: 0 },
        charges: { 'budget (nano_usd)': moneyOf(4000), 'tokens-per-month (tokens)': PROMPT + 4000 },
      },
    ]);
  });
});

describe('90,000 tokens a minute, of calls that ask for 4,096, take 30 s and use about 300', () => {
  test('are usable to 80 % after 100 calls, because reservations are cut to what such calls use', async () => {
    const random = createRandom(seedOf('played minutes'));
    const learned = await play(random, true);
    const unlearned = await play(random, false);
    console.info(
      `tokens used in a minute after 100 calls: ${learned.perMinute} with learning (${percent(learned)}), ` +
        `${unlearned.perMinute} without (${percent(unlearned)}); held for one call: ${learned.held}, ${unlearned.held}`,
    );
    expect(learned.perMinute).toBeGreaterThanOrEqual(0.8 * 90_000);
    // And the limit holds: what refills in that time, and what the bucket holds at once.
    expect(learned.perMinute * MINUTES).toBeLessThanOrEqual((MINUTES + 1) * 90_000);
    expect(unlearned.perMinute).toBeLessThan(0.2 * 90_000);
  });

  /** Calls as many as are let pass; counts what those of some minutes used, the first after 100 calls have ended. */
  async function play(random: Random, learning: boolean): Promise<Played> {
    const { clock, quotas, tryTake } = await createWorld({ startMs: Date.UTC(2026, 11, 1, 12), learning });
    const underWay: { readonly id: string; readonly endMs: number; readonly output: number }[] = [];
    let ended = 0;
    let fromMs = Number.POSITIVE_INFINITY;
    let used = 0;
    let held = 0;
    while (clock.now().epochMs < fromMs + MINUTES * 60_000) {
      const nowMs = clock.now().epochMs;
      while ((underWay[0]?.endMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
        const call = underWay.shift();
        if (call === undefined) break;
        const answer = await quotas.settlement.settle(call.id, toUsage(call.output));
        expect(answer.status).toBe(200);
        ended += 1;
        if (ended === 100) fromMs = nowMs;
      }
      for (;;) {
        const result = await tryTake(['tokens-per-minute'], 4096);
        if (result.kind !== 'taken') break;
        const output = 210 + random.below(101);
        if (nowMs >= fromMs) used += PROMPT + output;
        underWay.push({ id: result.take?.reservationId ?? '', endMs: nowMs + 30_000, output });
        held = Math.round((result.state.limits['tokens-per-minute']?.held ?? 0) / underWay.length);
      }
      clock.advance(50);
    }
    return { perMinute: Math.round(used / MINUTES), held };
  }
});

interface Played {
  readonly perMinute: number;
  readonly held: number;
}

const percent = ({ perMinute }: Played): string => `${Math.round((perMinute / 90_000) * 100)} %`;

interface World {
  readonly clock: ManualClock;
  readonly quotas: Quotas;
  /** Takes what the policy would charge for these limits and so many tokens of output; answers the reservation. */
  readonly take: (limits: readonly string[], output: number) => Promise<string>;
  readonly tryTake: (limits: readonly string[], output: number) => Promise<TakeResult>;
  readonly standing: (limit: string) => Promise<LimitState | undefined>;
  /** The bill by tenant, model and day. */
  readonly rows: () => Promise<readonly object[]>;
}

/** A clock that stands, and all that counts; without `learning` said there is a ledger too. */
async function createWorld({ startMs, learning }: { startMs: number; learning?: boolean }): Promise<World> {
  const clock = createManualClock({ epochMs: startMs });
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-played-'));
  open.push(() => rm(folder, { recursive: true, force: true }));
  const quotas = createQuotas({
    config: {
      ...CONFIG,
      learning: { ...CONFIG.learning, enabled: learning ?? true },
      ...(learning === undefined ? { data_dir: folder } : {}),
    },
    clock,
    startTimer: clock.startTimer,
    metrics: createQuotaMetrics(new Registry(), 100),
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
  });
  await quotas.start();
  open.push(() => quotas.stop());
  const tryTake = async (limits: readonly string[], output: number): Promise<TakeResult> =>
    quotas.limiter.take(
      {
        plans: [limits.map((name) => chargeOf(name, output))],
        ...{ holder: 'alice', tenant: 'acme', model: 'large' },
      },
      clock.now(),
    );
  return {
    clock,
    quotas,
    tryTake,
    take: async (limits, output) => {
      const result = await tryTake(limits, output);
      if (result.kind !== 'taken') throw new Error(`the take was ${result.kind}`);
      return result.take?.reservationId ?? '';
    },
    standing: async (limit) => {
      const answer = await quotas.quotaOf('acme');
      return answer.status === 200 ? answer.body.limits.find(({ name }) => name === limit)?.state : undefined;
    },
    rows: async () => {
      let text = '';
      const options = { folders: [join(folder, 'ledger')], format: 'json', by: ['tenant', 'model', 'day'] } as const;
      for await (const piece of exportUsage(options)) text += piece;
      return JSON.parse(text);
    },
  };
}

/** A limit of the catalog as `policies/limits` charges it. */
function chargeOf(name: string, output: number): Charge {
  const { key, size, reserve, ...terms } = CATALOG.limits[name];
  const isMoney = terms.unit === 'nano_usd';
  const cost = isMoney ? moneyOf(output) : PROMPT + output;
  return {
    terms: parseChargeTerms({
      ...terms,
      name,
      key,
      limit: size.by_tier.business,
      cost,
      reserve: { ...reserve, at_least: isMoney ? moneyOf(0) : PROMPT },
      ...(isMoney ? { prices: CATALOG.prices.large } : {}),
    }),
    key: key.map((dimension: string) => (dimension === 'model' ? 'large' : 'acme')),
  };
}

/** What the model's answer says that it used. */
function toUsage(output: number): object {
  return { prompt_tokens: PROMPT, completion_tokens: output, total_tokens: PROMPT + output };
}

/** In nano-USD: 3 and 15 dollars for a million tokens. */
function moneyOf(output: number): number {
  return PROMPT * 3000 + output * 15_000;
}

function billed(day: string, output: number): object {
  return {
    ...{ tenant: 'acme', model: 'large', day, settled: 1, expired: 0 },
    ...{ input_tokens: PROMPT, cached_tokens: 0, output_tokens: output },
    charges: { 'budget (nano_usd)': moneyOf(output), 'tokens-per-month (tokens)': PROMPT + output },
  };
}
