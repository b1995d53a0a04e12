import { type ChargePlan, missingLimits, parsePlans } from '../../decision/charges.ts';
import { RequestFault } from '../../decision/errors.ts';
import { INPUT_MEMBERS, type InputMember, identityInput, type PolicyInput } from '../../decision/input.ts';
import { isObject, type JsonValue } from '../../decision/json.ts';
import type { Clock, Inspected, PayloadSize } from '../../decision/ports.ts';
import type { LoadedPolicy } from '../../policy/policy-engine.ts';
import type { Combination } from './combinations.ts';

/** What may be wrong with a combination that passes, or with one that cannot. */
export type Finding =
  /** Allowed, and no plan holds a charge that is enforced. */
  | 'uncharged'
  /** Allowed, and neither route nor policy minds how large the payload is. */
  | 'unbounded'
  /** The policy would allow it, but its charges are malformed or lack a limit that the route requires. */
  | 'never_passes';

export interface Judgement {
  readonly allowed: boolean;
  readonly findings: readonly Finding[];
}

export interface JudgeParts {
  readonly policy: LoadedPolicy;
  readonly decision: string;
  readonly limits: string | undefined;
  readonly clock: Clock;
}

/** Asks the compiled policy itself, as the service would: what is found is what is served. */
export function createJudge({ policy, decision, limits, clock }: JudgeParts): (asked: Combination) => Judgement {
  const allows = (asked: Combination, size: PayloadSize): boolean => {
    const { value } = policy.evaluate(decision, toInput(asked, size), clock.now());
    return isObject(value) && value['allow'] === true;
  };
  const plansOf = (asked: Combination): readonly ChargePlan[] => {
    if (limits === undefined) return [[]];
    const size: PayloadSize = { known: true, bytes: 0 };
    const { value } = policy.evaluate(limits, toInput(asked, size), clock.now());
    const { principal, method } = asked;
    return parsePlans(value, { method, principal, peer: null, inspected: toInspected(asked, size) });
  };

  return (asked) => {
    if (!allows(asked, { known: true, bytes: 0 })) return { allowed: false, findings: [] };
    const charged = isCharged(() => plansOf(asked), asked.route.limits);
    if (charged === 'never_passes') return { allowed: false, findings: ['never_passes'] };
    const unbounded = asked.route.maxBytes === undefined && (allows(asked, HUGE) || allows(asked, UNKNOWN));
    const findings: Finding[] = [];
    if (charged === 'uncharged') findings.push('uncharged');
    if (unbounded) findings.push('unbounded');
    return { allowed: true, findings };
  };
}

const HUGE: PayloadSize = { known: true, bytes: Number.MAX_SAFE_INTEGER };
const UNKNOWN: PayloadSize = { known: false, at_least: 0 };

function isCharged(
  plans: () => readonly ChargePlan[],
  required: readonly string[],
): 'charged' | 'uncharged' | 'never_passes' {
  try {
    const found = plans();
    if (missingLimits(found, required).length > 0) return 'never_passes';
    const enforced = (plan: ChargePlan): boolean =>
      plan.some(({ terms }) => terms.mode === 'enforce' && terms.cost > 0);
    return found.every(enforced) ? 'charged' : 'uncharged';
  } catch (error) {
    if (error instanceof RequestFault) return 'never_passes';
    throw error;
  }
}

function toInput(asked: Combination, size: PayloadSize): PolicyInput {
  const { principal, matched, method, path, route } = asked;
  const { name, tenant, model, operation, params } = matched;
  const members: Partial<Record<InputMember, JsonValue>> = {
    request: { method, path, host: 'check-data.invalid', scheme: 'https', size: { ...size } },
    route: { name, tenant, model, operation, params },
    identity: identityInput(principal),
    peer: null,
    network: NETWORK,
    // A body that asks for as much as it may.
    ...(route.body === 'none' ? {} : { inference: { model, estimated_prompt_tokens: 1 } }),
    quota: { plan: 0, taken: true, limits: {} },
  };
  // One entry for every member, so the keys are all there.
  return Object.fromEntries(INPUT_MEMBERS.map((member) => [member, () => members[member]])) as PolicyInput;
}

/** RFC 5737: an address that is nobody's. */
const NETWORK = { client_ip: '192.0.2.1' } as const;

function toInspected({ matched, path }: Combination, size: PayloadSize): Inspected {
  const plugin = {
    parsedPath: () => [],
    parsedQuery: () => ({}),
    parsedBody: () => null,
    truncatedBody: () => false,
  };
  return { kind: 'inspected', path, size, route: matched, network: NETWORK, plugin };
}
