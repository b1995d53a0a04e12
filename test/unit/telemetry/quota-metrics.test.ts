import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createQuotaMetrics, type QuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';

function quotaMetrics(values = 200): { metrics: QuotaMetrics; lines: (name: string) => Promise<readonly string[]> } {
  const registry = new Registry();
  return {
    metrics: createQuotaMetrics(registry, values),
    lines: async (name) => (await registry.metrics()).split('\n').filter((line) => line.startsWith(name)),
  };
}

describe('quota metrics', () => {
  test('add up what is counted of a limit, whoever counts it', async () => {
    const { metrics, lines } = quotaMetrics();
    metrics.limit('rps', 'requests').taken += 3;
    metrics.limit('rps', 'requests').taken += 4;
    metrics.limit('rps', 'tokens').enforced += 2;
    metrics.limit('rps', 'requests').enforced += 1;
    expect(await lines('sallyport_quota_taken_total')).toEqual([
      'sallyport_quota_taken_total{limit="rps",unit="requests"} 7',
      'sallyport_quota_taken_total{limit="rps",unit="tokens"} 0',
    ]);
    expect(await lines('sallyport_quota_exhausted_total')).toEqual([
      'sallyport_quota_exhausted_total{limit="rps",mode="enforce"} 3',
      'sallyport_quota_exhausted_total{limit="rps",mode="shadow"} 0',
    ]);
  });

  test('tell the lowest ratio and the most held since the last scrape, and keep telling it until more is seen', async () => {
    const { metrics, lines } = quotaMetrics();
    const counts = metrics.limit('rps', 'requests');
    expect(await lines('sallyport_quota_remaining_ratio')).toEqual([]);
    counts.lowestRatio = 0.25;
    counts.mostHeld = 7;
    for (let scrape = 0; scrape < 2; scrape += 1) {
      expect(await lines('sallyport_quota_remaining_ratio')).toEqual([
        'sallyport_quota_remaining_ratio{limit="rps"} 0.25',
      ]);
      expect(await lines('sallyport_quota_held')).toEqual(['sallyport_quota_held{limit="rps"} 7']);
    }
    counts.lowestRatio = 0.75;
    counts.mostHeld = 0;
    expect(await lines('sallyport_quota_remaining_ratio')).toEqual([
      'sallyport_quota_remaining_ratio{limit="rps"} 0.75',
    ]);
    expect(await lines('sallyport_quota_held')).toEqual(['sallyport_quota_held{limit="rps"} 0']);
  });

  test('count what the store did not do, and how long it took for the rest', async () => {
    const { metrics, lines } = quotaMetrics();
    metrics.storeAnswered(0.002);
    metrics.storeFailed('take', 'cold');
    metrics.deniedPerhapsCharged();
    metrics.refusedFromCache();
    expect(await lines('sallyport_quota_store_latency_seconds_count')).toEqual([
      'sallyport_quota_store_latency_seconds_count 1',
    ]);
    expect(await lines('sallyport_quota_store_latency_seconds_bucket{le="0.0025"}')).toEqual([
      'sallyport_quota_store_latency_seconds_bucket{le="0.0025"} 1',
    ]);
    expect(await lines('sallyport_quota_store_failures_total')).toEqual([
      'sallyport_quota_store_failures_total{operation="take",reason="cold"} 1',
    ]);
    expect(await lines('sallyport_quota_denied_perhaps_charged_total')).toEqual([
      'sallyport_quota_denied_perhaps_charged_total 1',
    ]);
    expect(await lines('sallyport_quota_cached_refusals_total')).toEqual(['sallyport_quota_cached_refusals_total 1']);
  });

  test('have a bounded number of series, whatever limits there are', async () => {
    const { metrics, lines } = quotaMetrics(3);
    for (let limit = 0; limit < 1000; limit += 1) metrics.limit(`limit ${limit}`, 'requests').taken += 1;
    expect(await lines('sallyport_quota_taken_total')).toEqual([
      'sallyport_quota_taken_total{limit="limit 0",unit="requests"} 1',
      'sallyport_quota_taken_total{limit="limit 1",unit="requests"} 1',
      'sallyport_quota_taken_total{limit="limit 2",unit="requests"} 1',
      'sallyport_quota_taken_total{limit="other",unit="requests"} 997',
    ]);
  });

  test('are among those of the service', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.quota.limit('rps', 'requests').taken += 1;
    expect(await metrics.text()).toContain('sallyport_quota_taken_total{limit="rps",unit="requests"} 1');
  });
});
