import { hash, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Activator, createActivator } from './bundle/activator.ts';
import type { Bundle } from './bundle/bundle.ts';
import { mergeData } from './bundle/merged-data.ts';
import { toWatchedBundles } from './bundle/watch.ts';
import type { Config } from './config/config.ts';
import { createAuthorize } from './decision/authorize.ts';
import { createGenerations, type Generations } from './decision/generations.ts';
import { isObject } from './decision/json.ts';
import type { Authenticate, Authorize, NamedDecision } from './decision/ports.ts';
import { createKeyDirectory } from './identity/api-key-open-directory.ts';
import { type Authenticator, createAuthenticator } from './identity/authenticator.ts';
import { createDemoIssuer, type DemoIssuer } from './identity/demo-issuer.ts';
import { createOAuth } from './identity/oauth.ts';
import type { TokenExchange } from './identity/token-exchange.ts';
import { CatalogError } from './inspection/catalog-error.ts';
import { createClientIp } from './inspection/client-address.ts';
import { createInspector } from './inspection/inspector.ts';
import { joinPolicies } from './policy/join-policies.ts';
import type { LoadedPolicy } from './policy/policy-engine.ts';
import { createWasmEngine } from './policy/wasm-engine.ts';
import { type DescriptorTable, mergeDescriptors } from './quota/descriptors/descriptors.ts';
import { compileDescriptors } from './quota/descriptors/descriptors-data.ts';
import { createDescriptorLimits, type LimitDescriptors } from './quota/descriptors/descriptors-limits.ts';
import { loadRateLimitFiles } from './quota/descriptors/ratelimit-files.ts';
import { limitNames } from './quota/limit-names.ts';
import { checkLimitsData } from './quota/limits-data.ts';
import { createQuotas, type Quotas } from './quota/quotas.ts';
import { createRefusalTable } from './quota/refusal-table.ts';
import type { Health } from './telemetry/health.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { startSystemTimer, systemClock } from './telemetry/system-clock.ts';

/** The longest a request may wait for anything, whatever its caller allows. */
const MAX_WAIT_MS = 5_000;

/** Where a decider says what happens to it. */
export interface DeciderTelemetry {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly logger: Logger;
}

