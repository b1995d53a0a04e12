/** Where quotas are counted. `none` can take only plans without charges. */
export interface QuotaConfig {
  readonly store: { readonly kind: 'none' };
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
  },
  additionalProperties: false,
  default: {},
} as const;
