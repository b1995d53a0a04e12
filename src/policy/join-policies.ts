import { RequestFault } from '../decision/errors.ts';
import type { LoadedPolicy } from './policy-engine.ts';

/** Several policies as one: the one that has the entrypoint evaluates it. Closing it closes them all. */
export function joinPolicies(policies: readonly LoadedPolicy[]): LoadedPolicy {
  const [only, ...others] = policies;
  if (only !== undefined && others.length === 0) return only;
  const byEntrypoint = new Map(policies.flatMap((policy) => policy.entrypoints.map((name) => [name, policy] as const)));
  const policyOf = (entrypoint: string): LoadedPolicy => {
    const policy = byEntrypoint.get(entrypoint);
    if (policy === undefined) throw new RequestFault('policy_error', `no bundle has the entrypoint \`${entrypoint}\``);
    return policy;
  };
  return {
    entrypoints: [...byEntrypoint.keys()].sort(),
    evaluate: (entrypoint, input, at) => policyOf(entrypoint).evaluate(entrypoint, input, at),
    evaluateText: (entrypoint, input, at) => policyOf(entrypoint).evaluateText(entrypoint, input, at),
    inputPaths: (entrypoint) => byEntrypoint.get(entrypoint)?.inputPaths(entrypoint) ?? [],
    isPolicyConstant: (text) => policies.some((policy) => policy.isPolicyConstant(text)),
    budgetOverruns: () => policies.reduce((sum, policy) => sum + policy.budgetOverruns(), 0),
    close: () => {
      for (const policy of policies) policy.close();
    },
  };
}