/** Identity, bundles, policy and the core between them: all that decides, without a door. */
export interface Decider {
  readonly authorize: Authorize;
  readonly activator: Activator;
  readonly demoIssuer: () => DemoIssuer | undefined;
  readonly quotas: Quotas;
  /** What Envoy's rate limit service is answered by. */
  readonly limitDescriptors: LimitDescriptors;
  /** Where config names one. */
  readonly tokenExchange: TokenExchange | undefined;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** The decider that a config describes. */
export function createDecider(
  config: Config,
  { metrics, health, logger }: DeciderTelemetry,
  overrides: { readonly authenticate?: Authenticate } = {},
): Decider {
  const generations = createGenerations({ startTimer: startSystemTimer, retireAfterMs: MAX_WAIT_MS * 2 });
  const decisions = namedDecisions(config);
  const bundlesReady = health.source('bundles');
  const identityReady = health.source('identity');
  const activator = createActivator({
    bundles: toWatchedBundles(config.bundles, { startTimer: startSystemTimer }),
    entrypoints: [...decisions.values()].flatMap(({ decision, limits }) => [
      decision,
      ...(limits === undefined ? [] : [limits]),
    ]),
    activate: async (bundles) => {
      const rules = await activate(bundles, config, generations, { logger, nameLimits });
      if (fromBundle) descriptors = mergeDescriptors(files.table, rules);
      // What was exhausted under the old sizes may not be under the new ones.
      quotas.limiter.dropCaches();
      bundlesReady.set(true);
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger,
    metrics,
  });
  const quotas = createQuotas({
    config: config.quota,
    clock: systemClock,
    startTimer: startSystemTimer,
    metrics: metrics.quota,
    logger,
  });
  const files = loadRateLimitFiles(config.doors.ratelimit?.limits_files ?? []);
  const fromBundle = config.doors.ratelimit?.domains_from_bundle !== false;
  let descriptors: DescriptorTable | undefined = fromBundle ? undefined : files.table;
  const nameLimits = (catalog: unknown, rules: DescriptorTable): void =>
    quotas.nameLimits(limitNames(catalog, mergeDescriptors(files.table, rules)));
  const refusals = createRefusalTable(config.quota.refusals);
  const clientIp = createClientIp(config.network);
  const keyDirectory =
    config.identity.api_keys &&
    createKeyDirectory(config.identity.api_keys, {
      clock: systemClock,
      startTimer: startSystemTimer,
      report: (event) => {
        if (event.kind === 'failed') logger.limited('api_keys', 'warn', event, 'the API keys could not be read');
        else logger.info(event, 'API keys are in force');
      },
    });
  const oauth = createOAuth({
    config: config.identity,
    ...(keyDirectory === undefined ? {} : { keyDirectory }),
    refusals,
    clock: systemClock,
    startTimer: startSystemTimer,
    fetch,
    readFile: (path, signal) => readFile(path, { signal }),
    newTokenId: randomUUID,
    report: (event) => {
      if (event.kind === 'loaded') logger.info(event, 'the key that signs exchanged tokens is in force');
      else logger.limited(`token_exchange_${event.kind}`, 'warn', event, 'the token exchange');
    },
  });
  let demoIssuer: DemoIssuer | undefined;
  let authenticator: Authenticator | undefined;

  function reportIdentity(): void {
    const { ready, reasons } = authenticator?.ready() ?? { ready: false, reasons: ['starting'] };
    identityReady.set(ready, reasons);
  }

  async function stop(): Promise<void> {
    authenticator?.stop();
    await activator.stop();
    generations.close();
    await quotas.stop();
  }

  return {
    authorize: createAuthorize({
      clock: systemClock,
      startTimer: startSystemTimer,
      newDecisionId: randomUUID,
      refusals,
      clientIp,
      authenticate:
        overrides.authenticate ??
        ((request, at) =>
          authenticator?.authenticate(request, at) ?? {
            kind: 'refused',
            code: 'issuer_unavailable',
            cause: 'starting',
          }),
      currentGeneration: generations.current,
      quota: quotas.limiter,
      decisions,
      allowRedirects: config.policy.redirects,
      exposeCredentials: config.compatibility.expose_credentials,
      digest: (text) => `sha256:${hash('sha256', text)}`,
      maxWaitMs: MAX_WAIT_MS,
    }),
    activator,
    demoIssuer: () => demoIssuer,
    quotas,
    limitDescriptors: createDescriptorLimits({
      table: () => descriptors,
      quota: quotas.limiter,
      adjust: (adjustments, at) => quotas.limiter.adjust(adjustments, at),
      clock: systemClock,
      onFault: (error) =>
        logger.limited('ratelimit_adjust', 'error', { error }, 'hits of a refused request could not be counted'),
    }),
    tokenExchange: oauth.tokenExchange,
    start: async () => {
      for (const { message } of files.notes) logger.info({ message }, 'a limits file');
      await quotas.start();
      if (config.insecure.demo_issuer) demoIssuer = await createDemoIssuer({ clock: systemClock });
      authenticator = createAuthenticator({
        config: config.identity,
        clock: systemClock,
        startTimer: startSystemTimer,
        random: Math.random,
        fetch,
        readFile: (path, signal) => readFile(path, { signal }),
        report: (event) => {
          metrics.jwksRefreshed(event.issuer, event.kind === 'failed' ? 'failed' : 'refreshed');
          if (event.kind === 'failed') logger.limited('jwks', 'warn', event, 'the keys of an issuer could not be read');
          reportIdentity();
        },
        clientIp,
        ...(keyDirectory === undefined ? {} : { keyDirectory }),
        ...oauth,
        ...(demoIssuer === undefined ? {} : { demoIssuer: demoIssuer.issuer }),
      });
      const starts = await Promise.allSettled([authenticator.start(), activator.start()]);
      const failed = starts.find((start) => start.status === 'rejected');
      if (failed !== undefined) {
        // What identity watches would keep the process from ending.
        await stop();
        throw failed.reason;
      }
      reportIdentity();
    },
    stop,
  };
}

interface ActivationPorts {
  readonly logger: Logger;
  /** Told before a request can be charged by them. */
  readonly nameLimits: (catalog: unknown, rules: DescriptorTable) => void;
}

/**
 * Makes a generation of a set of bundles: policies loaded, routes and limits compiled before it is put in force. Answers
 * the rules for descriptors.
 */
async function activate(
  bundles: readonly Bundle[],
  config: Config,
  generations: Generations,
  { logger, nameLimits }: ActivationPorts,
): Promise<DescriptorTable> {
  const { network, compatibility } = config;
  const data = mergeData(bundles);
  const catalog = data.value['catalog'];
  const inspect = createInspector({ catalog, network, compatibility });
  const faults = [...checkLimitsData(catalog)];
  const rules = compileDescriptors(isObject(catalog) ? catalog['ratelimit'] : undefined, (path, message) =>
    faults.push({ path, message }),
  );
  if (faults.length > 0) throw new CatalogError(faults);
  const policies = await Promise.all(bundles.map((bundle) => loadPolicy(config, bundle, data.text, logger)));
  const { evaluate, isPolicyConstant, close } = joinPolicies(policies);
  const revisions = new Map(bundles.map(({ name, revision }) => [name, revision]));
  nameLimits(catalog, rules);
  generations.put({ revisions, inspect, evaluate, isPolicyConstant }, close);
  return rules;
}

/** Loads one bundle's policy over the data of all; it must have those of the named entrypoints that it says it has. */
function loadPolicy(config: Config, bundle: Bundle, data: Uint8Array, logger: Logger): Promise<LoadedPolicy> {
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

function namedDecisions(config: Config): ReadonlyMap<string, NamedDecision> {
  return new Map(Object.entries(config.policy.decisions).map(([name, decision]) => [name, { name, ...decision }]));
}
