import { hash } from 'node:crypto';
import type { Config } from './config/config.ts';
import type { NamedDecision } from './decision/ports.ts';
import type { TrialPorts } from './decision/trial.ts';
import { createClientIp } from './inspection/client-address.ts';
import { startSystemTimer } from './telemetry/system-clock.ts';

/** The longest a request may wait for anything, whatever its caller allows. */
export const MAX_WAIT_MS = 5_000;

/** What a service of this config decides trials with: its own decisions and addresses, and nobody else's word. */
export function trialPorts(config: Pick<Config, 'policy' | 'network' | 'compatibility'>): TrialPorts {
  return {
    startTimer: startSystemTimer,
    clientIp: createClientIp(config.network),
    decisions: namedDecisions(config),
    allowRedirects: config.policy.redirects,
    exposeCredentials: config.compatibility.expose_credentials,
    digest: (text) => `sha256:${hash('sha256', text)}`,
    maxWaitMs: MAX_WAIT_MS,
    monotonicMs: () => performance.now(),
  };
}

export function namedDecisions({ policy }: Pick<Config, 'policy'>): ReadonlyMap<string, NamedDecision> {
  return new Map(Object.entries(policy.decisions).map(([name, decision]) => [name, { name, ...decision }]));
}

/** The entrypoints that a set of bundles must have. */
export function neededEntrypoints(config: Pick<Config, 'policy'>): readonly string[] {
  return [...namedDecisions(config).values()].flatMap(({ decision, limits }) =>
    limits === undefined ? [decision] : [decision, limits],
  );
}
