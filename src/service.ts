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
import type { Authenticate, Authorize, NamedDecision } from './decision/ports.ts';
import { createDecisionLog, withDecisionLog } from './decision-log/decision-log.ts';
import { type Authenticator, createAuthenticator } from './identity/authenticator.ts';
import { createDemoIssuer, type DemoIssuer } from './identity/demo-issuer.ts';
import { createClientIp } from './inspection/client-address.ts';
import { createInspector } from './inspection/inspector.ts';
import { formatAddress, type ListenAddress } from './listener/address.ts';
import { createOperations } from './operations/server.ts';
import { joinPolicies } from './policy/join-policies.ts';
import type { LoadedPolicy } from './policy/policy-engine.ts';
import { createWasmEngine } from './policy/wasm-engine.ts';
import { createExtAuthzGrpcDoor } from './protocols/ext-authz-grpc/server.ts';
import { createExtAuthzHttpDoor } from './protocols/ext-authz-http/server.ts';
import { createNoStore } from './quota/no-store.ts';
import { createRefusalTable } from './quota/refusal-table.ts';
import { createHealth, type Health } from './telemetry/health.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { createMetrics, type Metrics, withMetrics } from './telemetry/metrics.ts';
import { startSystemTimer, systemClock } from './telemetry/system-clock.ts';

/** The longest a request may wait for anything, whatever its caller allows. */
const MAX_WAIT_MS = 5_000;
/** How long checks under way may still finish at stop. */
const GRACE_MS = 5_000;

/** A running Sallyport. */
export interface Service {
  /** Opens the doors once the bundles are in force, or without them where a url does not answer. */
  readonly start: () => Promise<void>;
  /** Says *not serving*, waits `operations.drain_delay_ms`, lets checks under way finish, then closes everything. */
  readonly stop: () => Promise<void>;
  /** A token to try, and where; `undefined` unless the demo issuer is on. */
  readonly demo: () => Promise<{ readonly token: string; readonly address: string } | undefined>;
  readonly uncaught: (kind: string, error: unknown) => void;
}

/** The service that a config describes: the only place where concrete adapters meet. */
export function createService(config: Config): Service {
  const metrics = createMetrics();
  const health = createHealth();
  const logger = createLogger({ level: config.log.level });
  const decisionLog = createDecisionLog({
    config: config.decision_log,
    labels: config.labels,
    instanceId: randomUUID(),
    metrics,
    logger,
    randomBytes,
    startTimer: startSystemTimer,
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
  });
  const decider = createDecider(config, { metrics, health, logger });
  const authorize = withDecisionLog(withMetrics(decider.authorize, metrics), decisionLog);
  const doors = createDoors(config, authorize, logger);
  const operations = createOperations({
    config: config.operations,
    health: {
      live: () => health.live(),
      ready: () => health.ready(),
      bundlesReady: () => decider.activator.ready(),
    },
    metricsText: () => metrics.text(),
    metricsContentType: metrics.contentType,
    startTimer: startSystemTimer,
    onFault: (error) => logger.limited('operations', 'error', { error }, 'a request to the operations port failed'),
  });
  const addresses = new Map<string, ListenAddress>();

  async function open(
    name: string,
    listener: { start(): Promise<{ readonly address: ListenAddress }> },
  ): Promise<void> {
    const { address } = await listener.start();
    addresses.set(name, address);
    logger.info({ door: name, address: formatAddress(address) }, 'listening');
  }

  return {
    start: async () => {
      await decisionLog.start();
      await decider.start();
      for (const [name, door] of doors) await open(name, door);
      health.onChange((ready) => {
        for (const door of doors.values()) door.setServing(ready);
      });
      for (const door of doors.values()) door.setServing(health.ready().ready);
      await open('operations', operations);
    },
    stop: async () => {
      logger.info({ drain_delay_ms: config.operations.drain_delay_ms }, 'draining');
      health.drain();
      await new Promise<void>((resolve) => startSystemTimer(config.operations.drain_delay_ms, resolve));
      await Promise.all([...doors.values()].map((door) => door.stop()));
      await decider.stop();
      await operations.stop();
      await decisionLog.stop();
      logger.info({}, 'stopped');
    },
    demo: async () => {
      const address = addresses.get('ext_authz_http');
      const token = await decider.demoIssuer()?.mint();
      return address === undefined || token === undefined ? undefined : { token, address: formatAddress(address) };
    },
    uncaught: (kind, error) => logger.error({ kind, error }, 'nobody caught an error: please report it'),
  };
}

