import { toRegoText } from '../../../src/policy/values/text.ts';
import type { Random } from '../../support/seed.ts';
import type { Signature } from './rego-builtins.ts';
import { expression, read, type Scope, withVariables } from './rego-expressions.ts';
import { KINDS, type Kind, literal, randomText } from './rego-literals.ts';
import { guard, statements } from './rego-statements.ts';

/** One rule with one body; its `else`s in `next`. */
export interface Clause {
  readonly head: string;
  readonly body: readonly string[];
  readonly next?: readonly Clause[];
}

/** A rule or function with all its clauses. */
export interface Unit {
  readonly name: string;
  readonly clauses: readonly Clause[];
  /** How much a function takes. */
  readonly arity: number;
  /** Whether it takes nothing, and can be asked. */
  readonly asked: boolean;
}

/** Units of one package, each of which names earlier ones only. */
export function randomUnits(random: Random, signatures: readonly Signature[], count: number): readonly Unit[] {
  const rules: { name: string; kind: Kind }[] = [];
  const functions: { name: string; args: readonly Kind[]; result: Kind }[] = [];
  const units: Unit[] = [];
  let variable = 0;
  const scope: Scope = {
    random,
    signatures,
    rules,
    functions,
    variables: [],
    fresh: () => `v${variable++}`,
    statements,
  };
  for (let made = 0; made < count; made++) {
    variable = 0;
    const kind = random.pick(KINDS);
    if (random.chance(0.2)) {
      const name = `f${made}`;
      const args = Array.from({ length: 1 + random.below(3) }, () => random.pick(KINDS));
      units.push({ name, asked: false, arity: args.length, clauses: functionClauses(scope, name, args, kind) });
      functions.push({ name, args, result: kind });
    } else {
      const name = `r${made}`;
      const [clauses, is] = ruleClauses(scope, name, kind);
      units.push({ name, asked: true, arity: 0, clauses });
      rules.push({ name, kind: is });
    }
  }
  return units;
}

export function render(units: readonly Unit[]): string {
  return `package gen\n\n${units.map(renderUnit).join('\n\n')}\n`;
}

export function renderUnit({ clauses }: Unit): string {
  return clauses.map(renderClause).join('\n');
}

function renderClause({ head, body, next = [] }: Clause): string {
  const text = body.length === 0 ? head : `${head} if {\n${body.map((line) => `\t${line}\n`).join('')}}`;
  return [text, ...next.map(renderClause)].join(' ');
}

function functionClauses(scope: Scope, name: string, args: readonly Kind[], kind: Kind): readonly Clause[] {
  const { random } = scope;
  const clauses: Clause[] = [];
  if (random.chance(0.2))
    clauses.push({ head: `default ${name}(${args.map(() => '_').join(', ')}) := ${literal(random, kind)}`, body: [] });
  for (let made = 0; made <= random.below(3); made++) {
    const variables = args.map((of, at) => ({ name: `a${at}`, kind: of }));
    const inner = withVariables(scope, ...variables);
    const params = variables.map(({ name: param, kind: of }) => (random.chance(0.15) ? literal(random, of) : param));
    const given = inner.variables.filter(({ name: known }) => !/^a\d/.test(known) || params.includes(known));
    const head = `${name}(${params.join(', ')})`;
    clauses.push(clauseOf({ ...inner, variables: given }, head, kind, 0.1));
  }
  return clauses;
}

function ruleClauses(scope: Scope, name: string, kind: Kind): readonly [readonly Clause[], Kind] {
  const { random } = scope;
  const several = <T>(make: (at: number) => T): T[] => Array.from({ length: 1 + random.below(3) }, (_, at) => make(at));
  switch (random.below(10)) {
    case 0:
    case 1:
      return [several(() => partial(scope, (inner) => `${name} contains ${expression(inner, 'any', 1)}`)), 'set'];
    case 2:
    case 3:
      return [
        several(() => partial(scope, (inner) => `${name}[key] := ${expression(inner, 'any', 1)}`, true)),
        'object',
      ];
    case 4:
      return [
        several((at) =>
          at === 0
            ? partial(scope, (inner) => `${name}.a[key] := ${expression(inner, 'any', 1)}`, true)
            : partial(scope, (inner) =>
                random.chance(0.5)
                  ? `${name}.b[${toRegoText(randomText(random))}] contains ${expression(inner, 'any', 1)}`
                  : `${name}.${random.pick(['c', 'e'])} := ${expression(inner, 'any', 1)}`,
              ),
        ),
        'object',
      ];
    case 5:
      return [many(scope, name, kind), kind];
    default: {
      const clauses = several(() => clauseOf(scope, name, kind, 0.35));
      return [
        random.chance(0.25) ? [{ head: `default ${name} := ${literal(random, kind)}`, body: [] }, ...clauses] : clauses,
        kind,
      ];
    }
  }
}

/** `keyed` where the head names a `key`: a variable, because OPA plans no rule whose name has a literal that is no text. */
function partial(scope: Scope, head: (scope: Scope) => string, keyed = false): Clause {
  const made = statements(scope, 1 + scope.random.below(3), 2);
  const kind = scope.random.chance(0.7) ? 'string' : 'any';
  const key = keyed ? [`key := ${expression(made.scope, kind, 1)}`] : [];
  return { head: head(made.scope), body: [...made.body, ...key] };
}

/** Constant heads now and then, so that several rules agree. */
function clauseOf(scope: Scope, head: string, kind: Kind, elseChance: number): Clause {
  const { random } = scope;
  const made = statements(scope, 1 + random.below(3), 2);
  const value = random.chance(0.4) ? literal(random, kind) : expression(made.scope, kind, 2);
  const next: Clause[] = [];
  while (random.chance(elseChance) && next.length < 3) {
    const other = statements(scope, 1 + random.below(2), 1);
    next.push({ head: `else := ${expression(other.scope, kind, 1)}`, body: random.chance(0.8) ? other.body : [] });
    if (next.at(-1)?.body.length === 0) {
      const last = next.pop();
      return {
        head: `${head} := ${value}`,
        body: made.body,
        next: last === undefined ? next : [...next, { ...last, head: `else := ${literal(random, kind)}` }],
      };
    }
  }
  return { head: `${head} := ${value}`, body: made.body, next };
}

/** As many rules as are chosen by an index, as rules of their own or one behind the other. */
function many(scope: Scope, name: string, kind: Kind): readonly Clause[] {
  const { random } = scope;
  const of = (head: string): Clause => {
    const body = [guard(scope), ...(random.chance(0.5) ? [guard(scope)] : [])];
    if (random.chance(0.2)) body.push(`${read(scope, 'string')} != "x"`);
    return { head, body };
  };
  const value = (): string => literal(random, kind);
  const shared = value();
  if (random.chance(0.4)) {
    return [{ ...of(`${name} := ${value()}`), next: Array.from({ length: 20 }, () => of(`else := ${value()}`)) }];
  }
  return Array.from({ length: 20 }, () => of(`${name} := ${random.chance(0.85) ? shared : value()}`));
}
