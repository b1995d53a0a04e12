import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { type Reservation, StoreFault } from '../../../src/quota/bucket-store.ts';
import { exportUsage } from '../../../src/quota/ledger/ledger-export.ts';
import { createQuotas, type Quotas } from '../../../src/quota/quotas.ts';
import type { SettleAnswer, SettlementReport } from '../../../src/quota/settlement/settlement-answer.ts';
import { createOpenReservations } from '../../../src/quota/settlement/settlement-expiry.ts';
import { parseOpenText, toOpenText } from '../../../src/quota/settlement/settlement-open-text.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { idOf } from './ledger-fixtures.ts';
import { CONFIG } from './limiter-support.ts';

const TERMS = parseChargeTerms({
  name: 'budget',
  key: ['tenant'],
  unit: 'nano_usd',
  kind: 'window',
  calendar: 'month',
  zone: 'UTC',
  limit: 1e12,
  cost: 1_000_000,
  prices: { input: 1e9, output: 1e9 },
  reserve: { ttl_seconds: 120 },
  scope: 'tenant',
});
const NOTE = JSON.stringify(['acme', ['large'], [[['budget', 3, 1, 1, 1, 1_000_000]]]]);
const USAGE = { input_tokens: 10, output_tokens: 5000 };

let folder: string;
let clock: ManualClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-restart-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  clock = createManualClock({ epochMs: Date.UTC(2026, 10, 2, 12) });
});

/** A process on the memory store, whose counts are gone with it but for its windows. */
async function start(): Promise<Quotas> {
  const quotas = createQuotas({
    config: { ...CONFIG, data_dir: folder },
    clock,
    startTimer: clock.startTimer,
    metrics: createMetrics({ processMetrics: false }).quota,
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
  });
  await quotas.start();
  return quotas;
}

async function take(quotas: Quotas): Promise<string> {
  const plans = [[{ terms: TERMS, key: ['acme'] }]];
  const result = await quotas.limiter.take({ plans, holder: 'alice', tenant: 'acme', model: 'large' }, clock.now());
  const id = result.kind === 'taken' ? result.take?.reservationId : undefined;
  if (id === undefined) throw new Error(`nothing was reserved: ${result.kind}`);
  return id;
}

const outcome = (answer: SettleAnswer) =>
  answer.status === 200 ? `200 ${answer.body.outcome}` : `${answer.status} ${answer.reason}`;

/** What the ledger bills of the budget, and how many reservations it has as what. */
async function billed(): Promise<unknown> {
  const pieces: string[] = [];
  const folders = [join(folder, 'ledger')];
  for await (const piece of exportUsage({ folders, format: 'json', by: ['tenant'] })) pieces.push(piece);
  return JSON.parse(pieces.join(''));
}

describe('calls that are under way in an orderly restart of the memory store', () => {
  test('are billed what they used, once, and those that nobody reports what they held', async () => {
    const first = await start();
    const ids = [await take(first), await take(first), await take(first)] as const;
    await first.stop();
    const second = await start();
    const answer = await second.settlement.settle(ids[0], USAGE);
    expect(answer).toEqual({
      status: 200,
      body: {
        outcome: 'settled',
        reservation_id: ids[0],
        charges: [
          { name: 'budget', unit: 'nano_usd', held: 1_000_000, cost: 5_010_000 },
          { name: 'sallyport.holds', unit: 'requests', held: 1, cost: 1 },
        ],
        ledger: true,
        counted: false,
      },
    });
    expect(outcome(await second.settlement.settle(ids[0], USAGE))).toBe('200 already');
    expect(outcome(await second.settlement.settle(ids[0], { ...USAGE, output_tokens: 1 }))).toBe('409 conflict');
    expect(outcome(await second.settlement.renew(ids[1], 60))).toBe('409 ended');
    // The stop looks at what is over.
    clock.advance((120 + CONFIG.settle_horizon_seconds + 2) * 1000);
    await second.stop();
    expect(await billed()).toEqual([
      {
        tenant: 'acme',
        settled: 1,
        expired: 2,
        input_tokens: 10,
        cached_tokens: 0,
        output_tokens: 5000,
        charges: { 'budget (nano_usd)': 7_010_000 },
      },
    ]);
  });

  test('and were settled before it are known as settled after it', async () => {
    const first = await start();
    const id = await take(first);
    expect(outcome(await first.settlement.settle(id, USAGE))).toBe('200 settled');
    await first.stop();
    const second = await start();
    expect(outcome(await second.settlement.settle(id, USAGE))).toBe('200 already');
    expect(outcome(await second.settlement.settle(id, { ...USAGE, output_tokens: 1 }))).toBe('409 conflict');
    await second.stop();
    expect(await billed()).toMatchObject([{ settled: 1, expired: 0 }]);
  });

  test('are billed over a second restart, and after an outage of a day', async () => {
    const first = await start();
    await take(first);
    await first.stop();
    await (await start()).stop();
    clock.advance(86_400_000);
    const third = await start();
    await third.stop();
    expect(await billed()).toMatchObject([{ expired: 1, charges: { 'budget (nano_usd)': 1_000_000 } }]);
  });

  test('whose file is damaged are no crash, and nothing is made up', async () => {
    const first = await start();
    const id = await take(first);
    await first.stop();
    const path = join(folder, 'ledger', 'open');
    const text = readFileSync(path, 'utf8');
    for (const damaged of [text.slice(0, 30), text.replace('note [', 'note ['.slice(1)), text.replaceAll('"', '')]) {
      writeFileSync(path, damaged);
      const next = await start();
      expect(outcome(await next.settlement.settle(id, USAGE))).toBe('404 unknown');
      await next.stop();
    }
  });
});

