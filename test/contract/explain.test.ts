import { beforeAll, expect, it } from 'vitest';
import { createExplainer, type Explainer } from '../../src/policy/explainer.ts';
import { parseJson } from '../../src/policy/values/json.ts';
import { describeWith } from '../support/describe-with.ts';
import { compilePolicy } from './policy-support/compile-policy.ts';
import { AT, policyInput } from './policy-support/engine.ts';

const REGO = `package t

import data.base

# 5
decision := {"allow": allow}

default allow := false

# 10
allow if {
	input.request.a == 1
	every n in input.request.list { n < 10 }
	count([n | some n in input.request.list; n > 2]) > 0
	not blocked
	input.request.c == 3 with input.request.c as input.request.d
}

blocked if input.request.blocked

some_of if {
	some role in input.request.roles
	role.name == "admin"
	role.active
}

some_of if false_of(1)

false_of(n) if n > 5

chain := "one" if {
	input.request.a == 7
} else := "two" if {
	input.request.a == 8
} else := "three"

names contains name if some name in base.names

names contains "late" if {
	names_of["x"]
}

names_of[key] := value if {
	some key, value in base.missing
}

looked if data.t.all[input.request.key]

all.a := 1

all.b := 2 if input.request.a == 9

broken := 1 if input.request.a == 1

broken := 2 if input.request.list

looped := count([1 | some i in numbers.range(1, 9); repeated(i)])

repeated(i) if i > 100

endless := count([1 |
	some a in numbers.range(1, 2000)
	some b in numbers.range(1, 2000)
	a * b == -1
])
`;
const NAMES = ['decision', 'some_of', 'chain', 'names', 'looked', 'broken', 'looped', 'endless'];

/** Where the text first stands, as `row:col`. */
function at(text: string): string {
  const lines = REGO.split('\n');
  const row = lines.findIndex((line) => line.includes(text));
  return `${row + 1}:${(lines[row]?.indexOf(text) ?? 0) + 1}`;
}

