import {
  checkDoorListen,
  type DoorListenConfig,
  doorListenSchemaProperties,
  type ListenFault,
} from '../../listener/config.ts';

/** The door for Envoy's rate limit service over gRPC. */
export interface RateLimitConfig extends DoorListenConfig {
  /** A longer RateLimitRequest is over its limit unread. */
  readonly max_message_bytes: number;
  /** YAML files of envoyproxy/ratelimit, one domain each; a domain named here is not looked for in the bundle. */
  readonly limits_files?: readonly string[];
  /** Whether `catalog.ratelimit` of the bundle is in force too. */
  readonly domains_from_bundle: boolean;
  /** What is answered where nothing was decided; what a caller can bring about himself is over its limit always. */
  readonly on_error: 'over_limit' | 'ok';
  readonly headers: 'none' | 'draft03';
  /** Of `allowed_callers`, those whose negative hits and own limits are honoured; others that send them are refused. */
  readonly may_override?: readonly string[];
}

export const rateLimitConfigSchema = {
  type: 'object',
  description: "Envoy's rate limit service over gRPC (envoy.service.ratelimit.v3), with grpc.health.v1 beside it.",
  properties: {
    ...doorListenSchemaProperties,
    max_message_bytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 1_048_576,
      default: 65_536,
      description: 'A RateLimitRequest longer than this is over its limit unread.',
    },
    limits_files: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      maxItems: 256,
      uniqueItems: true,
      description:
        'YAML files of envoyproxy/ratelimit, as they are; a domain of theirs is not looked for in the bundle.',
    },
    domains_from_bundle: {
      type: 'boolean',
      default: true,
      description: 'Whether `catalog.ratelimit` of the bundle is in force; until there is a bundle nothing is decided.',
    },
    on_error: {
      enum: ['over_limit', 'ok'],
      default: 'over_limit',
      description: 'The answer where nothing was decided: the store failed, or there was no time.',
    },
    headers: {
      enum: ['none', 'draft03'],
      default: 'none',
      description: '`draft03`: x-ratelimit-limit, -remaining and -reset. Envoy can make them itself from the statuses.',
    },
    may_override: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      uniqueItems: true,
      description: 'Those of `allowed_callers` that may give hits back and send limits of their own.',
    },
  },
  required: ['listen'],
  additionalProperties: false,
} as const;

/** What the schema cannot say; `path` is the door's own, such as `doors.ratelimit`. Reads the TLS files. */
export function checkRateLimitConfig(
  path: string,
  config: RateLimitConfig,
  options: { readonly insecureUnauthenticatedDoor: boolean },
): readonly ListenFault[] {
  const faults = [...checkDoorListen(path, config, options)];
  const allowed = new Set(config.allowed_callers);
  for (const [index, caller] of (config.may_override ?? []).entries()) {
    if (allowed.has(caller)) continue;
    faults.push({ path: `${path}.may_override[${index}]`, message: `\`${caller}\` is not among \`allowed_callers\`` });
  }
  if (!config.domains_from_bundle && config.limits_files === undefined) {
    faults.push({
      path: `${path}.domains_from_bundle`,
      message: 'is off and there are no `limits_files`: there would be no limits at all',
    });
  }
  return faults;
}
