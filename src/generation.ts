import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Bundle } from './bundle/bundle.ts';
import { mergeData } from './bundle/merged-data.ts';
import type { Config } from './config/config.ts';
import type { GenerationParts } from './decision/generations.ts';
import { isObject } from './decision/json.ts';
import { CatalogError } from './inspection/catalog-error.ts';
import { createInspector } from './inspection/inspector.ts';
import { joinPolicies } from './policy/join-policies.ts';
import type { LoadedPolicy } from './policy/policy-engine.ts';
import { createWasmEngine } from './policy/wasm-engine.ts';
import type { DescriptorTable } from './quota/descriptors/descriptors.ts';
import { compileDescriptors } from './quota/descriptors/descriptors-data.ts';
import { checkLimitsData } from './quota/limits-data.ts';
import type { Logger } from './telemetry/logger.ts';
import { systemClock } from './telemetry/system-clock.ts';

/** A set of bundles made ready to decide; nothing of the service is changed by that. */
export interface LoadedGeneration {
  readonly parts: GenerationParts;
  /** `data.catalog`. */
  readonly catalog: unknown;
  /** The rules for descriptors. */
  readonly rules: DescriptorTable;
  /** Lets go of its memory. */
  readonly close: () => void;
}

/** Loads policies and compiles routes and limits; throws and leaves nothing behind where one of them will not have it. */
export async function loadGeneration(
  bundles: readonly Bundle[],
  config: Pick<Config, 'network' | 'compatibility' | 'policy'>,
  logger: Pick<Logger, 'limited'>,
): Promise<LoadedGeneration> {
  const { network, compatibility } = config;
  const data = mergeData(bundles);
  const catalog = data.value['catalog'];
  const inspect = createInspector({ catalog, network, compatibility });
  const faults = [...checkLimitsData(catalog)];
  const rules = compileDescriptors(isObject(catalog) ? catalog['ratelimit'] : undefined, (path, message) =>
    faults.push({ path, message }),
  );
  if (faults.length > 0) throw new CatalogError(faults);
  const loads = await Promise.allSettled(bundles.map((bundle) => loadPolicy(config, bundle, data.text, logger)));
  const policies = loads.flatMap((load) => (load.status === 'fulfilled' ? [load.value] : []));
  const failed = loads.find((load) => load.status === 'rejected');
  if (failed !== undefined) {
    for (const policy of policies) policy.close();
    throw failed.reason;
  }
  const { evaluate, evaluateText, inputPaths, isPolicyConstant, close } = joinPolicies(policies);
  const revisions = new Map(bundles.map(({ name, revision }) => [name, revision]));
  return { parts: { revisions, inspect, evaluate, evaluateText, inputPaths, isPolicyConstant }, catalog, rules, close };
}

/** Loads one bundle's policy over the data of all; it must have those of the named entrypoints that it says it has. */
function loadPolicy(
  config: Pick<Config, 'policy'>,
  bundle: Bundle,
  data: Uint8Array,
  logger: Pick<Logger, 'limited'>,
): Promise<LoadedPolicy> {
  const decisions = Object.entries(config.policy.decisions).filter(([, { decision }]) =>
    bundle.entrypoints.includes(decision),
  );
  const engine = createWasmEngine({
    config: { ...config.policy, decisions: Object.fromEntries(decisions) },
    clock: systemClock,
    randomBytes,
    pause: nextTurn,
    onSpareFailure: (error) => logger.limited('policy-spare', 'error', { error }, 'no spare instance of the policy'),
  });
  return engine.load({ plan: bundle.plan, wasm: bundle.wasm, data });
}
