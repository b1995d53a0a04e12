/** `rollout:` of the config: how a new bundle comes into force, and what is only watched. */
export interface RolloutConfig {
  readonly observe: readonly ObserveConfig[];
  /** Of the requests that may be compared, how many in a hundred are considered. */
  readonly shadow_percent: number;
  /** How a candidate comes into force where no order says it; empty: it is compared and nothing more. */
  readonly steps: readonly RolloutStep[];
  readonly guard_rails: GuardRailsConfig;
  /** What share of a processor comparing may take, in percent. */
  readonly max_cpu_percent: number;
  /** Secret, the same on all replicas of a fleet: who is in a canary is then the same on each. Made once where absent. */
  readonly salt?: string;
  /** Where the state of a rollout is kept over restarts; absent: in memory alone. */
  readonly data_dir?: string;
}

/** A route whose denials are recorded and not made, until then. */
export interface ObserveConfig {
  readonly route: string;
  /** ISO 8601 with a time zone; at most 7 days ahead. */
  readonly until: string;
}

export interface RolloutStep {
  /** 0: compared, and it decides for nobody. */
  readonly percent: number;
  readonly minutes: number;
}

/** When a candidate is taken back. Percentages are of voters, see `one_vote_per`. */
export interface GuardRailsConfig {
  readonly window_seconds: number;
  /** How many voters must have been compared before anything is judged, and before a step is over. */
  readonly min_principals: number;
  /** For how long a candidate is compared at the most before it first decides for anybody; less once enough voters were. */
  readonly compare_first_seconds: number;
  /** However few voters there are: fewer than this many who are affected trip nothing. */
  readonly min_affected: number;
  /** `tenant`: all of a tenant are one vote. `principal`: for a service of one tenant. */
  readonly one_vote_per: 'tenant' | 'principal';
  readonly max_deny_changed_percent: number;
  /** Denied before and allowed now; absent: counted only. */
  readonly max_allow_changed_percent?: number;
  readonly max_error_percent: number;
  /** A voter is slow where the candidate takes more than this many times as long. */
  readonly max_latency_ratio: number;
  /** And at least this much longer, on the mean of his requests. */
  readonly min_latency_ms: number;
  readonly max_slow_percent: number;
  /** An evaluation that takes longer while comparing: its voter is compared no more for a while, and all less. */
  readonly max_evaluation_ms: number;
}

const percent = { type: 'number', minimum: 0, maximum: 100 } as const;

const guardRailsSchema = {
  type: 'object',
  description: 'What takes a candidate back. Old and new are compared on the same requests of verified callers.',
  properties: {
    window_seconds: {
      type: 'integer',
      minimum: 5,
      maximum: 86_400,
      default: 60,
      description: 'How far back is judged.',
    },
    min_principals: {
      type: 'integer',
      minimum: 1,
      maximum: 2_000,
      default: 20,
      description: 'Voters that must have been compared before anything is judged and before a step is over.',
    },
    compare_first_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: 86_400,
      default: 60,
      description: 'A candidate decides for nobody until `min_principals` were compared, or for so long at the most.',
    },
    min_affected: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000,
      default: 3,
      description: 'Fewer affected voters than this trip nothing.',
    },
    one_vote_per: {
      enum: ['tenant', 'principal'],
      default: 'tenant',
      description: 'Who has a vote; `principal` is for a service of one tenant.',
    },
    max_deny_changed_percent: { ...percent, default: 5, description: 'Voters newly denied.' },
    max_allow_changed_percent: { ...percent, description: 'Voters newly allowed; absent: counted only.' },
    max_error_percent: { ...percent, default: 1, description: 'Voters for whom the candidate alone fails.' },
    max_latency_ratio: {
      type: 'number',
      minimum: 1,
      maximum: 1_000,
      default: 3,
      description: 'How many times as long the candidate may take.',
    },
    min_latency_ms: {
      type: 'number',
      minimum: 0,
      maximum: 10_000,
      default: 1,
      description: 'What is less than this much longer is not slow.',
    },
    max_slow_percent: { ...percent, default: 25, description: 'Voters for whom the candidate is slow.' },
    max_evaluation_ms: {
      type: 'number',
      minimum: 5,
      maximum: 10_000,
      default: 50,
      description: 'An evaluation that takes longer while comparing is a failure, and comparing is then done less.',
    },
  },
  additionalProperties: false,
  default: {},
} as const;

