import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { createDecider } from '../../src/decider.ts';
import type { Outcome } from '../../src/decision/ports.ts';
import type { Principal } from '../../src/decision/principal.ts';
import { createHealth } from '../../src/telemetry/health.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics, withMetrics } from '../../src/telemetry/metrics.ts';
import { buildCatalogBundle } from './catalog-bundle.ts';
import { accessRequest, anonymous, verified } from './core.ts';
import { toServiceConfig } from './service.ts';

/** What a limit of {@link openKeyedDecider} counts by; `address` is that of the anonymous. */
export const COUNTED_BY = ['address', 'principal', 'tenant', 'key_id', 'claim:team'] as const;
export type CountedBy = (typeof COUNTED_BY)[number];

/** The service without doors, over limits that do not drain and are charged whatever is decided, one for each dimension. */
export interface KeyedDecider {
  /** Whether the one limit of that dimension let this caller pass. */
  passes(by: CountedBy, caller: KeyedCaller): Promise<boolean>;
  metrics(): Promise<string>;
  close(): Promise<void>;
}

export interface KeyedCaller {
  /** What is in `x-forwarded-for`, of which the last entry is the trusted hop's. */
  readonly forwarded?: string;
  readonly principal?: Principal;
  readonly target?: string;
}

export async function openKeyedDecider(options: {
  readonly limit: number;
  readonly quota?: Readonly<Record<string, unknown>>;
}): Promise<KeyedDecider> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-keyed-'));
  const bundle = await buildCatalogBundle((catalog) => {
    const terms = { unit: 'requests', kind: 'rate', per_seconds: 2_592_000, cost: 'request', size: options.limit };
    catalog['limits'] = Object.fromEntries(
      COUNTED_BY.map((by) => [nameOf(by), { ...terms, key: [by], scope: 'shared', charge: 'always' }]),
    );
    const [infer] = catalog.routes;
    for (const route of catalog.routes) {
      if (route['name'] === 'chat-preflight') route['limits'] = [nameOf('address')];
    }
    for (const by of COUNTED_BY.slice(1)) {
      const path = `/by-${nameOf(by)}/{tenant}/{model}/{operation}`;
      catalog.routes.push({ ...infer, name: nameOf(by), path, limits: [nameOf(by)] });
    }
  });
  const config = {
    ...(await toServiceConfig({ bundleFile: bundle.file, trustedHops: 1 })),
    quota: { refusals: { limit: 1_000_000_000 }, ...options.quota },
  };
  const metrics = createMetrics({ processMetrics: false });
  let principal: Principal | undefined;
  const decider = createDecider(
    parseConfig(join(folder, 'sallyport.yaml'), stringify(config), {}),
    { metrics, health: createHealth(), logger: createLogger({ level: 'silent' }), instanceId: 'test' },
    { authenticate: () => (principal === undefined ? anonymous : verified(principal)) },
  );
  await decider.start();
  const authorize = withMetrics(decider.authorize, metrics);
  return {
    passes: async (by, caller) => {
      // Read in the same turn, before anything is awaited.
      ({ principal } = caller);
      const isPreflight = by === 'address';
      const infer = `/by-${nameOf(by)}/tenant-a/llama-3-8b/infer`;
      return judged(
        await authorize(
          accessRequest({
            method: isPreflight ? 'OPTIONS' : 'POST',
            target: caller.target ?? (isPreflight ? '/v1/chat/completions' : infer),
            sourceAddress: '10.0.0.1',
            headerList: [
              ['x-forwarded-for', caller.forwarded ?? '192.0.2.1'],
              ['origin', 'https://app.test'],
              ['access-control-request-method', 'POST'],
            ],
            body: { bytes: new Uint8Array(), complete: true },
          }),
        ),
      );
    },
    metrics: () => metrics.text(),
    close: async () => {
      await decider.stop();
      bundle.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A charge that was taken counts, also where the policy then denies. */
function judged({ decision, quota, cause }: Outcome): boolean {
  if (decision.kind === 'allow' || decision.code === 'policy_denied') {
    if (quota?.taken !== true) throw new Error('nothing was charged');
    return true;
  }
  if (decision.code === 'quota_exceeded' || decision.code === 'unknown_route') return false;
  throw new Error(`${decision.code}, which is no answer of a quota: ${cause ?? ''}`);
}

function nameOf(by: CountedBy): string {
  return by.replaceAll(/[^a-z]/g, '-');
}
