import type { AccessRequest } from './access-request.ts';
import { createAuthorize } from './authorize.ts';
import type { AuthorizePorts, Generation, Instant, Outcome, Quota } from './ports.ts';
import type { Authentication } from './principal.ts';
import { recordedQuota } from './recorded-quota.ts';

/** A request with all that the world would have said of it. */
export interface TrialRequest {
  readonly request: AccessRequest;
  readonly authentication: Authentication;
  readonly at: Instant;
  readonly quota: Quota;
  readonly decisionId: string;
}

/** Decides a request by a generation as the service would, with nobody asked: takes nothing, counts nothing. */
export type Try = (given: TrialRequest, generation: Generation) => Promise<Outcome>;

/** What of the service's ports a trial needs. */
export type TrialPorts = Pick<
  AuthorizePorts,
  'startTimer' | 'clientIp' | 'decisions' | 'allowRedirects' | 'exposeCredentials' | 'digest' | 'maxWaitMs'
> & { readonly monotonicMs: () => number };

export function createTry(ports: TrialPorts): Try {
  return async ({ request, authentication, at, quota, decisionId }, generation) => {
    const startedMs = ports.monotonicMs();
    const authorize = createAuthorize({
      ...ports,
      // The clock stands at the given moment and runs on from there, for the budget and the durations.
      clock: {
        now: () => ({ epochMs: at.epochMs, monotonicMs: at.monotonicMs + ports.monotonicMs() - startedMs }),
      },
      newDecisionId: () => decisionId,
      authenticate: () => authentication,
      refusals: NOBODY_REFUSED,
      currentGeneration: () => withoutCanary(generation),
      quota,
    });
    return authorize(request);
  };
}

/**
 * Decides once more what was decided, by another generation, with what was found out the first time: who asked, when, and
 * what was left of each limit. `undefined` where the policy was never asked: a refused credential, a request that could
 * not be read, no generation.
 */
export type Redecide = (outcome: Outcome, generation: Generation) => Promise<Outcome | undefined>;

export function createRedecide(tryOnce: Try): Redecide {
  return async (outcome, generation) => {
    const { authentication, request, at, decisionId } = outcome;
    if ('unreadable' in request || authentication === undefined || authentication.kind === 'refused') return undefined;
    if (outcome.generation === undefined) return undefined;
    return tryOnce({ request, authentication, at, decisionId, quota: recordedQuota(outcome) }, generation);
  };
}

const NOBODY_REFUSED = { isRepeated: () => false, count: () => {} };

function withoutCanary(generation: Generation): Generation {
  if (generation.canary === undefined) return generation;
  const { canary: _, ...alone } = generation;
  return alone;
}
