/** `log:` of the config: what the operational log on stderr says. */
export interface LogConfig {
  readonly level: LogLevel;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export const logConfigSchema = {
  type: 'object',
  description: 'The operational log on stderr; decision events never go there.',
  additionalProperties: false,
  default: {},
  properties: {
    level: {
      description: 'The least severe level that is written.',
      enum: LOG_LEVELS,
      default: 'info',
    },
  },
} as const;
