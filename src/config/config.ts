import { type AgentConfig, agentConfigSchema, type BundlesConfig, bundlesConfigSchema } from '../bundle/config.ts';
import { type DecisionLogConfig, decisionLogConfigSchema } from '../decision-log/config.ts';
import { type IdentityConfig, identityConfigSchema } from '../identity/config.ts';
import {
  type CompatibilityConfig,
  compatibilityConfigSchema,
  type NetworkConfig,
  networkConfigSchema,
} from '../inspection/config.ts';
import { type OperationsConfig, operationsConfigSchema } from '../operations/config.ts';
import { type PolicyConfig, policyConfigSchema } from '../policy/config.ts';
import { type ExtAuthzGrpcConfig, extAuthzGrpcConfigSchema } from '../protocols/ext-authz-grpc/config.ts';
import { type ExtAuthzHttpConfig, extAuthzHttpConfigSchema } from '../protocols/ext-authz-http/config.ts';
import { type RateLimitConfig, rateLimitConfigSchema } from '../protocols/ratelimit/config.ts';
import { type QuotaConfig, quotaConfigSchema } from '../quota/config.ts';
import { type RolloutConfig, rolloutConfigSchema } from '../rollout/config.ts';
import { type LogConfig, logConfigSchema } from '../telemetry/config.ts';

/** The whole config, validated, with defaults and absolute paths: nothing is read from the environment later. */
export interface Config {
  readonly doors: DoorsConfig;
  readonly operations: OperationsConfig;
  readonly bundles: BundlesConfig;
  readonly agent: AgentConfig;
  readonly rollout: RolloutConfig;
  readonly identity: IdentityConfig;
  readonly network: NetworkConfig;
  readonly quota: QuotaConfig;
  readonly policy: PolicyConfig;
  readonly decision_log: DecisionLogConfig;
  readonly log: LogConfig;
  readonly compatibility: CompatibilityConfig;
  readonly labels: { readonly [name: string]: string };
  readonly insecure: InsecureConfig;
}

export interface DoorsConfig {
  readonly ext_authz_grpc?: ExtAuthzGrpcConfig;
  readonly ext_authz_http?: ExtAuthzHttpConfig;
  readonly ratelimit?: RateLimitConfig;
}

/** Everything that is dangerous stands here, so that one look at a config finds it. */
export interface InsecureConfig {
  readonly demo_issuer: boolean;
  readonly unauthenticated_door: boolean;
}

const doorsConfigSchema = {
  type: 'object',
  description: 'Where gateways ask; one listener each, which serves nothing else.',
  properties: {
    ext_authz_grpc: extAuthzGrpcConfigSchema,
    ext_authz_http: extAuthzHttpConfigSchema,
    ratelimit: rateLimitConfigSchema,
  },
  additionalProperties: false,
  minProperties: 1,
} as const;

const insecureConfigSchema = {
  type: 'object',
  description: 'What must not be switched on in production.',
  properties: {
    demo_issuer: {
      type: 'boolean',
      default: false,
      description: 'An issuer with a key made at each start, to try things out.',
    },
    unauthenticated_door: {
      type: 'boolean',
      default: false,
      description:
        'Doors off loopback may do without `tls.client_ca` and `allowed_callers`; nothing they say of peers is believed.',
    },
  },
  additionalProperties: false,
  default: {},
} as const;

export const configSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    doors: doorsConfigSchema,
    operations: { ...operationsConfigSchema, default: {} },
    bundles: bundlesConfigSchema,
    agent: { ...agentConfigSchema, default: {} },
    rollout: rolloutConfigSchema,
    identity: identityConfigSchema,
    network: networkConfigSchema,
    quota: quotaConfigSchema,
    policy: policyConfigSchema,
    decision_log: decisionLogConfigSchema,
    log: logConfigSchema,
    compatibility: compatibilityConfigSchema,
    labels: {
      type: 'object',
      description: 'Copied into every decision event.',
      additionalProperties: { type: 'string' },
      maxProperties: 64,
      default: {},
    },
    insecure: insecureConfigSchema,
  },
  required: ['doors', 'bundles'],
  additionalProperties: false,
} as const;
