import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { createDecider, type Decider } from '../../src/decider.ts';
import type { Outcome } from '../../src/decision/ports.ts';
import type { Principal } from '../../src/decision/principal.ts';
import { createHealth } from '../../src/telemetry/health.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { buildCatalogBundle } from '../support/catalog-bundle.ts';
import { accessRequest, tenantA, verified } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { toServiceConfig } from '../support/service.ts';
import { startValkey } from '../support/valkey.ts';

/**
 * SECURITY row 15, its second half: metering is complete. The shipped decision never looks at `input.quota`, and still
 * nothing passes that was not charged every limit which the route requires.
 */
const REQUIRED = ['client-day', 'endpoint-day', 'bytes-day'] as const;
const CLIENTS = 12;
const OF_CLIENT = 40;
/** Less than the clients may have together. */
const OF_ENDPOINT = 300;
const BODY = 7;

describeWith(['opa', 'valkey'], 'every allowed request was charged every required limit', () => {
  test.each(['memory', 'redis'] as const)('in the store %s', async (kind) => {
    const valkey = kind === 'redis' ? await startValkey() : undefined;
    const store = valkey === undefined ? { kind } : { kind, url: valkey.url, cold_start_seconds: 0 };
    const { decider, principalOf, close } = await open({ store, deadline_ms: 5_000 });
    try {
      const random = createRandom(seedOf(`complete metering, ${kind}`));
      const allowed = new Map<number, number>();
      const count = Math.max(2 * OF_ENDPOINT, caseCount(kind === 'memory' ? 10_000 : 3_000));
      for (let asked = 0; asked < count; asked += 50) {
        const clients = Array.from({ length: 50 }, () => random.below(CLIENTS));
        const outcomes = await Promise.all(clients.map((client) => ask(decider, principalOf, client)));
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome.decision.kind === 'deny') {
            expect(outcome.decision.code).toBe('quota_exceeded');
            continue;
          }
          expect(outcome.quota?.taken).toBe(true);
          for (const name of REQUIRED)
            expect(outcome.quota?.limits[name]).toMatchObject({ verified: true, exceeded: false });
          const client = clients[index] ?? 0;
          allowed.set(client, (allowed.get(client) ?? 0) + 1);
        }
      }
      const total = [...allowed.values()].reduce((sum, one) => sum + one, 0);
      console.info(`row 15, ${kind}: ${count} requests, ${total} allowed, ${OF_ENDPOINT} may be, over by 0`);
      expect(total).toBe(OF_ENDPOINT);
      expect(Math.max(...allowed.values())).toBeLessThanOrEqual(OF_CLIENT);
      const answer = await decider.quotas.quotaOf('tenant-a');
      const used = answer.status === 200 ? answer.body.limits : [];
      const left = (name: string): number[] =>
        used.filter((bucket) => bucket.name === name).map(({ state }) => state.limit - state.remaining);
      // What tenants share is told to none of them.
      expect(left('endpoint-day')).toEqual([]);
      expect(left('bytes-day')).toEqual([total * BODY]);
      expect(left('client-day').reduce((sum, one) => sum + one, 0)).toBe(total);
    } finally {
      await close();
      await valkey?.remove();
    }
  });
});

async function ask(decider: Decider, principalOf: (client: number) => void, client: number): Promise<Outcome> {
  // Read in the same turn, before anything is awaited.
  principalOf(client);
  return decider.authorize(
    accessRequest({
      target: '/tenant-a/llama-3-8b/infer',
      sourceAddress: '10.0.0.1',
      body: { bytes: new Uint8Array(BODY), complete: true },
    }),
  );
}

async function open(quota: Readonly<Record<string, unknown>>) {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-metering-'));
  const bundle = await buildCatalogBundle((catalog) => {
    const day = { unit: 'requests', kind: 'window', per_seconds: 31_622_400, cost: 'request', scope: 'tenant' };
    catalog['limits'] = {
      'client-day': { ...day, key: ['principal'], size: OF_CLIENT },
      'endpoint-day': { ...day, key: ['route'], scope: 'shared', size: OF_ENDPOINT },
      'bytes-day': { ...day, key: ['tenant'], unit: 'bytes', cost: 'body_bytes', size: 1_000_000 },
    };
    for (const route of catalog.routes) if (route['name'] === 'infer') route['limits'] = [...REQUIRED];
  });
  const config = {
    ...(await toServiceConfig({ bundleFile: bundle.file })),
    quota: { refusals: { limit: 1_000_000_000 }, ...quota },
  };
  let principal: Principal = tenantA;
  const decider = createDecider(
    parseConfig(join(folder, 'sallyport.yaml'), stringify(config), {}),
    {
      metrics: createMetrics({ processMetrics: false }),
      health: createHealth(),
      logger: createLogger({ level: 'silent' }),
      instanceId: 'test',
    },
    { authenticate: () => verified(principal) },
  );
  await decider.start();
  return {
    decider,
    principalOf: (client: number): void => {
      principal = { ...tenantA, subject: `client-${client}` };
    },
    close: async () => {
      await decider.stop();
      bundle.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