/** The service without its doors, for `sallyport eval`; throws a `BundleError` when a bundle cannot be had. */
export async function openDecider(
  config: Config,
  overrides: { readonly authenticate?: Authenticate } = {},
): Promise<{ readonly authorize: Authorize; readonly close: () => Promise<void> }> {
  const decider = createDecider(
    config,
    {
      metrics: createMetrics({ processMetrics: false }),
      health: createHealth(),
      logger: createLogger({ level: 'error' }),
    },
    overrides,
  );
  await decider.start();
  return { authorize: decider.authorize, close: decider.stop };
}

interface Telemetry {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly logger: Logger;
}

interface Decider {
  readonly authorize: Authorize;
  readonly activator: Activator;
  readonly demoIssuer: () => DemoIssuer | undefined;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Identity, bundles, policy and the core between them. */
function createDecider(
  config: Config,
  { metrics, health, logger }: Telemetry,
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
      await activate(bundles, config, generations, logger);
      bundlesReady.set(true);
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger,
    metrics,
  });
  let demoIssuer: DemoIssuer | undefined;
  let authenticator: Authenticator | undefined;

  function reportIdentity(): void {
    const { ready, reasons } = authenticator?.ready() ?? { ready: false, reasons: ['starting'] };
    identityReady.set(ready, reasons);
  }

  return {
    authorize: createAuthorize({
      clock: systemClock,
      startTimer: startSystemTimer,
      newDecisionId: randomUUID,
      refusals: createRefusalTable(config.quota.refusals),
      clientIp: createClientIp(config.network),
      authenticate:
        overrides.authenticate ??
        ((request, at) =>
          authenticator?.authenticate(request, at) ?? {
            kind: 'refused',
            code: 'issuer_unavailable',
            cause: 'starting',
          }),
      currentGeneration: generations.current,
      quota: createNoStore(),
      decisions,
      allowRedirects: config.policy.redirects,
      exposeCredentials: config.compatibility.expose_credentials,
      digest: (text) => `sha256:${hash('sha256', text)}`,
      maxWaitMs: MAX_WAIT_MS,
    }),
    activator,
    demoIssuer: () => demoIssuer,
    start: async () => {
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
        ...(demoIssuer === undefined ? {} : { demoIssuer: demoIssuer.issuer }),
      });
      await Promise.all([authenticator.start(), activator.start()]);
      reportIdentity();
    },
    stop: async () => {
      authenticator?.stop();
      await activator.stop();
      generations.close();
    },
  };
}

/** Makes a generation of a set of bundles: policies loaded and routes compiled before it is put in force. */
async function activate(
  bundles: readonly Bundle[],
  config: Config,
  generations: Generations,
  logger: Logger,
): Promise<void> {
  const { network, compatibility } = config;
  const data = mergeData(bundles);
  const inspect = createInspector({ catalog: data.value['catalog'], network, compatibility });
  const policies = await Promise.all(bundles.map((bundle) => loadPolicy(config, bundle, data.text, logger)));
  const { evaluate, isPolicyConstant, close } = joinPolicies(policies);
  const revisions = new Map(bundles.map(({ name, revision }) => [name, revision]));
  generations.put({ revisions, inspect, evaluate, isPolicyConstant }, close);
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

interface Door {
  start(): Promise<{ readonly address: ListenAddress }>;
  stop(): Promise<void>;
  setServing(serving: boolean): void;
}

function createDoors({ doors }: Config, authorize: Authorize, logger: Logger): ReadonlyMap<string, Door> {
  const opened = new Map<string, Door>();
  if (doors.ext_authz_grpc !== undefined) {
    const config = doors.ext_authz_grpc;
    opened.set(
      'ext_authz_grpc',
      createExtAuthzGrpcDoor({ authorize, config, startTimer: startSystemTimer, logger, graceMs: GRACE_MS }),
    );
  }
  if (doors.ext_authz_http !== undefined) {
    const door = createExtAuthzHttpDoor({
      authorize,
      config: doors.ext_authz_http,
      clock: systemClock,
      startTimer: startSystemTimer,
      graceMs: GRACE_MS,
      onFault: (error) => logger.limited('ext_authz_http', 'error', { error }, 'a check failed in the door'),
      onTlsReload: (event) => logger.info({ door: 'ext_authz_http', ...event }, 'the certificate files changed'),
    });
    opened.set('ext_authz_http', door);
  }
  return opened;
}
