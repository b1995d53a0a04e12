import { hash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from './config/config.ts';
import { createAuthorize } from './decision/authorize.ts';
import type { Authenticate, Authorize } from './decision/ports.ts';
import type { AdministrativeEvent } from './decision-log/administrative.ts';
import { createKeyDirectory } from './identity/api-key-open-directory.ts';
import { type Authenticator, createAuthenticator } from './identity/authenticator.ts';
import { createDemoIssuer, type DemoIssuer } from './identity/demo-issuer.ts';
import { createOAuth } from './identity/oauth.ts';
import type { TokenExchange } from './identity/token-exchange.ts';
import { createInForce, type InForce } from './in-force.ts';
import { createClientIp } from './inspection/client-address.ts';
import { createTenantShare } from './policy/tenant-share.ts';
import { type DescriptorTable, mergeDescriptors } from './quota/descriptors/descriptors.ts';
import { createDescriptorLimits, type LimitDescriptors } from './quota/descriptors/descriptors-limits.ts';
import { loadRateLimitFiles } from './quota/descriptors/ratelimit-files.ts';
import { limitNames } from './quota/limit-names.ts';
import { createQuotas, type Quotas } from './quota/quotas.ts';
import { createRefusalTable } from './quota/refusal-table.ts';
import type { Health } from './telemetry/health.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { startSystemTimer, systemClock } from './telemetry/system-clock.ts';
import { MAX_WAIT_MS, namedDecisions } from './trial.ts';

/** Where a decider says what happens to it. */
export interface DeciderTelemetry {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly logger: Logger;
  /** Unique to this start of the process. */
  readonly instanceId: string;
  readonly recordAdministrative?: (event: AdministrativeEvent) => void;
}

/** Identity, bundles, policy and the core between them: all that decides, without a door. */
export interface Decider {
  readonly authorize: Authorize;
  readonly inForce: InForce;
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
  { metrics, health, logger, instanceId, recordAdministrative = () => undefined }: DeciderTelemetry,
  overrides: { readonly authenticate?: Authenticate; readonly examined?: boolean } = {},
): Decider {
  const identityReady = health.source('identity');
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
  const inForce = createInForce({
    config,
    metrics,
    health,
    logger,
    instanceId,
    examined: overrides.examined ?? true,
    recordAdministrative,
    beforeUse: (catalog, rules) => quotas.nameLimits(limitNames(catalog, mergeDescriptors(files.table, rules))),
    afterActivation: (rules) => {
      if (fromBundle) descriptors = mergeDescriptors(files.table, rules);
      // What was exhausted under the old sizes may not be under the new ones.
      quotas.limiter.dropCaches();
    },
  });
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
    await inForce.stop();
    await quotas.stop();
  }

  return {
    authorize: inForce.wrap(
      createAuthorize({
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
        currentGeneration: inForce.current,
        observes: inForce.observes,
        quota: quotas.limiter,
        policyShare: createTenantShare({ share: config.policy.tenant_share }),
        decisions: namedDecisions(config),
        allowRedirects: config.policy.redirects,
        exposeCredentials: config.compatibility.expose_credentials,
        digest: (text) => `sha256:${hash('sha256', text)}`,
        maxWaitMs: MAX_WAIT_MS,
      }),
    ),
    inForce,
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
      const starts = await Promise.allSettled([authenticator.start(), inForce.start()]);
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
