import { toRegoText } from '../../../src/policy/values/text.ts';
import { COLLECTIONS, call, comparison, expression, read, type Scope, withVariables } from './rego-expressions.ts';
import { FIELDS, KINDS, literal, randomText } from './rego-literals.ts';

interface Made {
  readonly body: string[];
  readonly scope: Scope;
}

/** Statements of a rule's body, and the scope behind them. */
export function statements(scope: Scope, count: number, depth: number): Made {
  const body: string[] = [];
  let inner = scope;
  for (let made = 0; made < count; made++) {
    const next = statement(inner, depth);
    body.push(...next.body);
    inner = next.scope;
  }
  return { body, scope: inner };
}

function statement(scope: Scope, depth: number): Made {
  const { random } = scope;
  const roll = random.below(100);
  if (roll < 18) return assignment(scope, depth);
  if (roll < 42) return iteration(scope, depth);
  if (roll < 56) return only(scope, comparison(scope, depth));
  if (roll < 62) return only(scope, `not ${comparison(scope, depth)}`);
  if (roll < 67) return only(scope, every(scope, depth));
  if (roll < 76) return replaced(scope, depth);
  if (roll < 82) return only(scope, guard(scope));
  if (roll < 86) return walked(scope);
  if (roll < 90) return taken(scope);
  if (roll < 94)
    return only(scope, `${expression(scope, 'any', depth)} in ${expression(scope, random.pick(COLLECTIONS), depth)}`);
  return only(scope, call(scope, 'boolean', depth) ?? 'true');
}

function only(scope: Scope, text: string): Made {
  return { body: [text], scope };
}

function assignment(scope: Scope, depth: number): Made {
  const kind = scope.random.pick(KINDS);
  const name = scope.fresh();
  return { body: [`${name} := ${expression(scope, kind, depth)}`], scope: withVariables(scope, { name, kind }) };
}

function iteration(scope: Scope, depth: number): Made {
  const { random } = scope;
  const from = random.chance(0.6)
    ? read(scope, random.pick(COLLECTIONS))
    : expression(scope, random.pick(COLLECTIONS), depth);
  const key = scope.fresh();
  const name = scope.fresh();
  const inner = withVariables(scope, { name, kind: 'any' });
  if (random.chance(0.4)) return { body: [`some ${name} in ${from}`], scope: inner };
  const both = withVariables(inner, { name: key, kind: 'any' });
  if (random.chance(0.6)) return { body: [`some ${key}, ${name} in ${from}`], scope: both };
  return { body: [`${name} := ${read(scope, random.pick(['array', 'object']))}[${key}]`], scope: both };
}

/** Near misses on purpose: what inputs often have. */
export function guard(scope: Scope): string {
  const { random } = scope;
  const [name, kind] = random.pick([...FIELDS].filter(([, of]) => of !== 'object' && of !== 'array'));
  return `${random.pick(['input', 'input', 'data.d'])}.${name} ${random.pick(['==', '==', '!='])} ${literal(random, kind)}`;
}

function every(scope: Scope, depth: number): string {
  const { random } = scope;
  const [key, name] = [scope.fresh(), scope.fresh()];
  const from = random.chance(0.6)
    ? read(scope, random.pick(COLLECTIONS))
    : expression(scope, random.pick(COLLECTIONS), depth);
  const inner = withVariables(scope, { name: key, kind: 'any' }, { name, kind: 'any' });
  const tests = [`${name} ${random.pick(['!=', '>=', '<'])} ${literal(random, random.pick(KINDS))}`];
  const keyed = random.chance(0.5);
  if (keyed) tests.push(`${key} != ${expression(inner, 'any', 1)}`);
  return `every ${keyed ? key : '_'}, ${name} in ${from} { ${tests.join('; ')} }`;
}

/** An expression under other inputs, data, rules, functions or builtins. */
function replaced(scope: Scope, depth: number): Made {
  const { random, rules, functions } = scope;
  const kind = random.pick(KINDS);
  const name = scope.fresh();
  const used =
    rules.length > 0 && random.chance(0.7) ? random.pick(rules.slice(-8)).name : expression(scope, kind, depth);
  const replacements = Array.from({ length: 1 + random.below(2) }, () => replacement(scope));
  // Behind a builtin that is replaced the plan leaves out further replacements, which OPA's interpreter does not.
  const first = replacements.find((text) => !/^with (?:input|data)\b/.test(text));
  const text = `${name} := ${used} ${first ?? [...new Set(replacements)].join(' ')}`;
  const bound = withVariables(scope, { name, kind: 'any' });
  if (random.chance(0.3)) return only(scope, `not ${used} ${replacements[0]}`);
  // What follows must see what was there before.
  const after = scope.fresh();
  return random.chance(0.4) && functions.length + rules.length > 0
    ? {
        body: [text, `${after} := [${read(scope, 'any')}, ${rules.at(-1)?.name ?? 'input'}]`],
        scope: withVariables(bound, { name: after, kind: 'array' }),
      }
    : { body: [text], scope: bound };
}

function replacement(scope: Scope): string {
  const { random, rules } = scope;
  const value = expression(scope, random.pick(KINDS), 0);
  switch (random.below(7)) {
    case 0:
      // What is put into an input that is the store's own object, OPA's interpreter loses: so it is a copy.
      return `with input as ${random.chance(0.5) ? 'json.unmarshal(json.marshal(data.d))' : `{"n": ${value}, "s": "a", "o": {"a": 1}}`}`;
    case 1:
      return `with input.o[${toRegoText(randomText(random))}] as ${value}`;
    case 2:
    case 3:
      return `with data.d.${random.pick([...FIELDS.keys()])} as ${value}`;
    case 4: {
      const rule = rules.length > 0 ? random.pick(rules.slice(-8)) : undefined;
      if (rule !== undefined) return `with data.gen.${rule.name} as ${value}`;
      break;
    }
    case 5:
      return `with ${random.pick(['count', 'upper', 'sum', 'to_number', 'type_name', 'object.keys'])} as ${value}`;
  }
  return `with input.${random.pick([...FIELDS.keys()])} as ${value}`;
}

function walked(scope: Scope): Made {
  const [path, name] = [scope.fresh(), scope.fresh()];
  const inner = withVariables(scope, { name: path, kind: 'array' }, { name, kind: 'any' });
  return { body: [`walk(${read(scope, scope.random.pick(COLLECTIONS))}, [${path}, ${name}])`], scope: inner };
}

/** Patterns that take values apart. */
function taken(scope: Scope): Made {
  const { random } = scope;
  const name = scope.fresh();
  const inner = withVariables(scope, { name, kind: 'any' });
  if (random.chance(0.5)) return { body: [`[${name}, _] = ${read(scope, 'array')}`], scope: inner };
  return { body: [`{"a": ${name}} = ${read(scope, 'object')}`], scope: inner };
}