export const rolloutConfigSchema = {
  type: 'object',
  description: 'How a new bundle comes into force, and which routes are only watched.',
  properties: {
    observe: {
      type: 'array',
      maxItems: 64,
      default: [],
      description: 'Routes whose denials by policy or quota are recorded and not made.',
      items: {
        type: 'object',
        properties: {
          route: { type: 'string', minLength: 1, maxLength: 128, description: 'The route’s name in the catalog.' },
          until: { type: 'string', maxLength: 40, description: 'When that ends, such as `2026-11-05T12:00:00Z`.' },
        },
        required: ['route', 'until'],
        additionalProperties: false,
      },
    },
    shadow_percent: {
      ...percent,
      default: 100,
      description: 'Of the requests of each caller, how many are considered.',
    },
    steps: {
      type: 'array',
      maxItems: 32,
      default: [],
      description: 'How a candidate comes into force where no signed order says it.',
      items: {
        type: 'object',
        properties: {
          percent: { ...percent, description: 'Of the verified tenants; 0: it is compared only.' },
          minutes: { type: 'number', exclusiveMinimum: 0, maximum: 43_200, description: 'How long at the least.' },
        },
        required: ['percent', 'minutes'],
        additionalProperties: false,
      },
    },
    guard_rails: guardRailsSchema,
    max_cpu_percent: {
      type: 'number',
      minimum: 0.1,
      maximum: 50,
      default: 5,
      description: 'What comparing may take of one processor.',
    },
    salt: {
      type: 'string',
      minLength: 16,
      maxLength: 256,
      description: 'Secret, the same on all replicas: a tenant is then in or out of a canary on all of them.',
    },
    data_dir: { type: 'string', minLength: 1, description: 'Where the state of a rollout is kept.' },
  },
  additionalProperties: false,
  default: {},
} as const;

export const MAX_OBSERVE_MS: number = 7 * 24 * 3_600_000;

/** The end of an observation in epoch milliseconds; `undefined` where the text is no time with a zone. */
export function observeEndMs(until: string): number | undefined {
  if (!ISO_TIME.test(until)) return undefined;
  const epochMs = Date.parse(until);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** What the schema cannot say. An end that has passed is no fault: that route is simply not observed. */
export function checkRolloutConfig(
  config: RolloutConfig,
  nowEpochMs: number,
): readonly { readonly path: string; readonly message: string }[] {
  const faults: { path: string; message: string }[] = [];
  const routes = new Set<string>();
  for (const [index, { route, until }] of config.observe.entries()) {
    const path = `rollout.observe[${index}]`;
    const endMs = observeEndMs(until);
    if (endMs === undefined) {
      faults.push({ path: `${path}.until`, message: 'is no time with a zone: write it as `2026-11-05T12:00:00Z`' });
    } else if (endMs > nowEpochMs + MAX_OBSERVE_MS) {
      faults.push({ path: `${path}.until`, message: 'is more than 7 days ahead: name an earlier end' });
    }
    if (routes.has(route)) faults.push({ path: `${path}.route`, message: 'is there twice' });
    routes.add(route);
  }
  let before = 0;
  for (const [index, { percent: now }] of config.steps.entries()) {
    if (now < before) {
      faults.push({
        path: `rollout.steps[${index}].percent`,
        message: 'is less than the step before: steps only grow',
      });
    }
    before = now;
  }
  const { min_affected, min_principals } = config.guard_rails;
  if (min_affected > min_principals) {
    const message = 'is more than `min_principals`: nothing would ever trip';
    faults.push({ path: 'rollout.guard_rails.min_affected', message });
  }
  return faults;
}
