/** What the gateway can be believed about the client's side. */
export interface NetworkConfig {
  /** 0: the gateway's direct peer. n: the n-th address from the right of `x-forwarded-for`. */
  readonly trusted_hops: number;
  /** Whether the gateway may send part of a body; absent as false. */
  readonly partial_bodies?: boolean;
}

/** Switches for policies written for opa-envoy-plugin; every default is the stricter reading but `header_map_bodies`. */
export interface CompatibilityConfig {
  readonly ambiguous_paths: boolean;
  readonly duplicate_keys: boolean;
  readonly header_map_bodies: boolean;
  readonly expose_credentials: boolean;
}

export const networkConfigSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'What the gateway can be believed about the client: its address, and the size of what it sends.',
  properties: {
    trusted_hops: {
      type: 'integer',
      minimum: 0,
      maximum: 16,
      default: 0,
      description:
        "0: the gateway's direct peer; n: the n-th address from the right of x-forwarded-for, which needs the gateway's use_remote_address.",
    },
    partial_bodies: {
      type: 'boolean',
      default: false,
      description:
        "True where the gateway's filter has allow_partial_message: Envoy then calls a body whole that it cut at exactly max_request_bytes, so only a content-length tells a size.",
    },
  },
} as const;

export const compatibilityConfigSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Switches for policies written for opa-envoy-plugin.',
  properties: {
    ambiguous_paths: {
      type: 'boolean',
      default: false,
      description:
        'Let the policy judge targets that upstreams may read differently (no route matches them), and, in decisions that need no route, contradictory content headers.',
    },
    duplicate_keys: {
      type: 'boolean',
      default: false,
      description: 'Accept JSON objects that name a key twice; the last one wins.',
    },
    header_map_bodies: {
      type: 'boolean',
      default: true,
      description: 'Parse bodies also of requests whose headers came as a header map.',
    },
    expose_credentials: {
      type: 'boolean',
      default: false,
      description: 'Leave verified credentials readable in the input of decisions of the opa-envoy shape.',
    },
  },
} as const;
