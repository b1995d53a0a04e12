import { toRegoText } from '../../../src/policy/values/text.ts';
import type { Random } from '../../support/seed.ts';
import { DECODES, type Signature, textFor } from './rego-builtins.ts';
import { FIELDS, KINDS, type Kind, literal, randomText } from './rego-literals.ts';

/** What an expression may name. */
export interface Scope {
  readonly random: Random;
  readonly signatures: readonly Signature[];
  /** Rules and functions that were made before; a later one must not be named, so that none calls itself. */
  readonly rules: readonly { readonly name: string; readonly kind: Kind }[];
  readonly functions: readonly { readonly name: string; readonly args: readonly Kind[]; readonly result: Kind }[];
  readonly variables: readonly { readonly name: string; readonly kind: Kind }[];
  /** A name that nothing has yet. */
  readonly fresh: () => string;
  /** Statements for a comprehension over that scope, which is widened by what they bind. */
  readonly statements: (
    scope: Scope,
    count: number,
    depth: number,
  ) => { readonly body: string[]; readonly scope: Scope };
}

export function withVariables(scope: Scope, ...variables: Scope['variables']): Scope {
  return { ...scope, variables: [...scope.variables, ...variables] };
}

/** An expression that is meant to be of the kind; what is read of `input` and `data` may be of another. */
export function expression(scope: Scope, wanted: Kind, depth: number): string {
  const { random } = scope;
  const kind = wanted === 'any' ? random.pick(KINDS) : wanted;
  const roll = random.below(100);
  if (depth <= 0 || roll < 12) return leaf(scope, kind);
  if (roll < 22) return read(scope, kind);
  if (roll < 48) return call(scope, kind, depth - 1) ?? leaf(scope, kind);
  if (roll < 56) {
    const found = scope.rules.filter((rule) => rule.kind === kind || rule.kind === 'any');
    if (found.length > 0) return random.pick(found.slice(-12)).name;
  }
  if (roll < 64) {
    const found = scope.functions.filter(({ result }) => result === kind || result === 'any');
    if (found.length > 0) {
      const { name, args } = random.pick(found);
      return `${name}(${args.map((arg) => expression(scope, arg, depth - 1)).join(', ')})`;
    }
  }
  return composed(scope, kind, depth - 1);
}

function leaf(scope: Scope, kind: Kind): string {
  const { random, variables } = scope;
  const found = variables.filter((variable) => variable.kind === kind || variable.kind === 'any');
  if (found.length > 0 && random.chance(0.5)) return random.pick(found).name;
  return random.chance(0.5) ? read(scope, kind) : literal(random, kind);
}

/** A member of `input` or of the data. */
export function read({ random, variables }: Scope, kind: Kind): string {
  const names = [...FIELDS].filter(([, of]) => of === kind || of === 'any').map(([name]) => name);
  const name = random.pick(random.chance(0.9) && names.length > 0 ? names : [...FIELDS.keys()]);
  const root = random.chance(0.65) ? 'input' : 'data.d';
  const from = /^[a-z]+$/.test(name) && random.chance(0.9) ? `${root}.${name}` : `${root}[${JSON.stringify(name)}]`;
  if (kind !== 'any' && random.chance(0.8)) return from;
  if (random.chance(0.15)) return `data.tab[${random.chance(0.5) ? 'input.s' : '"a"'}].val`;
  const texts = variables.filter((variable) => variable.kind === 'string' || variable.kind === 'number');
  if (texts.length > 0 && random.chance(0.2)) return `data.tab[${random.pick(texts).name}].val`;
  const key = texts.length > 0 && random.chance(0.5) ? random.pick(texts).name : toRegoText(randomText(random));
  return random.chance(0.5)
    ? `${root}.o[${key}]`
    : `${root}.${random.pick(['o', 'xs', 'any'])}[input.${random.pick(['n', 's'])}]`;
}

