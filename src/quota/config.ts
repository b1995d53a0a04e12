/** Where quotas are counted. `none` can take only plans without charges. */
export interface QuotaConfig {
  readonly store: { readonly kind: 'none' };
  /** When the answer to callers that keep being refused comes early, as 429. */
  readonly refusals: { readonly limit: number; readonly per_seconds: number; readonly max_entries: number };
}

export const quotaConfigSchema = {
  type: 'object',
  description: 'Where quotas are counted.',
  properties: {
    store: {
      type: 'object',
      properties: {
        kind: {
          enum: ['none'],
          default: 'none',
          description: '`none`: no store; a policy that charges anything is answered 503 `unavailable`.',
        },
      },
      additionalProperties: false,
      default: {},
    },
    refusals: {
      type: 'object',
      description: 'When callers without a valid credential that keep being refused are answered 429 early.',
      properties: {
        limit: {
          type: 'integer',
          minimum: 1,
          default: 300,
          description: 'refusals of one address, /64, key or peer that are looked at in `per_seconds`',
        },
        per_seconds: {
          type: 'integer',
          minimum: 1,
          maximum: 86_400,
          default: 60,
          description: 'the period of `limit`',
        },
        max_entries: {
          type: 'integer',
          minimum: 100,
          maximum: 1_000_000,
          default: 20_000,
          description: 'how many callers are remembered',
        },
      },
      additionalProperties: false,
      default: {},
    },
  },
  additionalProperties: false,
  default: {},
} as const;
