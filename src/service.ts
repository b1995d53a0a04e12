import { randomBytes, randomUUID } from 'node:crypto';
import type { Config } from './config/config.ts';
import { createDecider } from './decider.ts';
import { explainNow } from './decision/explain-outcome.ts';
import type { Authenticate, Authorize } from './decision/ports.ts';
import { createRedecide, createTry } from './decision/trial.ts';
import { createDecisionLog, withDecisionLog } from './decision-log/decision-log.ts';
import { parseStrictJson } from './identity/strict-json.ts';
import type { TokenExchange } from './identity/token-exchange.ts';
import { createClientIp } from './inspection/client-address.ts';
import { formatAddress, type ListenAddress } from './listener/address.ts';
import { createOperations } from './operations/server.ts';
import { createExtAuthzGrpcDoor } from './protocols/ext-authz-grpc/server.ts';
import { createExtAuthzHttpDoor } from './protocols/ext-authz-http/server.ts';
import { createRateLimitDoor } from './protocols/ratelimit/server.ts';
import { createTokenExchangeDoor, type TokenExchangeDoor } from './protocols/token-exchange/server.ts';
import type { LimitDescriptors } from './quota/descriptors/descriptors-limits.ts';
import { createHealth } from './telemetry/health.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { createMetrics, type Metrics, withMetrics } from './telemetry/metrics.ts';
import { startSystemTimer, systemClock } from './telemetry/system-clock.ts';
import { trialPorts } from './trial.ts';

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

/** The service that a config describes: here and in `decider.ts`, and nowhere else, concrete adapters meet. */
export function createService(config: Config): Service {
  const metrics = createMetrics();
  const health = createHealth();
  const logger = createLogger({ level: config.log.level });
  const instanceId = randomUUID();
  const redecide = createRedecide(createTry(trialPorts(config)));
  const decisionLog = createDecisionLog({
    config: config.decision_log,
    labels: config.labels,
    instanceId,
    metrics,
    logger,
    randomBytes,
    startTimer: startSystemTimer,
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    clientIp: createClientIp(config.network),
    onDenied: ({ take }) => take?.release(),
    explain: (outcome) => explainNow(outcome, redecide),
  });
  const decider = createDecider(config, {
    metrics,
    health,
    logger,
    instanceId,
    recordAdministrative: (event) => decisionLog.recordAdministrative(event),
  });
  const { inForce } = decider;
  const authorize = withMetrics(withDecisionLog(decider.authorize, decisionLog), metrics);
  const doors = createDoors(config, authorize, { limit: decider.limitDescriptors, logger, metrics });
  const operations = createOperations({
    config: config.operations,
    health: {
      live: () => health.live(),
      ready: () => health.ready(),
      bundlesReady: () => inForce.activator.ready(),
    },
    usage: {
      settle: (id, usage) => decider.quotas.settlement.settle(id, usage),
      renew: (id, ttlSeconds) => decider.quotas.settlement.renew(id, ttlSeconds),
      quotaOf: (tenant) => decider.quotas.quotaOf(tenant),
      parseJson: parseStrictJson,
    },
    rollout: {
      status: inForce.status,
      rollout: () => inForce.rollout.status(),
      change: (action, { to, sha256, ...by }) => {
        decisionLog.recordAdministrative({ action: `rollout_${action}`, details: { ...by } });
        if (action === 'pin') return inForce.rollout.pin(to ?? 'stable', by);
        return action === 'resume' ? inForce.rollout.resume(by, sha256) : inForce.rollout[action](by);
      },
      parseJson: parseStrictJson,
    },
    metricsText: () => metrics.text(),
    metricsContentType: metrics.contentType,
    startTimer: startSystemTimer,
    onFault: (error) => logger.limited('operations', 'error', { error }, 'a request to the operations port failed'),
  });
  const exchange = createExchangeDoor(config, decider.tokenExchange, logger);
  const addresses = new Map<string, ListenAddress>();

  async function open(
    name: string,
    listener: { start(): Promise<{ readonly address: ListenAddress }> },
  ): Promise<void> {
    const { address } = await listener.start();
    addresses.set(name, address);
    logger.info({ door: name, address: formatAddress(address) }, 'listening');
  }

  async function openAll(): Promise<void> {
    await decisionLog.start();
    await decider.start();
    for (const [name, door] of doors) await open(name, door);
    if (exchange !== undefined) await open('token_exchange', exchange);
    health.onChange((ready) => {
      for (const door of doors.values()) door.setServing(ready);
    });
    for (const door of doors.values()) door.setServing(health.ready().ready);
    await open('operations', operations);
  }

  async function closeAll(): Promise<void> {
    await Promise.all([...[...doors.values()].map((door) => door.stop()), exchange?.stop()]);
    await decider.stop();
    await operations.stop();
    await decisionLog.stop();
  }

  return {
    start: async () => {
      try {
        await openAll();
      } catch (error) {
        // What is open already would keep the process from ending.
        await closeAll();
        throw error;
      }
    },
    stop: async () => {
      logger.info({ drain_delay_ms: config.operations.drain_delay_ms }, 'draining');
      health.drain();
      await new Promise<void>((resolve) => startSystemTimer(config.operations.drain_delay_ms, resolve));
      await closeAll();
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
      instanceId: randomUUID(),
    },
    { ...overrides, examined: false },
  );
  await decider.start();
  return { authorize: decider.authorize, close: decider.stop };
}

/** `POST /token`, where config names it. */
function createExchangeDoor(
  { identity }: Config,
  tokenExchange: TokenExchange | undefined,
  logger: Logger,
): TokenExchangeDoor | undefined {
  if (identity.token_exchange === undefined || tokenExchange === undefined) return undefined;
  return createTokenExchangeDoor({
    listen: identity.token_exchange.listen,
    exchange: (presented, address) => tokenExchange.exchange(presented, address),
    keySet: () => tokenExchange.keySet(),
    startTimer: startSystemTimer,
    onFault: (error) => logger.limited('token_exchange', 'error', { error }, 'a token request failed in the door'),
  });
}

interface Door {
  start(): Promise<{ readonly address: ListenAddress }>;
  stop(): Promise<void>;
  setServing(serving: boolean): void;
}

interface DoorParts {
  readonly limit: LimitDescriptors;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

function createDoors(
  { doors }: Config,
  authorize: Authorize,
  { limit, logger, metrics }: DoorParts,
): ReadonlyMap<string, Door> {
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
  if (doors.ratelimit !== undefined) {
    const door = createRateLimitDoor({
      limit,
      config: doors.ratelimit,
      startTimer: startSystemTimer,
      logger,
      graceMs: GRACE_MS,
      count: (outcome) => metrics.quota.rateLimitAnswered(outcome),
    });
    opened.set('ratelimit', door);
  }
  return opened;
}
