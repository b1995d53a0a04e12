import type { Place } from './rego-module.ts';

export const RULES = ['raw-header', 'absent-comparison', 'absent-negation', 'never-null'] as const;
export type RuleId = (typeof RULES)[number];

/** Something in a policy that is likely not what its author means. */
export interface Finding extends Place {
  readonly rule: RuleId | 'unknown-rule';
  readonly message: string;
}

export type Report = (rule: RuleId, place: Place, message: string) => void;
