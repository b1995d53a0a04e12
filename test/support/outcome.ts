import { deny, parseVerdict } from '../../src/decision/decision.ts';
import type { CoreCode } from '../../src/decision/errors.ts';
import type { Outcome } from '../../src/decision/ports.ts';
import { accessRequest, generation, inspected, NAMED, tenantA } from './core.ts';

/** An outcome that allows: alice of tenant-a infers; whatever the test names is otherwise. */
export function allowOutcome(overrides: Partial<Outcome> = {}): Outcome {
  const result = overrides.result ?? { allow: true, reasons: [] };
  const decision = parseVerdict(result, {
    shape: overrides.named?.result ?? 'sallyport',
    allowRedirects: false,
    anonymous: false,
    owned: { decisionId: 'decision-1', tenant: 'tenant-a', roles: ['analyst'] },
    stripHeaders: [],
  });
  return { ...outcome(), result, decision, ...overrides };
}

/** An outcome that denies with a core code. */
export function denyOutcome(
  code: CoreCode,
  overrides: Partial<Outcome> & { readonly reasons?: readonly string[] } = {},
): Outcome {
  const { reasons = [], ...rest } = overrides;
  return { ...outcome(), decision: deny(code, { reasons }), ...rest };
}

/** A generation whose policy has exactly these constants. */
export function withConstants(...constants: readonly string[]): NonNullable<Outcome['generation']> {
  const known = new Set(constants);
  return generation({}, { isPolicyConstant: (text) => known.has(text) });
}

function outcome(): Omit<Outcome, 'decision'> {
  return {
    decisionId: 'decision-1',
    at: { epochMs: Date.UTC(2026, 10, 2, 12) + 0.5, monotonicMs: 1_000 },
    request: accessRequest({
      door: 'ext_authz_grpc',
      requestId: 'request-1',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      headerList: [['authorization', 'Bearer not-a-token']],
    }),
    generation: withConstants('tenant mismatch', 'reasons', 'allow'),
    named: NAMED,
    principal: tenantA,
    inspected: inspected({ inference: { model: 'llama-3-8b', stream: false, max_tokens: 100 } }),
    quota: { plan: 0, taken: true, limits: {} },
    overBudget: false,
    phaseMs: { identify: 0.01, inspect: 0.02, meter: 0.03, decide: 0.04, total: 0.1 },
  };
}
