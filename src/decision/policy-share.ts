import { RequestFault } from './errors.ts';
import type { PolicyInput } from './input.ts';
import type { AuthorizePorts, Generation } from './ports.ts';
import type { Principal } from './principal.ts';
import type { Trace } from './trace.ts';

/** Before anything is evaluated: whoever has used up his share of the processor leaves the others theirs. */
export function demandShare({ policyShare }: AuthorizePorts, trace: Trace): void {
  if (policyShare === undefined || policyShare.admits(principalOf(trace), trace.at)) return;
  throw new RequestFault('policy_budget', "the tenant's evaluations used up its `policy.tenant_share`");
}

/** Evaluates an entrypoint, and counts what that took against the caller's share, also where it failed. */
export function evaluate(
  { policyShare }: AuthorizePorts,
  trace: Trace,
  generation: Generation,
  entrypoint: string,
  input: PolicyInput,
): unknown {
  try {
    const { value, overBudget, steps } = generation.evaluate(entrypoint, input, trace.at);
    if (overBudget) trace.overBudget = true;
    if (steps !== undefined) policyShare?.spend(principalOf(trace), steps, trace.at);
    return value;
  } catch (error) {
    if (error instanceof RequestFault) policyShare?.spend(principalOf(trace), error.steps, trace.at);
    throw error;
  }
}

function principalOf({ authentication }: Trace): Principal | undefined {
  return authentication?.kind === 'verified' ? authentication.principal : undefined;
}
