import type { Allow } from '../decision/decision.ts';
import { OWNED_HEADERS } from '../decision/decision.ts';
import { isObject } from '../decision/json.ts';
import type { Outcome } from '../decision/ports.ts';
import { chargeTermsOf, countedPlan } from './charged.ts';
import type { Expectation } from './expectation.ts';

/** Writes the decision event of an outcome, as the decision log would. */
export type ToEvent = (outcome: Outcome, sequence: number) => unknown;

/** What is not as expected, each as `key: expected …, got …`. */
export function differences(expect: Expectation, outcome: Outcome, toEvent: ToEvent | undefined): readonly string[] {
  const { decision } = outcome;
  const found: string[] = [];
  const differ = (key: string, wanted: unknown, got: unknown): void => {
    found.push(`\`${key}\`: expected ${show(wanted)}, got ${show(got)}`);
  };
  if (decision.kind !== expect.decision) {
    const told = decision.kind === 'deny' ? `deny ${decision.status} (${decision.code})` : 'allow';
    found.push(`\`decision\`: expected ${expect.decision}, got ${told}`);
  }
  const denial = decision.kind === 'deny' ? decision : undefined;
  for (const key of ['status', 'reason', 'code'] as const) {
    const wanted = expect[key];
    if (wanted !== undefined && wanted !== denial?.[key]) differ(key, wanted, denial?.[key]);
  }
  if (expect.reasons !== undefined && !sameSet(expect.reasons, decision.reasons)) {
    differ('reasons', expect.reasons, decision.reasons);
  }
  const set = decision.kind === 'allow' ? requestHeaders(decision) : NO_HEADERS;
  compareHeaders('headers', expect.headers, set, differ);
  const removed = decision.kind === 'allow' ? decision.removeHeaders : [];
  for (const name of expect.removed ?? []) if (!removed.includes(name)) differ('removed', name, removed);
  const response = decision.kind === 'allow' ? decision.responseHeaders : decision.headers;
  compareHeaders('response_headers', expect.responseHeaders, new Map(response), differ);
  const upstream = set.get(OWNED_HEADERS.upstream) ?? null;
  if (expect.upstream !== undefined && expect.upstream !== upstream) differ('upstream', expect.upstream, upstream);
  const plan = outcome.quota?.plan ?? null;
  if (expect.plan !== undefined && expect.plan !== plan) differ('plan', expect.plan, plan);
  compareCharges(expect, outcome, differ);
  if (expect.event !== undefined && toEvent !== undefined) {
    compareSubset('event', expect.event, toEvent(outcome, 1), differ);
  }
  return found;
}

type Differ = (key: string, wanted: unknown, got: unknown) => void;

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

function requestHeaders({ ownedHeaders, setHeaders }: Allow): ReadonlyMap<string, string> {
  return new Map([...ownedHeaders, ...setHeaders]);
}

function compareHeaders(
  key: string,
  wanted: ReadonlyMap<string, string | null> | undefined,
  got: ReadonlyMap<string, string>,
  differ: Differ,
): void {
  for (const [name, value] of wanted ?? []) {
    const present = got.get(name) ?? null;
    if (present !== value) differ(`${key}.${name}`, value, present);
  }
}

function compareCharges({ charges }: Expectation, outcome: Outcome, differ: Differ): void {
  if (charges === undefined) return;
  const plan = countedPlan(outcome) ?? [];
  const names = plan.map(({ terms }) => terms.name);
  if (!sameSet([...charges.keys()], names)) differ('charges', [...charges.keys()], names);
  for (const charge of plan) {
    const wanted = charges.get(charge.terms.name);
    if (wanted !== undefined) compareSubset(`charges.${charge.terms.name}`, wanted, chargeTermsOf(charge), differ);
  }
}

/** Objects may have more members than is wanted of them; lists not. */
function compareSubset(key: string, wanted: unknown, got: unknown, differ: Differ): void {
  if (isObject(wanted) && isObject(got)) {
    for (const [name, member] of Object.entries(wanted)) {
      compareSubset(`${key}.${name}`, member, Object.hasOwn(got, name) ? got[name] : undefined, differ);
    }
  } else if (Array.isArray(wanted) && Array.isArray(got) && got.length === wanted.length) {
    for (const [index, item] of wanted.entries()) compareSubset(`${key}[${index}]`, item, got[index], differ);
  } else if (wanted !== got) differ(key, wanted, got);
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).size === new Set(b).size && a.every((one) => b.includes(one));
}

const MAX_SHOWN = 400;

function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const shown = JSON.stringify(value) ?? typeof value;
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
}
