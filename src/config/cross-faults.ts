import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkAgentConfig, checkBundlesConfig } from '../bundle/config.ts';
import { checkDecisionLogConfig } from '../decision-log/config.ts';
import { checkDemoIssuer, checkIdentityConfig } from '../identity/config.ts';
import { isOffLoopback } from '../listener/config.ts';
import { checkOperationsConfig } from '../operations/config.ts';
import { checkPolicyConfig } from '../policy/config.ts';
import { checkExtAuthzGrpcConfig } from '../protocols/ext-authz-grpc/config.ts';
import { checkExtAuthzHttpConfig } from '../protocols/ext-authz-http/config.ts';
import { checkRateLimitConfig } from '../protocols/ratelimit/config.ts';
import { checkQuotaConfig, checkRateLimitFiles } from '../quota/config.ts';
import { checkRolloutConfig } from '../rollout/config.ts';
import type { Config } from './config.ts';
import type { ConfigFault } from './fault.ts';

type Environment = { readonly [name: string]: string | undefined };

/** What no schema can say: files that must be there, doors that must be guarded, settings that exclude each other. */
export function crossFaults(config: Config, environment: Environment): readonly ConfigFault[] {
  const { doors, insecure } = config;
  const listenOptions = { insecureUnauthenticatedDoor: insecure.unauthenticated_door };
  return [
    ...check(doors.ext_authz_grpc, (door) => checkExtAuthzGrpcConfig('doors.ext_authz_grpc', door, listenOptions)),
    ...check(doors.ext_authz_http, (door) => checkExtAuthzHttpConfig('doors.ext_authz_http', door, listenOptions)),
    ...check(doors.ratelimit, (door) => checkRateLimitConfig('doors.ratelimit', door, listenOptions)),
    ...check(doors.ratelimit?.limits_files, (files) => checkRateLimitFiles('doors.ratelimit.limits_files', files)),
    ...checkOperationsConfig(config.operations),
    ...twinListeners(config),
    ...checkBundlesConfig(config.bundles, config.agent),
    ...checkAgentConfig(config.agent),
    ...checkRolloutConfig(config.rollout, Date.now()),
    ...checkIdentityConfig(config.identity),
    ...exchangeFaults(config),
    ...checkQuotaConfig(config.quota),
    ...checkPolicyConfig(config.policy),
    ...checkDecisionLogConfig(config.decision_log),
    ...(insecure.demo_issuer ? demoFaults(config, environment) : []),
  ];
}

function check<T>(part: T | undefined, faults: (part: T) => readonly ConfigFault[]): readonly ConfigFault[] {
  return part === undefined ? [] : faults(part);
}

function demoFaults(config: Config, environment: Environment): readonly ConfigFault[] {
  const { identity } = config;
  return checkDemoIssuer({
    otherIssuers: (identity.jwt?.issuers.length ?? 0) + (identity.introspection?.length ?? 0),
    apiKeys: identity.api_keys !== undefined || identity.token_exchange !== undefined,
    mtls: identity.mtls !== undefined,
    shippedBundle: isShippedBundle(config),
    listenersOffLoopback: listeners(config)
      .filter(([, listen]) => isOffLoopback(listen))
      .map(([, listen]) => listen),
    redis: config.quota.store.kind === 'redis' || identity.api_keys?.redis !== undefined,
    workers: 1,
    env: environment,
  });
}

/** Secrets are sent there and it has no TLS of its own, so only this machine may reach it. */
function exchangeFaults({ identity, insecure }: Config): readonly ConfigFault[] {
  const listen = identity.token_exchange?.listen;
  if (listen === undefined || !isOffLoopback(listen) || insecure.unauthenticated_door) return [];
  const path = 'identity.token_exchange.listen';
  const advice = 'put the gateway before it, with TLS, and listen on loopback or a unix socket';
  return [{ path, message: `\`${listen}\` is off loopback, and API keys are sent there in the clear: ${advice}` }];
}

/** By pin, without opening the bundle: `sallyport build` writes the digest beside it. */
function isShippedBundle({ bundles }: Config): boolean {
  const shipped = readFileSync(join(import.meta.dirname, '../../bundles/authz.tar.gz.sha256'), 'utf8').slice(0, 64);
  const [bundle, ...more] = Object.values(bundles);
  return more.length === 0 && bundle !== undefined && 'sha256' in bundle.trust && bundle.trust.sha256 === shipped;
}

function twinListeners(config: Config): readonly ConfigFault[] {
  const seen = new Map<string, string>();
  return listeners(config).flatMap(([path, listen]) => {
    const first = seen.get(listen);
    seen.set(listen, path);
    if (first === undefined || /:0$/.test(listen)) return [];
    return [
      { path: `${path}.listen`, message: `\`${listen}\` is taken by \`${first}\`: each needs a port of its own` },
    ];
  });
}

function listeners({ doors, operations, identity }: Config): readonly (readonly [string, string])[] {
  const exchange = identity.token_exchange;
  return [
    ...Object.entries(doors).map(([name, { listen }]) => [`doors.${name}`, listen] as const),
    ['operations', operations.listen] as const,
    ...(exchange === undefined ? [] : [['identity.token_exchange', exchange.listen] as const]),
  ];
}
