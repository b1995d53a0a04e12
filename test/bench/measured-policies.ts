import type { JsonValue } from '../../src/decision/json.ts';
import { fixture } from '../contract/policy-support/compile-policy.ts';
import { TENANT_DATA, tenantInput } from './tenant-policy.ts';

/** What a policy is asked, as members of `input`, and what it has to answer. */
export interface Question {
  readonly input: { readonly [member: string]: JsonValue };
  readonly expected: JsonValue;
}

/** One policy that every engine is measured on. */
export interface MeasuredPolicy {
  readonly rego: string;
  readonly entrypoint: string;
  readonly data: JsonValue;
  /** Each as much work as the others: they are timed in turns, and `opa bench` with the first. */
  readonly timed: readonly Question[];
  /** Others, which are only checked. */
  readonly checked: readonly Question[];
}

/** How many questions are asked in turns: V8 must not learn one input by heart. */
const QUESTIONS = 8;

export function tenantPolicy(): MeasuredPolicy {
  const [stranger, large] = [tenantInput('tenant-a'), tenantInput('tenant-b')];
  const of = (input: Question['input'], reasons: readonly string[]): Question => ({
    input,
    expected: { allow: reasons.length === 0, reasons },
  });
  return {
    rego: fixture('tenant'),
    entrypoint: 'tenant/decision',
    data: TENANT_DATA,
    timed: times(QUESTIONS, (number) => of(tenantInput(`tenant-${number}`), [])),
    checked: [
      of({ ...stranger, route: tenantInput('tenant-b')['route'] ?? null }, ['tenant_mismatch']),
      of({ ...large, request: { size: { known: true, bytes: 1_000_001 } } }, ['payload_too_large']),
    ],
  };
}

/** A rule for each role, as a generator writes them from a table: the role, and what it may do to what. */
export function rbacPolicy(roles: number): MeasuredPolicy {
  const operations = ['infer', 'embed', 'list', 'rerank'];
  const role = (number: number) => `role-${number}`;
  const operation = (number: number) => operations[number % operations.length] ?? '';
  const rules = times(
    roles,
    (number) => `allow if {
	input.identity.role == "${role(number)}"
	input.route.operation == "${operation(number)}"
	input.route.model == "model-${number % 10}"
}`,
  );
  const of = (number: number, wanted: string, expected: boolean): Question => ({
    input: {
      identity: { kind: 'jwt', subject: 'user-1', tenant: 'tenant-a', role: role(number) },
      route: { name: 'any', tenant: 'tenant-a', model: `model-${number % 10}`, operation: wanted },
    },
    expected,
  });
  return {
    rego: ['package rbac', 'default allow := false', ...rules].join('\n\n'),
    entrypoint: 'rbac/allow',
    data: {},
    timed: spread(roles).map((number) => of(number, operation(number), true)),
    checked: [of(3, operation(2), false), of(roles, operation(roles), false)],
  };
}

/** Patterns like those of a web application firewall. */
const PATTERNS = [
  '(?i)\\b(select|union|insert|update|delete|drop)\\b.{0,40}\\b(from|into|table|where)\\b',
  '(?i)<script[^>]*>',
  '(?i)ignore (all )?(previous|prior|above) instructions',
  '\\.\\./',
  '(?i)(\\bor\\b|\\band\\b)\\s+\\d+\\s*=\\s*\\d+',
  '(?i)javascript:',
  '[A-Za-z0-9+/]{20,}={0,2}',
  '(?i)on(error|load|click)\\s*=',
  '\\x00',
  '(?i)(sleep|benchmark|waitfor)\\s*\\(',
];

const SENTENCES = [
  'Please select three rivers of Europe and say which of them is the longest.',
  'The second paragraph should update what the first one says about 1848.',
  'We slept badly; on Monday the train to Basel was late, and nobody told us why.',
  'Write it for children (ten years or older), in words that they know.',
  'Order the answers by length, and drop those that have no source.',
  'Nothing in the list may be repeated, or the reader will stop there.',
];

/** Ten patterns, each looked for in 1 kB of prose that none of them matches: each reads all of it. */
export function regexPolicy(): MeasuredPolicy {
  const rules = PATTERNS.map(
    (pattern, number) => `found contains ${number} if regex.match(\`${pattern}\`, input.parsed_body.prompt)`,
  );
  const prose = (first: number, attack = ''): string => {
    const turned = times(40, (number) => SENTENCES[(first + number) % SENTENCES.length] ?? '');
    return `${turned.join(' ').slice(0, 1_000 - attack.length)}${attack}`;
  };
  const of = (prompt: string, expected: readonly number[]): Question => ({
    input: { parsed_body: { prompt } },
    expected,
  });
  return {
    rego: ['package waf', ...rules].join('\n\n'),
    entrypoint: 'waf/found',
    data: {},
    timed: times(QUESTIONS, (number) => of(prose(number), [])),
    checked: [
      of(prose(0, ' <SCRIPT src=x> sleep (9)'), [1, 9]),
      of(prose(1, ' x UNION all FROM y or 1 = 1'), [0, 4]),
      of(prose(2, ' ../etc/passwd \u0000'), [3, 8]),
    ],
  };
}

/** Rules that differ in the one text that they compare with. */
export function equalityRules(rules: number): MeasuredPolicy {
  const of = (number: number, expected: number): Question => ({
    input: { route: { name: 'infer', tenant: `tenant-${number}`, model: 'llama-3-8b', operation: 'infer' } },
    expected,
  });
  return {
    rego: [
      'package rules',
      'default plan := -1',
      ...times(rules, (number) => `plan := ${number} if input.route.tenant == "tenant-${number}"`),
    ].join('\n\n'),
    entrypoint: 'rules/plan',
    data: {},
    timed: spread(rules).map((number) => of(number, number)),
    checked: [of(rules, -1)],
  };
}

/** What a request's tenant may is looked up among so many. */
export function manyTenants(tenants: number): MeasuredPolicy {
  const of = (number: number, model: number, expected: boolean): Question => ({
    input: {
      identity: { kind: 'jwt', subject: 'user-1', tenant: `tenant-${number}`, tier: 'premium' },
      route: { name: 'infer', tenant: `tenant-${number}`, model: `model-${model}`, operation: 'infer' },
    },
    expected,
  });
  const record = (number: number) => ({
    tiers: ['free', 'premium', 'internal'],
    models: { [`model-${number % 10}`]: { region: 'eu-1' }, [`model-${(number + 1) % 10}`]: { region: 'eu-2' } },
  });
  return {
    rego: `package many

default allow := false

allow if {
	tenant := data.catalog.tenants[input.identity.tenant]
	input.identity.tenant == input.route.tenant
	input.identity.tier in tenant.tiers
	tenant.models[input.route.model].region
}`,
    entrypoint: 'many/allow',
    data: {
      catalog: { tenants: Object.fromEntries(times(tenants, (number) => [`tenant-${number}`, record(number)])) },
    },
    timed: spread(tenants).map((number) => of(number, number % 10, true)),
    checked: [of(3, 5, false), of(tenants, 0, false)],
  };
}

/** Numbers from the first to the last of so many. */
function spread(count: number): readonly number[] {
  return times(QUESTIONS, (number) => Math.round((number * (count - 1)) / (QUESTIONS - 1)));
}

function times<One>(count: number, one: (number: number) => One): readonly One[] {
  return Array.from({ length: count }, (_, number) => one(number));
}
