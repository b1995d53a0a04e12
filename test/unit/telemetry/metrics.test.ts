import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/decision/ports.ts';
import { createMetrics, type Metrics, withMetrics } from '../../../src/telemetry/metrics.ts';
import { accessRequest, inferRoute, inspected, tenantA } from '../../support/core.ts';
import { allowOutcome, denyOutcome, withConstants } from '../../support/outcome.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const quiet = (): Metrics => createMetrics({ processMetrics: false });

async function series(metrics: Metrics, name: string): Promise<readonly string[]> {
  const text = await metrics.text();
  return text.split('\n').filter((line) => line.startsWith(name));
}

describe('decisions', () => {
  test.each<[string, Outcome, string]>([
    ['an allow', allowOutcome(), 'door="ext_authz_grpc",route="infer",decision="allow",reason="allowed"'],
    [
      'a core code',
      denyOutcome('quota_exceeded'),
      'door="ext_authz_grpc",route="infer",decision="deny",reason="quota_exceeded"',
    ],
    [
      'a reason that is a constant of the policy',
      denyOutcome('policy_denied', { reasons: ['tenant mismatch'] }),
      'door="ext_authz_grpc",route="infer",decision="deny",reason="tenant mismatch"',
    ],
    [
      'a reason that is made of something else',
      denyOutcome('policy_denied', { reasons: ['secret of the caller'] }),
      'door="ext_authz_grpc",route="infer",decision="deny",reason="policy_denied"',
    ],
    [
      'a policy that gave no reason',
      denyOutcome('policy_denied'),
      'door="ext_authz_grpc",route="infer",decision="deny",reason="policy_denied"',
    ],
    [
      'an unknown route',
      denyOutcome('unknown_route', { inspected: inspected({ route: null }) }),
      'door="ext_authz_grpc",route="none",decision="deny",reason="unknown_route"',
    ],
    [
      'a refusal on a known route',
      denyOutcome('payload_too_large', {
        inspected: { kind: 'refused', code: 'payload_too_large', cause: '', dependsOnRoute: true, route: 'infer' },
      }),
      'door="ext_authz_grpc",route="infer",decision="deny",reason="payload_too_large"',
    ],
  ])('are counted by door, route and reason: %s', async (_, outcome, labels) => {
    const metrics = quiet();
    metrics.countDecision(outcome);
    metrics.countDecision(outcome);
    expect(await series(metrics, 'sallyport_decisions_total')).toEqual([`sallyport_decisions_total{${labels}} 2`]);
  });

  test('an unreadable request is counted by its door', async () => {
    const metrics = quiet();
    const { inspected: _, ...outcome } = denyOutcome('malformed_request', {
      request: { door: 'ext_authz_http', unreadable: { code: 'malformed_request', cause: 'no http block' } },
    });
    metrics.countDecision(outcome);
    expect(await series(metrics, 'sallyport_decisions_total')).toEqual([
      'sallyport_decisions_total{door="ext_authz_http",route="none",decision="deny",reason="malformed_request"} 1',
    ]);
  });

  test('durations are cumulative by bucket, in seconds, with sum and count', async () => {
    const metrics = quiet();
    for (const decide of [0.009, 0.02, 30, 5_000, -1]) metrics.countDecision(allowOutcome({ phaseMs: { decide } }));
    const lines = await series(metrics, 'sallyport_decision_duration_seconds');
    const of = (suffix: string): string | undefined => lines.find((line) => line.includes(suffix))?.split('} ')[1];
    expect(lines.filter((line) => line.includes('phase="decide"') && line.includes('_bucket'))).toHaveLength(17);
    expect(of('_bucket{door="ext_authz_grpc",phase="decide",le="0.00001"')).toBe('2');
    expect(of('_bucket{door="ext_authz_grpc",phase="decide",le="0.000025"')).toBe('3');
    expect(of('_bucket{door="ext_authz_grpc",phase="decide",le="0.05"')).toBe('4');
    expect(of('_bucket{door="ext_authz_grpc",phase="decide",le="1"')).toBe('4');
    expect(of('_bucket{door="ext_authz_grpc",phase="decide",le="+Inf"')).toBe('5');
    expect(of('_count{door="ext_authz_grpc",phase="decide"')).toBe('5');
    expect(Number(of('_sum{door="ext_authz_grpc",phase="decide"'))).toBeCloseTo(5.030029, 9);
    expect(of('_count{door="ext_authz_grpc",phase="total"')).toBe('0');
  });

  test('budget overruns, demo decisions and takes are counted', async () => {
    const metrics = quiet();
    metrics.countDecision(allowOutcome({ overBudget: true, principal: { ...tenantA, demo: true } }));
    metrics.countDecision(denyOutcome('quota_exceeded', { quota: { taken: false, limits: {} } }));
    metrics.countDecision(denyOutcome('quota_unavailable', { quota: { taken: false, limits: {} } }));
    expect(await series(metrics, 'sallyport_policy_budget_overruns_total')).toEqual([
      'sallyport_policy_budget_overruns_total 1',
    ]);
    expect(await series(metrics, 'sallyport_demo_decisions_total')).toEqual(['sallyport_demo_decisions_total 1']);
    expect(await series(metrics, 'sallyport_quota_takes_total')).toEqual([
      'sallyport_quota_takes_total{result="taken"} 1',
      'sallyport_quota_takes_total{result="exceeded"} 1',
      'sallyport_quota_takes_total{result="unavailable"} 1',
    ]);
  });

  test('a scrape does not change what the next one reads', async () => {
    const metrics = quiet();
    metrics.countDecision(allowOutcome());
    metrics.decisionStarted('ext_authz_grpc');
    expect(await metrics.text()).toBe(await metrics.text());
  });
});

