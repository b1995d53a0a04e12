import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Bundle } from './bundle/bundle.ts';
import type { Config } from './config/config.ts';
import type { GenerationParts } from './decision/generations.ts';
import { isObject } from './decision/json.ts';
import { CatalogError } from './inspection/catalog-error.ts';
import { createInspector } from './inspection/inspector.ts';
import { createExplainer } from './policy/explainer.ts';
import { joinPolicies } from './policy/join-policies.ts';
import { createJsEngine } from './policy/js-engine.ts';
import type { PolicyEngine } from './policy/policy-engine.ts';
import type { PreparedPolicy } from './policy/prepared-policy.ts';
import { openStoredData } from './policy/values/stored-data.ts';
import { type PreparedSet, prepareSet } from './prepared-set.ts';
import type { DescriptorTable } from './quota/descriptors/descriptors.ts';
import { compileDescriptors } from './quota/descriptors/descriptors-data.ts';
import type { Logger } from './telemetry/logger.ts';
import { systemClock, threadCpuMs } from './telemetry/system-clock.ts';

/** A set of bundles made ready to decide; nothing of the service is changed by that. */
export interface LoadedGeneration {
  readonly parts: GenerationParts;
  /** What of `data.catalog` is compiled. */
  readonly catalog: unknown;
  /** The rules for descriptors. */
  readonly rules: DescriptorTable;
  /** Lets go of its memory. */
  readonly close: () => void;
}

/**
 * Loads policies and compiles routes and limits; throws and leaves nothing behind where one of them will not have it. What
 * was `prepared` of these bundles is not made again.
 */
export async function loadGeneration(
  bundles: readonly Bundle[],
  config: Pick<Config, 'network' | 'compatibility' | 'policy'>,
  logger: Pick<Logger, 'limited'>,
  prepared: PreparedSet = prepareSet(bundles, config.policy),
): Promise<LoadedGeneration> {
  const { network, compatibility } = config;
  const { catalog, data } = prepared;
  // Requests are answered between these steps: together they would hold them up for milliseconds.
  await nextTurn();
  const inspect = createInspector({ catalog, network, compatibility });
  await nextTurn();
  const faults: { path: string; message: string }[] = [];
  const rules = compileDescriptors(isObject(catalog) ? catalog['ratelimit'] : undefined, (path, message) =>
    faults.push({ path, message }),
  );
  if (faults.length > 0) throw new CatalogError(faults);
  const dataValue = openStoredData(data);
  await nextTurn();
  const loads = await Promise.allSettled(
    bundles.map(async (bundle, at) => {
      const engine = await createEngine(config, bundle, logger);
      return engine.load({
        plan: bundle.plan,
        wasm: bundle.wasm,
        data: data.text,
        dataValue,
        ...preparedAt(prepared, at),
      });
    }),
  );
  const policies = loads.flatMap((load) => (load.status === 'fulfilled' ? [load.value] : []));
  const failed = loads.find((load) => load.status === 'rejected');
  if (failed !== undefined) {
    for (const policy of policies) policy.close();
    throw failed.reason;
  }
  await nextTurn();
  const { evaluate, evaluateText, inputPaths, isPolicyConstant, close } = joinPolicies(policies);
  const revisions = new Map(bundles.map(({ name, revision }) => [name, revision]));
  const explainer = createExplainer({
    policies: bundles.map(({ plan, entrypoints, rego }) => ({ plan, entrypoints, rego })),
    data: dataValue,
    config: config.policy,
    randomBytes,
    cpuMs: threadCpuMs,
  });
  return {
    parts: { revisions, inspect, evaluate, evaluateText, inputPaths, isPolicyConstant, explain: explainer.explain },
    catalog,
    rules,
    close: () => {
      close();
      explainer.close();
    },
  };
}

function preparedAt({ policies }: PreparedSet, at: number): { readonly prepared?: PreparedPolicy } {
  const prepared = policies[at];
  return prepared === undefined ? {} : { prepared };
}

/** The configured engine for one bundle, which must have those of the named entrypoints that it says it has. */
async function createEngine(
  { policy }: Pick<Config, 'policy'>,
  bundle: Bundle,
  logger: Pick<Logger, 'limited'>,
): Promise<PolicyEngine> {
  const decisions = Object.fromEntries(
    Object.entries(policy.decisions).filter(([, { decision }]) => bundle.entrypoints.includes(decision)),
  );
  const config = { ...policy, decisions };
  if (policy.engine === 'js') return createJsEngine({ config, randomBytes, cpuMs: threadCpuMs });
  // Loaded where it is configured alone, with all that it needs.
  const { createWasmEngine } = await import('./policy/wasm-engine.ts');
  return createWasmEngine({
    config,
    clock: systemClock,
    randomBytes,
    pause: nextTurn,
    onSpareFailure: (error) => logger.limited('policy-spare', 'error', { error }, 'no spare instance of the policy'),
  });
}
