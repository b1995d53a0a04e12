/** `policy:` of the config file, after defaults. */
export interface PolicyConfig {
  readonly engine: 'js' | 'wasm';
  /** By the name that a gateway may pick; local config names them, a bundle never does. */
  readonly decisions: { readonly [name: string]: DecisionConfig };
  /** Milliseconds of CPU time; a longer evaluation is ended, by `wasm` only counted and flagged. */
  readonly budget_ms: number;
  /** The part of one core that one tenant's evaluations may take for long; counted by the engine `js` alone. */
  readonly tenant_share: number;
  /** MiB of Wasm memory that one instance may grow to. */
  readonly memory_max_mb: number;
  /** Whether a Deny may carry a status of 300–399. */
  readonly redirects: boolean;
}

export interface DecisionConfig {
  readonly decision: string;
  readonly limits?: string;
  readonly result: 'sallyport' | 'opa-envoy';
}

const entrypoint = {
  type: 'string',
  pattern: '^[A-Za-z_][A-Za-z0-9_]*(/[^/\\s]+)*$',
  maxLength: 256,
};

/** JSON Schema 2020-12. */
export const policyConfigSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'How decisions are evaluated.',
  properties: {
    engine: {
      enum: ['js', 'wasm'],
      default: 'js',
      description: 'What evaluates the policy: its plan translated to JavaScript, or the module that OPA compiled.',
    },
    decisions: {
      type: 'object',
      minProperties: 1,
      maxProperties: 64,
      propertyNames: { pattern: '^[a-z][a-z0-9_-]{0,63}$' },
      default: { default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' } },
      description: 'The decisions that a gateway may ask for, by name; `default` is taken when it names none.',
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['decision', 'result'],
        properties: {
          decision: { ...entrypoint, description: 'Entrypoint of the decision, such as `authz/decision`.' },
          limits: {
            ...entrypoint,
            description: 'Entrypoint that names the charges; without it a route that requires limits is denied.',
          },
          result: {
            enum: ['sallyport', 'opa-envoy'],
            description: 'How its result is read: by our contract, or as opa-envoy-plugin reads it.',
          },
        },
      },
    },
    budget_ms: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 10_000,
      default: 5,
      description:
        'CPU time one evaluation may take, in milliseconds; beyond it is a denial, with `wasm` an overrun that is counted.',
    },
    tenant_share: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 1,
      default: 0.25,
      description:
        'Part of one core that the evaluations for one tenant may take, with a second of it at once; beyond it the tenant is denied. The anonymous are one.',
    },
    memory_max_mb: {
      type: 'integer',
      minimum: 16,
      maximum: 2_047,
      default: 1_024,
      description: 'Wasm memory that one instance may use, in MiB. Data takes about 20 times the size of its JSON.',
    },
    redirects: { type: 'boolean', default: false, description: 'Whether a denial may carry a status of 300 to 399.' },
  },
} as const;

/** What the schema cannot say. */
export function checkPolicyConfig(
  config: PolicyConfig,
): readonly { readonly path: string; readonly message: string }[] {
  const faults: { path: string; message: string }[] = [];
  if (!Object.hasOwn(config.decisions, 'default')) {
    faults.push({
      path: 'policy.decisions',
      message: 'a decision named `default` is missing: requests that name none need it',
    });
  }
  return faults;
}