/** A call of a builtin with that result; `undefined` when there is none. */
export function call(scope: Scope, kind: Kind, depth: number): string | undefined {
  const { random, signatures } = scope;
  const found = signatures.filter(({ result }) => result === kind || (result === 'any' && random.chance(0.1)));
  if (found.length === 0) return undefined;
  const { name, args } = random.pick(found);
  return `${name}(${args.map((kinds) => operand(scope, name, random.pick(kinds), depth)).join(', ')})`;
}

function operand(scope: Scope, name: string, kind: Kind, depth: number): string {
  const { random } = scope;
  const decoded = DECODES.test(name) ? textFor(random, name) : undefined;
  if (decoded !== undefined) return toRegoText(decoded);
  if (random.chance(0.08)) return read(scope, 'any');
  if (random.chance(0.6)) {
    const text = textFor(random, name);
    if (text !== undefined && kind === 'string') return toRegoText(text);
    if (name === 'sprintf' && kind === 'array') return list(scope, depth);
  }
  return expression(scope, kind, depth);
}

function composed(scope: Scope, kind: Kind, depth: number): string {
  const { random } = scope;
  const of = (wanted: Kind): string => expression(scope, wanted, depth);
  switch (kind) {
    case 'null':
      return 'null';
    case 'boolean':
      return random.chance(0.5) ? `(${of('any')} in ${of(random.pick(COLLECTIONS))})` : `(${comparison(scope, depth)})`;
    case 'number':
      return `(${of('number')} ${random.pick(['+', '-', '*', '/', '%'])} ${of('number')})`;
    case 'string':
      return random.chance(0.4)
        ? `$"${randomText(random).replaceAll(/["\\{}\p{Cc}]/gu, '')}{${embedded(scope)}}-{${embedded(scope)}}"`
        : of('string');
    case 'array':
      return random.chance(0.4)
        ? list(scope, depth)
        : comprehension(scope, depth, ['[', ']'], (inner) => expression(inner, 'any', 1));
    case 'set':
      if (random.chance(0.3)) return `(${of('set')} ${random.pick(['&', '|', '-'])} ${of('set')})`;
      return random.chance(0.4)
        ? // OPA goes through a set as it is written, twice through equal members, where it still holds expressions.
          `({${of('any')}, ${of('any')}} | set())`
        : comprehension(scope, depth, ['{', '}'], (inner) => expression(inner, 'any', 1));
    case 'object':
      return random.chance(0.5)
        ? // Of two members whose keys turn out equal OPA's interpreter keeps now the one, now the other.
          random.chance(0.5)
          ? `{${toRegoText(randomText(random))}: ${of('any')}, [${of('any')}]: ${of('any')}}`
          : `{"only here": ${of('any')}, ${of(random.chance(0.6) ? 'string' : 'any')}: ${of('any')}}`
        : comprehension(
            scope,
            depth,
            ['{', '}'],
            (inner) => `${expression(inner, random.pick(['string', 'any']), 1)}: ${expression(inner, 'any', 1)}`,
          );
    case 'any':
      return of(random.pick(KINDS));
  }
}

export const COLLECTIONS: readonly Kind[] = ['array', 'object', 'set'];

export function comparison(scope: Scope, depth: number): string {
  const { random } = scope;
  const kind = random.pick(KINDS);
  const operator = random.pick(['==', '!=', '<', '<=', '>', '>=']);
  return `${expression(scope, kind, depth)} ${operator} ${expression(scope, kind, depth)}`;
}

/** Expressions in texts must not hold quotes of their own. */
function embedded(scope: Scope): string {
  const { random, variables } = scope;
  if (variables.length > 0 && random.chance(0.5)) return random.pick(variables).name;
  return `${random.pick(['input', 'data.d'])}.${random.pick([...FIELDS.keys()])}`;
}

function list(scope: Scope, depth: number): string {
  const { random } = scope;
  return `[${Array.from({ length: random.below(4) }, () => expression(scope, 'any', depth)).join(', ')}]`;
}

function comprehension(
  scope: Scope,
  depth: number,
  [open, close]: readonly [string, string],
  head: (scope: Scope) => string,
): string {
  const made = scope.statements(scope, 1 + scope.random.below(2), depth);
  return `${open}${head(made.scope)} | ${made.body.join('; ')}${close}`;
}