describe('cardinality', () => {
  test('distinct doors, routes, reasons, issuers and bundles end in a constant number of series', async () => {
    const random = createRandom(seedOf('metric cardinality'));
    const metrics = quiet();
    // Fewer would not fill every label.
    const count = Math.max(25_000, caseCount(100_000));
    const flood = (): void => {
      for (let i = 0; i < count; i += 1) {
        const text = `value ${random.below(2 ** 31)} ${i}`;
        const outcome = denyOutcome('policy_denied', {
          reasons: [text],
          generation: { ...withConstants(), isPolicyConstant: () => true },
          request: accessRequest({ door: text, target: `/${text}` }),
          inspected: inspected({ path: `/${text}`, route: { ...inferRoute, name: text } }),
        });
        metrics.decisionStarted(text);
        metrics.countDecision(outcome);
        metrics.decisionEnded(text);
        if (i % 100 !== 0) continue;
        metrics.jwksRefreshed(text, 'failed');
        metrics.bundleActivated(text, text, i);
        metrics.bundleRefused(text, 'wrong_digest');
      }
    };
    flood();
    const lines = (await metrics.text()).split('\n').length;
    flood();
    expect((await metrics.text()).split('\n').length).toBe(lines);
    expect(lines).toBeLessThan(10_000);
    const counted = (await series(metrics, 'sallyport_decisions_total')).map((line) => Number(line.split('} ')[1]));
    expect(counted.reduce((sum, one) => sum + one, 0)).toBe(2 * count);
    console.info(`metric cardinality: ${2 * count} decisions with distinct labels in ${lines} lines`);
  });

  test('what was seen before the flood keeps its own series', async () => {
    const metrics = createMetrics({ processMetrics: false, bounds: { valuesPerLabel: 3, decisionSeries: 2 } });
    const denied = (reason: string): Outcome =>
      denyOutcome('policy_denied', { reasons: [reason], generation: withConstants('a', 'b', 'c', 'd', 'e') });
    for (const reason of ['a', 'b', 'c', 'd', 'e', 'a']) metrics.countDecision(denied(reason));
    expect((await series(metrics, 'sallyport_decisions_total')).map((line) => line.split('reason=')[1])).toEqual([
      '"a"} 2',
      '"b"} 1',
      '"other"} 3',
    ]);
  });
});

describe('bundles', () => {
  test('only the revision in force has a series', async () => {
    const metrics = quiet();
    metrics.bundleActivated('authz', 'r1', 1_000);
    metrics.bundleActivated('authz', 'r2', 2_000);
    metrics.bundleRefused('authz', 'wrong_digest');
    expect(await series(metrics, 'sallyport_bundle_')).toEqual([
      'sallyport_bundle_activations_total{bundle="authz",result="activated"} 2',
      'sallyport_bundle_activations_total{bundle="authz",result="wrong_digest"} 1',
      'sallyport_bundle_last_activation_timestamp_seconds{bundle="authz"} 2',
      'sallyport_bundle_info{bundle="authz",revision="r2"} 1',
    ]);
  });
});

describe('decision log and keys', () => {
  test('drops, failures, queue length and refreshes are counted', async () => {
    const metrics = quiet();
    metrics.trackDecisionLogQueue(() => 7);
    metrics.decisionLogDropped(3);
    metrics.decisionLogSinkFailed('file');
    metrics.jwksRefreshed('https://issuer.test', 'refreshed');
    expect(await series(metrics, 'sallyport_decision_log_')).toEqual(
      expect.arrayContaining([
        'sallyport_decision_log_dropped_total 3',
        'sallyport_decision_log_sink_failures_total{sink="file"} 1',
        'sallyport_decision_log_queue_length 7',
      ]),
    );
    expect(await series(metrics, 'sallyport_jwks')).toEqual([
      'sallyport_jwks_refresh_total{issuer="https://issuer.test",result="refreshed"} 1',
    ]);
  });

  test('the process metrics of Node are there', async () => {
    expect(await series(createMetrics(), 'process_resident_memory_bytes')).toHaveLength(1);
  });
});

describe('withMetrics', () => {
  test('answers the very outcome and counts requests that are in flight', async () => {
    const metrics = quiet();
    const outcome = allowOutcome();
    let finish = (): void => {};
    const authorize = withMetrics(
      () =>
        new Promise((resolve) => {
          finish = () => resolve(outcome);
        }),
      metrics,
    );
    const answer = authorize(outcome.request);
    const inFlight = 'sallyport_in_flight{door="ext_authz_grpc"}';
    expect(await series(metrics, 'sallyport_in_flight')).toEqual([`${inFlight} 1`]);
    finish();
    expect(await answer).toBe(outcome);
    expect(await series(metrics, 'sallyport_in_flight')).toEqual([`${inFlight} 0`]);
    expect(await series(metrics, 'sallyport_decisions_total')).toHaveLength(1);
  });

  test('a request that ends in an error is no longer in flight', async () => {
    const metrics = quiet();
    const authorize = withMetrics(() => Promise.reject(new Error('bug')), metrics);
    await expect(authorize(accessRequest())).rejects.toThrow('bug');
    expect(await series(metrics, 'sallyport_in_flight')).toEqual(['sallyport_in_flight{door="test"} 0']);
  });

  test('an outcome that cannot be counted is answered all the same', async () => {
    const outcome = denyOutcome('policy_denied', {
      reasons: ['a'],
      generation: {
        ...withConstants(),
        isPolicyConstant: () => {
          throw new Error('broken');
        },
      },
    });
    expect(await withMetrics(() => Promise.resolve(outcome), quiet())(outcome.request)).toBe(outcome);
  });
});
