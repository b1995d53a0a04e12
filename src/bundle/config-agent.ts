import {
  type CredentialsConfig,
  credentialsSchema,
  type TlsClientConfig,
  tlsClientSchema,
  urlFaults,
} from './config-sources.ts';

/** What all bundles of this instance share. */
export interface AgentConfig {
  /** Where verified copies and the marks of the newest versions are kept. Relative to the config file's folder. */
  readonly data_dir?: string;
  readonly trial: TrialConfig;
  readonly status?: StatusConfig;
}

/** Bounds on what a bundle may use while it is examined before it is activated. */
export interface TrialConfig {
  readonly timeout_ms: number;
  readonly memory_mb: number;
}

/** Where this instance tells what it runs, by OPA's status API. */
export interface StatusConfig {
  readonly url: string;
  readonly credentials?: CredentialsConfig;
  readonly tls?: TlsClientConfig;
  /** At the latest; a change is told within a second. */
  readonly interval_seconds: number;
}

export const DEFAULT_TRIAL: TrialConfig = { timeout_ms: 30_000, memory_mb: 512 };

export const DEFAULT_AGENT: AgentConfig = { trial: DEFAULT_TRIAL };

export const agentConfigSchema = {
  type: 'object',
  description: 'What all bundles of this instance share.',
  properties: {
    data_dir: {
      type: 'string',
      minLength: 1,
      description: 'Where verified copies of bundles and the newest versions seen are kept; signed bundles need it.',
    },
    trial: {
      type: 'object',
      description: 'Bounds on a bundle while it is examined before it is activated.',
      properties: {
        timeout_ms: {
          type: 'integer',
          minimum: 100,
          maximum: 600_000,
          default: DEFAULT_TRIAL.timeout_ms,
          description: 'How long loading it and its cases may take.',
        },
        memory_mb: {
          type: 'integer',
          minimum: 64,
          maximum: 16_384,
          default: DEFAULT_TRIAL.memory_mb,
          description: 'How much memory that may take.',
        },
      },
      default: {},
      additionalProperties: false,
    },
    status: {
      type: 'object',
      description: 'Where this instance tells what it runs, by OPA’s status API.',
      properties: {
        url: { type: 'string', pattern: '^https?://', description: 'Posted to, such as `https://bundles/v1/status`.' },
        credentials: credentialsSchema,
        tls: tlsClientSchema,
        interval_seconds: {
          type: 'number',
          minimum: 1,
          maximum: 3600,
          default: 30,
          description: 'The longest time between two reports; a change is told within a second.',
        },
      },
      required: ['url'],
      additionalProperties: false,
    },
  },
  additionalProperties: false,
} as const;

/** What the schema cannot say of `agent` alone; see `checkBundlesConfig` for what bundles need of it. */
export function checkAgentConfig({ status }: AgentConfig): readonly { path: string; message: string }[] {
  if (status === undefined) return [];
  const secret = status.credentials !== undefined;
  return [
    ...urlFaults(status.url, 'agent.status.url', secret),
    ...(status.tls !== undefined && !status.url.startsWith('https:')
      ? [{ path: 'agent.status.tls', message: 'only an https url has TLS; leave it out' }]
      : []),
  ];
}