describeWith(['opa'], 'how an evaluation comes about', () => {
  let explainer: Explainer;

  beforeAll(() => {
    const entrypoints = NAMES.map((name) => `t/${name}`);
    const compiled = compilePolicy({ rego: { 't.rego': REGO }, entrypoints, data: { base: { names: ['x'] } } });
    let now = 0;
    explainer = createExplainer({
      policies: [{ plan: compiled.plan, entrypoints, rego: new Map([['t.rego', REGO]]) }],
      data: parseJson(new TextDecoder().decode(compiled.data)) ?? {},
      config: { budget_ms: 1, decisions: { default: { decision: 't/decision', result: 'sallyport' } } },
      randomBytes: (count) => new Uint8Array(count),
      cpuMs: () => (now += 1),
    });
  }, 60_000);

  /** Each rule that was entered: `depth rule outcome [row:col text how]`. */
  function told(name: string, request: { readonly [name: string]: never } | object): readonly string[] {
    const input = policyInput({ request: JSON.parse(JSON.stringify(request)) });
    const { trace } = explainer.explain(`t/${name}`, input, AT);
    return trace.rules.map(({ rule, depth, outcome, failed }) => {
      const what = failed === undefined ? '' : ` ${failed.row}:${failed.col} ${failed.text} ${failed.how}`;
      return `${depth} ${rule.replace('data.t.', '')} ${outcome}${what}`;
    });
  }

  it.each([
    ['an equality', { a: 2 }, `${at('input.request.a == 1')} input.request.a == 1 not_true`],
    ['what is not there', {}, `${at('input.request.a == 1')} input.request.a == 1 missing`],
    ['an `every`', { a: 1, list: [1, 99] }, `${at('every n')} every n in input.request.list { n < 10 } not_true`],
    [
      'what follows a comprehension in which something failed',
      { a: 1, list: [1, 2] },
      `${at('count([n |')} count([n | some n in input.request.list; n > 2]) > 0 not_true`,
    ],
    ['a `not`', { a: 1, list: [3], blocked: true }, `${at('not blocked')} not blocked not_true`],
    [
      'an expression with `with`',
      { a: 1, list: [3], d: 4 },
      `${at('input.request.c == 3')} input.request.c == 3 with input.request.c as input.request.d not_true`,
    ],
  ])('names the furthest expression that did not hold: %s', (_, request, failed) => {
    expect(told('decision', request)).toContain(`1 allow undefined ${failed}`);
    expect(told('decision', request)).toContain('1 allow default');
  });

  it('says of a rule that held nothing but that', () => {
    const rules = told('decision', { a: 1, list: [3], d: 3 });
    expect(rules).toContain('1 allow held');
    expect(rules.join()).not.toContain('default');
  });

  it('goes as far as the furthest of many rounds, and says when there was none', () => {
    const roles = [{ name: 'admin', active: false }, { name: 'guest' }];
    expect(told('some_of', { roles })[0]).toBe(`0 some_of undefined ${at('role.active')} role.active not_true`);
    expect(told('some_of', { roles: [] })[0]).toBe(
      `0 some_of undefined ${at('some role in')} some role in input.request.roles nothing`,
    );
    expect(told('some_of', {})).toContain(`1 false_of undefined ${at('n > 5')} n > 5 not_true`);
  });

  it('tells the branches of an `else` one by one', () => {
    const first = `0 chain undefined ${at('input.request.a == 7')} input.request.a == 7 not_true`;
    expect(told('chain', { a: 8 })).toEqual([first, '0 chain held']);
    expect(told('chain', { a: 1 })).toEqual([
      first,
      `0 chain undefined ${at('input.request.a == 8')} input.request.a == 8 not_true`,
      '0 chain held',
    ]);
    expect(told('chain', { a: 7 })).toEqual(['0 chain held']);
  });

  it('follows partial rules and what is looked up in them', () => {
    const rules = told('names', {});
    expect(rules[0]).toBe('0 names held');
    expect(rules.find((rule) => rule.startsWith('0 names undefined'))).toContain('names_of["x"]');
    expect(told('looked', { key: 'a' })).toContain('0 looked held');
    expect(told('looked', { key: 'c' })[0]).toMatch(/^0 looked undefined \d+:\d+ .*data\.t\.all/);
  });

  it('says where an evaluation that failed was', () => {
    const { evaluation, trace } = explainer.explain('t/broken', policyInput({ request: { a: 1, list: [] } }), AT);
    expect(evaluation).toMatchObject({ code: 'policy_error', message: expect.stringContaining('conflict') });
    expect(trace.ended?.file).toBe('t.rego');
  });

  it('ends with the budget, and stays bounded', () => {
    const { evaluation, trace } = explainer.explain('t/endless', policyInput({ request: {} }), AT);
    expect(evaluation).toMatchObject({ code: 'policy_budget' });
    expect(trace.rules.length).toBeLessThanOrEqual(500);
    const looped = explainer.explain('t/looped', policyInput({ request: {} }), AT).trace;
    expect(looped.rules.filter(({ rule }) => rule === 'data.t.repeated')).toHaveLength(3);
    expect(looped.left_out).toBe(6);
  });

  it('knows what was evaluated', () => {
    const places = explainer.explain('t/decision', policyInput({ request: { a: 1, list: [99] } }), AT).evaluated();
    expect(places).toContain(`t.rego:${at('input.request.a == 1')}`);
    expect(places).not.toContain(`t.rego:${at('not blocked')}`);
  });

  it('has nothing to say of what is not there, or once it was closed', () => {
    expect(explainer.explain('t/none', policyInput({}), AT).evaluation).toMatchObject({ code: 'policy_error' });
    explainer.close();
    expect(explainer.explain('t/chain', policyInput({}), AT).evaluation).toMatchObject({ code: 'policy_error' });
  });
});