test('open reservations are kept as text, each note once', () => {
  const note = NOTE;
  const onExpiry = ['charge', 'release'] as const;
  const entries = [
    { id: idOf(1), expiresMs: 5, onExpiry: ['release' as const] },
    { id: idOf(2), expiresMs: 6, onExpiry, reserved: { plan: 0, note, amounts: [7] } },
    { id: idOf(3), expiresMs: 8, onExpiry, reserved: { plan: 0, note, amounts: [2 ** 53 - 1] } },
  ];
  const text = toOpenText(entries.map(({ id, ...entry }) => [id, entry]));
  expect(text.split(note)).toHaveLength(2);
  expect([...parseOpenText(text)]).toEqual(entries);
});

describe('open reservations', () => {
  const look = vi.fn<(id: string) => Reservation | undefined | Promise<undefined>>();
  const reports: SettlementReport[] = [];
  const openOf = (maxOpen: number) => {
    look.mockReset();
    reports.length = 0;
    return createOpenReservations({
      store: { look },
      ledger: { append: async () => 0 },
      clock,
      horizonSeconds: 900,
      report: (report) => reports.push(report),
      maxOpen,
    });
  };

  test('beyond their number are told of, each', () => {
    const open = openOf(2);
    for (let number = 1; number <= 4; number += 1) open.opened(idOf(number), 5, ['charge']);
    expect(reports).toEqual([{ kind: 'untracked' }, { kind: 'untracked' }]);
    expect([...parseOpenText(open.toText())].map(({ id }) => id)).toEqual([idOf(1), idOf(2)]);
  });

  test('are looked up once in a store that is gone with the process, so many at a time', () => {
    const open = openOf(10);
    for (let number = 1; number <= 5; number += 1) open.opened(idOf(number), 5, ['charge']);
    look.mockReturnValue({ state: 'open', plan: 0, note: NOTE, amounts: [7], expiresMs: 5 });
    open.remember(3);
    open.remember(3);
    open.remember(3);
    expect(look).toHaveBeenCalledTimes(5);
    expect(open.recall(idOf(5))).toEqual({ state: 'open', plan: 0, note: NOTE, amounts: [7], expiresMs: 5 });
  });

  test('are looked up no further in one that answers later, which outlives the process', () => {
    const open = openOf(10);
    for (let number = 1; number <= 5; number += 1) open.opened(idOf(number), 5, ['charge']);
    look.mockReturnValue(Promise.resolve(undefined));
    open.remember(3);
    open.remember(3);
    expect(look).toHaveBeenCalledTimes(1);
  });

  test('whose store fails are kept all the same', () => {
    const open = openOf(10);
    open.opened(idOf(1), 5, ['charge']);
    look.mockImplementation(() => {
      throw new StoreFault('overloaded', 'a lock');
    });
    open.remember(3);
    expect(reports).toMatchObject([{ kind: 'store_failed' }]);
    expect(open.toText()).toBe(`${idOf(1)} 5 charge\n`);
  });
});
