import { randomBytes, randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { createActivator } from '../../src/bundle/activator.ts';
import { createAuthority } from '../../src/bundle/agent/authority.ts';
import { mergeData } from '../../src/bundle/merged-data.ts';
import type { HighWaterMark } from '../../src/bundle/signing/high-water-mark.ts';
import type { Download } from '../../src/bundle/source.ts';
import type { TrustConfig } from '../../src/bundle/trust.ts';
import type { ChargePlan, QuotaState } from '../../src/decision/charges.ts';
import { createGenerations } from '../../src/decision/generations.ts';
import type { Clock } from '../../src/decision/ports.ts';
import { createInspector } from '../../src/inspection/inspector.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { accessRequest, core, NAMED } from './core.ts';
import { startSystemTimer, systemClock } from './system-ports.ts';

export interface SignedAgentOptions {
  readonly trust: TrustConfig;
  readonly mark: HighWaterMark;
  readonly clock: Clock;
}

const BODY = Buffer.from('{"prompt":"hello"}');

/** What the shipped policy allows to a verified caller of the first tenant. */
const INFER = accessRequest({
  headerList: [
    ['content-type', 'application/json'],
    ['content-length', `${BODY.length}`],
  ],
  body: { bytes: BODY, complete: true },
});

/** An agent in this process: real trust, activator and engine, and a caller that asks it over and over. */
export function createSignedAgent({ trust, mark, clock }: SignedAgentOptions) {
  let offered: Download | undefined;
  let refusals: string[] = [];
  let asked = 0;
  let failed = 0;
  let asking = true;
  const generations = createGenerations({ startTimer: startSystemTimer, retireAfterMs: 5_000 });
  const engine = createWasmEngine({
    config: { budget_ms: 60_000, memory_max_mb: 64, decisions: { default: NAMED } },
    clock: systemClock,
    randomBytes,
    pause: turn,
    onSpareFailure: () => undefined,
  });
  const activator = createActivator({
    bundles: new Map([
      [
        'authz',
        {
          source: { kind: 'url', load: () => Promise.resolve(offered) },
          authority: createAuthority({ name: 'authz', trust, clock, mark }),
          minDelayMs: 86_400_000,
          maxDelayMs: 86_400_000,
        },
      ],
    ]),
    entrypoints: ['authz/decision', 'authz/limits'],
    activate: async ([bundle]) => {
      if (bundle === undefined) throw new Error('no bundle');
      const data = mergeData([bundle]);
      const inspect = createInspector({
        catalog: data.value['catalog'],
        network: { trusted_hops: 0 },
        compatibility: {
          ambiguous_paths: false,
          duplicate_keys: false,
          header_map_bodies: true,
          expose_credentials: false,
        },
      });
      const { close, ...policy } = await engine.load({ plan: bundle.plan, wasm: bundle.wasm, data: data.text });
      generations.put({ revisions: new Map([[bundle.name, bundle.sha256]]), inspect, ...policy }, close);
    },
    clock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger: { info: () => undefined, warn: (fields: object) => void refusals.push(JSON.stringify(fields)) },
    metrics: {
      bundleActivated: () => undefined,
      bundleRefused: () => undefined,
      bundleCopyFailed: () => undefined,
      trackBundleAges: () => undefined,
    },
  });
  const { authorize } = core({
    clock: systemClock,
    startTimer: startSystemTimer,
    newDecisionId: randomUUID,
    currentGeneration: generations.current,
    decisions: new Map([['default', NAMED]]),
    quota: {
      take: ({ plans }) => ({
        kind: 'taken',
        take: undefined,
        state: { plan: 0, taken: true, limits: takenOf(plans[0] ?? []) },
      }),
    },
    maxWaitMs: 20_000,
  });
  const ask = async (): Promise<void> => {
    const { decision, generation } = await authorize(INFER);
    asked += 1;
    if (decision.kind !== 'allow' || generation === undefined) failed += 1;
  };
  const asker = async (): Promise<void> => {
    while (asking) {
      if (generations.current() !== undefined) await ask();
      await turn();
    }
  };
  const running = Promise.all([asker(), asker(), asker()]);

  return {
    /** Offers a download; answers the codes with which it was refused, none when it was not. */
    offer: async (download: Download): Promise<readonly string[]> => {
      offered = download;
      refusals = [];
      await activator.reload();
      return refusals;
    },
    /** Waits for the next decision. */
    decided: async (): Promise<void> => {
      const before = asked;
      while (asked === before) await turn();
    },
    /** The digest of the archive that decides. */
    inForce: () => generations.current()?.revisions.get('authz'),
    figures: () => ({ asked, failed }),
    stop: async () => {
      asking = false;
      await running;
      await activator.stop();
      generations.close();
    },
  };
}

/** As a store says of limits that have room for everybody. */
function takenOf(plan: ChargePlan): QuotaState['limits'] {
  const room = { held: 0, wait_ms: 0, reset_ms: 0, exceeded: false, shadow: false, verified: true };
  return Object.fromEntries(
    plan.map(({ terms: { name, kind, unit, limit } }) => [name, { kind, unit, limit, remaining: limit, ...room }]),
  );
}
