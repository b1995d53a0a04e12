import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { TakeRequest } from '../../../src/decision/charges.ts';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import { loadRateLimitFiles } from '../../../src/quota/descriptors/ratelimit-files.ts';
import { limitNames } from '../../../src/quota/limit-names.ts';
import { createQuotas } from '../../../src/quota/quotas.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { startSystemTimer, systemClock } from '../../../src/telemetry/system-clock.ts';
import { CONFIG } from './limiter-support.ts';

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-quotas-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function open(config: Partial<QuotaConfig>) {
  const log: { readonly entry: unknown; readonly message: string }[] = [];
  const metrics = createMetrics({ processMetrics: false });
  const quotas = createQuotas({
    config: { ...CONFIG, ...config },
    clock: systemClock,
    startTimer: startSystemTimer,
    metrics: metrics.quota,
    logger: {
      info: (entry, message) => log.push({ entry, message }),
      warn: (entry, message) => log.push({ entry, message }),
      limited: (_key, _level, entry, message) => log.push({ entry, message }),
    },
  });
  return { quotas, log, metrics };
}

function wanting(parts: Readonly<Record<string, unknown>> = {}): TakeRequest {
  const terms = parseChargeTerms({
    name: 'rps',
    key: ['tenant'],
    unit: 'requests',
    kind: 'rate',
    limit: 10,
    per_seconds: 60,
    cost: 1,
    scope: 'tenant',
    ...parts,
  });
  return { plans: [[{ terms, key: ['acme'] }]], holder: 'alice', tenant: 'acme', model: 'llama' };
}

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const redisAt = (port: number): Pick<QuotaConfig, 'store'> => ({
  store: { ...CONFIG.store, kind: 'redis', url: `redis://default:bJ4xQ7wPz2LmT9cV@127.0.0.1:${port}/0` },
});

test('before the start nothing is taken, and after it how a tenant stands is told', async () => {
  const { quotas } = open({});
  expect(await quotas.limiter.take(wanting(), systemClock.now())).toMatchObject({ kind: 'unavailable' });
  await quotas.start();
  onTestFinished(() => quotas.stop());
  expect(await quotas.limiter.take(wanting(), systemClock.now())).toMatchObject({ kind: 'taken' });
  expect(await quotas.quotaOf('acme')).toMatchObject({ status: 200, body: { tenant: 'acme', limits: [{}] } });
  expect(await quotas.quotaOf('nobody')).toEqual({ status: 200, body: { tenant: 'nobody', limits: [] } });
});

test('a Redis that does not answer hinders no start; it is told, and how a tenant stands is a 503', async () => {
  const { quotas, log } = open(redisAt(await deadPort()));
  await quotas.start();
  onTestFinished(() => quotas.stop());
  expect(await quotas.limiter.take(wanting(), systemClock.now())).toMatchObject({ kind: 'unavailable' });
  expect(await quotas.quotaOf('acme')).toEqual({
    status: 503,
    reason: 'store_unreachable',
    detail: 'the quota store does not answer',
  });
  expect(log.map(({ message }) => message)).toEqual(
    expect.arrayContaining(['the quota store', 'the quota store failed']),
  );
  expect(JSON.stringify(log)).not.toContain('bJ4xQ7wPz2LmT9cV');
});

test('a folder that another has is told by an error; nothing stays open, and nothing is written into it', async () => {
  const dataDir = folderOf();
  const first = open({ data_dir: dataDir });
  await first.quotas.start();
  const before = contentsOf(dataDir);
  const second = open({ data_dir: dataDir });
  await expect(second.quotas.start()).rejects.toThrow('is in use by process');
  // As the service does after a start that failed.
  await second.quotas.stop();
  expect(contentsOf(dataDir)).toEqual(before);

  await first.quotas.stop();
  await second.quotas.start();
  await second.quotas.stop();
});

test('a ledger that cannot be had frees the folder of the store again', async () => {
  const dataDir = folderOf();
  const ledgerOnly = open({ ...redisAt(await deadPort()), data_dir: dataDir });
  await ledgerOnly.quotas.start();
  const whole = open({ data_dir: dataDir });
  await expect(whole.quotas.start()).rejects.toThrow('ledger` is in use by process');
  await ledgerOnly.quotas.stop();
  await whole.quotas.start();
  await whole.quotas.stop();
});

test('a limit that only a policy names has no name in the metrics', async () => {
  const { quotas, metrics } = open({});
  await quotas.start();
  onTestFinished(() => quotas.stop());
  quotas.nameLimits(new Set(['rps']));
  for (const name of ['rps', 'secret-of-a-request']) await quotas.limiter.take(wanting({ name }), systemClock.now());
  const text = await metrics.text();
  expect(text).toContain('sallyport_quota_taken_total{limit="rps",unit="requests"} 1');
  expect(text).toContain('sallyport_quota_taken_total{limit="other",unit="requests"} 1');
  expect(text).not.toContain('secret-of-a-request');
});

test('the names of limits are those of the catalog, of the rules for descriptors, and our own', () => {
  const file = join(import.meta.dirname, '../config/limits/edge.yaml');
  const names = limitNames({ limits: { rps: {}, tpm: {} } }, loadRateLimitFiles([file]).table);
  expect([...names].sort()).toEqual(['["edge",["remote_address"]]', 'rps', 'sallyport.holds', 'tpm']);
  expect([...limitNames(undefined, { domains: new Map() })]).toEqual(['sallyport.holds']);
});

function contentsOf(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'latin1')]),
  );
}
