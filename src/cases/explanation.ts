import type { LimitState } from '../decision/charges.ts';
import { OWNED_HEADERS } from '../decision/decision.ts';
import type { Outcome } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { countedPlan } from './charged.ts';

type Line = readonly [string, string];

/** What was decided, why, for whom and by which revision: a name and a text each. */
export function summaryOf(outcome: Outcome): readonly Line[] {
  const { decision, principal, inspected, generation, named, cause } = outcome;
  const route = inspected?.kind === 'inspected' ? inspected.route : undefined;
  const lines: (readonly [string, string | undefined])[] = [
    ['decision', decision.kind === 'allow' ? 'allow' : `deny ${decision.status} ${decision.reason} (${decision.code})`],
    ['reasons', decision.reasons.length === 0 ? undefined : decision.reasons.join(', ')],
    ['cause', cause],
    ['route', route === undefined || route === null ? undefined : `${route.name} ${routeText(route)}`],
    ['identity', principal === undefined ? 'anonymous' : identityText(principal)],
    ['entrypoint', named?.decision],
    ['upstream', decision.kind === 'allow' ? headerOf(decision.setHeaders, OWNED_HEADERS.upstream) : undefined],
    ['bundles', [...(generation?.revisions ?? [])].map(([name, revision]) => `${name}@${revision}`).join(' ')],
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

/** The same and all behind it: each reason, what was charged and what is left, the headers, and the policy's result. */
export function explanationOf(outcome: Outcome): readonly Line[] {
  const { decision, plans, quota, named, result, phaseMs, overBudget } = outcome;
  const summary = summaryOf(outcome).filter(([name]) => name !== 'reasons');
  const lines: Line[] = [...summary, ...decision.reasons.map((reason) => ['reason', reason] as const)];
  if (named !== undefined) lines.push(['limits', named.limits ?? 'the decision has none']);
  if (plans !== undefined) {
    const taken = quota?.plan === undefined ? 'none taken' : `number ${quota.plan} taken`;
    lines.push(['plans', `${plans.length}, ${taken}`]);
    for (const charge of countedPlan(outcome) ?? []) {
      const { name, cost, unit, limit, periodSeconds, dimensions, mode } = charge.terms;
      const per = periodSeconds === undefined ? '' : ` per ${periodSeconds} s`;
      const shadow = mode === 'shadow' ? ', shadow' : '';
      lines.push(['charge', `${name} ${cost} of ${limit} ${unit}${per} by ${dimensions.join(', ')}${shadow}`]);
    }
  }
  for (const [name, state] of Object.entries(quota?.limits ?? {})) lines.push(['quota', `${name} ${stateText(state)}`]);
  if (decision.kind === 'allow') {
    for (const [name, value] of [...decision.ownedHeaders, ...decision.setHeaders])
      lines.push(['sets', `${name}: ${value}`]);
    for (const name of decision.removeHeaders) lines.push(['removes', name]);
  }
  const answered = decision.kind === 'allow' ? decision.responseHeaders : decision.headers;
  for (const [name, value] of answered) lines.push(['answers', `${name}: ${value}`]);
  if (result !== undefined) lines.push(['result', JSON.stringify(result)]);
  if (phaseMs.total !== undefined)
    lines.push(['took', `${phaseMs.total.toFixed(2)} ms${overBudget ? ', over its budget' : ''}`]);
  return lines;
}

export function linesText(lines: readonly Line[]): string {
  return lines.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join('');
}

function stateText({ remaining, limit, unit, exceeded, shadow, verified, wait_ms: waitMs }: LimitState): string {
  const notes = [
    exceeded ? `exceeded, fits in ${waitMs} ms` : '',
    shadow ? 'shadow' : '',
    verified ? '' : 'not verified',
  ];
  const told = notes.filter((note) => note !== '').join(', ');
  return `${remaining} of ${limit} ${unit} left${told === '' ? '' : ` (${told})`}`;
}

function headerOf(headers: readonly (readonly [string, string])[], name: string): string | undefined {
  return headers.find(([key]) => key === name)?.[1];
}

function routeText(route: { readonly tenant?: string; readonly model?: string; readonly operation?: string }): string {
  const { tenant, model, operation } = route;
  return Object.entries({ tenant, model, operation })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    .join(' ');
}

function identityText({ kind, subject, tenant, tier, roles }: Principal): string {
  const parts = { subject, tenant, tier, roles: roles.length === 0 ? undefined : roles.join('|') };
  const named = Object.entries(parts).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return [kind, ...named].join(' ');
}
