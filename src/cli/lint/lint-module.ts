import { isObject } from '../../decision/json.ts';
import type { Finding, Report } from './findings.ts';
import { answerOf } from './header-answers.ts';
import { isIgnored, readIgnores } from './ignores.ts';
import { type Aliases, bodyAliases, DEFINES, type InputPath, moduleAliases, readOf } from './input-paths.ts';
import { mayBeAbsent, mayBeFalse, mayBeNull } from './input-shape.ts';
import { callOf, type Node, nodes, operatorOf, placeOf } from './rego-module.ts';

/** Looks through the syntax tree of one file; findings are in the order of the file, without those that it says to ignore. */
export function lintModule(module: Node): readonly Finding[] {
  const { ignores, faults } = readIgnores(module);
  const found = new Map<string, Finding>(faults.map((fault) => [keyOf(fault), fault]));
  const report: Report = (rule, place, message) => {
    const finding = { rule, ...place, message };
    if (!isIgnored(ignores, finding)) found.set(keyOf(finding), finding);
  };
  const aliases = moduleAliases(module);
  for (const rule of nodes(module['rules']))
    lintRule(rule, { aliases, denies: denies(rule), guards: NO_GUARDS, report });
  return [...found.values()].sort((a, b) => a.row - b.row || a.column - b.column);
}

interface Scope {
  readonly aliases: Aliases;
  /** Whether the rule names what is refused, so that what is absent may well make it true. */
  readonly denies: boolean;
  readonly guards: Guards;
  readonly report: Report;
}

/** Paths of which a body says that they are there, or what type they have. */
interface Guards {
  readonly present: ReadonlySet<string>;
  readonly typed: ReadonlySet<string>;
}

const NO_GUARDS: Guards = { present: new Set(), typed: new Set() };

function keyOf({ rule, row, column }: Finding): string {
  return `${row}:${column}:${rule}`;
}

function denies(rule: Node): boolean {
  const { head } = rule;
  if (!isObject(head)) return false;
  return head['key'] !== undefined || (typeof head['name'] === 'string' && DENYING.test(head['name']));
}

const DENYING =
  /^(?:den(?:y|ied|ial|ies)|reject(?:ed|s)?|refus(?:e|ed|al|es)|forbid(?:den|s)?|block(?:ed|s)?|violations?|reasons?)(?:_|$)/;

function lintRule(rule: Node, scope: Scope): void {
  const inner = lintBody(nodes(rule['body']), scope);
  const { head } = rule;
  if (isObject(head)) {
    lintTerm(head['key'], inner);
    lintDefined(head['value'], inner);
  }
  if (isObject(rule['else'])) lintRule(rule['else'], scope);
}

/** What only names a part of `input` is judged where the name is used, but for a single header. */
function lintDefined(value: unknown, scope: Scope): void {
  const read = isObject(value) && value['type'] !== 'var' ? readOf(value, scope.aliases) : undefined;
  if (isObject(value) && read !== undefined) lintHeaders(value, read.path, scope, 'names them');
  else lintTerm(value, scope);
}

/** Answers the scope that its names and guards make, for what the body decides. */
function lintBody(body: readonly Node[], outer: Scope): Scope {
  const aliases = bodyAliases(body, outer.aliases);
  const scope = { ...outer, aliases, guards: guardsOf(body, aliases, outer.guards) };
  for (const expression of body) lintExpression(expression, scope);
  return scope;
}

function guardsOf(body: readonly Node[], aliases: Aliases, outer: Guards): Guards {
  const present = new Set(outer.present);
  const typed = new Set(outer.typed);
  for (const expression of body) {
    if (expression['negated'] === true) continue;
    const bare = readOf(expression['terms'], aliases);
    if (bare !== undefined) present.add(bare.path.join('.'));
    const [operator, operand] = callOf(expression) ?? [];
    const read = readOf(operand, aliases);
    if (operator !== undefined && read !== undefined && operatorOf(operator).startsWith('is_'))
      typed.add(read.path.join('.'));
  }
  return { present, typed };
}

function lintExpression(expression: Node, scope: Scope): void {
  const { terms } = expression;
  if (expression['negated'] === true) lintNegation(expression, scope);
  else lintCall(expression, scope);
  const [operator, name, value] = callOf(expression) ?? [];
  if (operator !== undefined && DEFINES.has(operatorOf(operator))) {
    if (name?.['type'] !== 'var') lintTerm(name, scope);
    lintDefined(value, scope);
  } else lintTerm(Array.isArray(terms) ? { type: 'call', value: terms } : terms, scope);
}

/** Every term below a term: raw headers, comparisons inside it, and bodies of comprehensions and of `every`. */
function lintTerm(term: unknown, scope: Scope): void {
  if (Array.isArray(term)) {
    for (const one of term) lintTerm(one, scope);
    return;
  }
  if (!isObject(term)) return;
  const read = readOf(term, scope.aliases);
  if (read !== undefined) {
    // A name of one header was judged where it was given.
    if (term['type'] !== 'var' || read.path.length === HEADERS_LENGTH) lintHeaders(term, read.path, scope);
    return;
  }
  if (term['type'] === 'call') lintCall(term, scope);
  const { body, location: _location, ...rest } = term;
  const inner = Array.isArray(body) ? lintBody(nodes(body), scope) : scope;
  for (const member of Object.values(rest)) lintTerm(member, inner);
}

const HEADERS = 'input.attributes.request.http.headers';
const HEADERS_LENGTH = 5;

function lintHeaders(
  term: Node,
  path: InputPath,
  { report }: Scope,
  all: 'reads them' | 'names them' = 'reads them',
): void {
  if (path.slice(0, HEADERS_LENGTH).join('.') !== HEADERS) return;
  const [name] = path.slice(HEADERS_LENGTH);
  if (name === undefined && all === 'names them') return;
  if (name === undefined || name === '*') {
    report(
      'raw-header',
      placeOf(term),
      'reads headers without saying which: name the header, or read `input.identity`',
    );
    return;
  }
  const answer = answerOf(name.toLowerCase());
  if (answer === undefined) return;
  report('raw-header', placeOf(term), `reads the header \`${name}\` as the client sent it: read ${answer}`);
}

const ORDERS: ReadonlySet<string> = new Set(['lt', 'lte', 'gt', 'gte']);
const EQUALS: ReadonlySet<string> = new Set(['equal', 'eq', 'neq']);

function lintCall(call: Node, { aliases, guards, report }: Scope): void {
  const [operatorTerm, ...operands] = callOf(call) ?? [];
  const operator = operatorOf(operatorTerm);
  const orders = ORDERS.has(operator);
  if (!orders && !EQUALS.has(operator)) return;
  const withNull = operands.some(({ type }) => type === 'null');
  for (const operand of operands) {
    const read = readOf(operand, aliases);
    if (read === undefined || read.defaulted || !mayBeAbsent(read.path)) continue;
    const path = read.path.join('.');
    if (withNull) {
      if (mayBeNull(read.path)) continue;
      report(
        'never-null',
        placeOf(operand),
        `\`${path}\` is absent or has a value, and is never \`null\`: test its absence with \`not ${path}\``,
      );
    } else if (orders && !guards.typed.has(path)) {
      report(
        'absent-comparison',
        placeOf(operand),
        `\`${path}\` may be absent, and then this is undefined; a value of another type compares too: say \`is_number(${path})\` beside it, or compare \`object.get\` with a default`,
      );
    } else if (operator === 'neq' && !guards.typed.has(path) && !guards.present.has(path)) {
      report(
        'absent-comparison',
        placeOf(operand),
        `\`${path}\` may be absent, and then \`!=\` is undefined, not true: say what holds without it, as \`not ${path} == …\` or with \`${path}\` beside it`,
      );
    }
  }
}

function lintNegation(expression: Node, scope: Scope): void {
  const { aliases, report } = scope;
  if (scope.denies) return;
  const bare = readOf(expression['terms'], aliases);
  if (bare !== undefined) {
    if (bare.defaulted || !mayBeFalse(bare.path)) return;
    const path = bare.path.join('.');
    report(
      'absent-negation',
      placeOf(expression),
      `\`not ${path}\` also holds where it is absent: say \`${path} == false\`, or that its absence is meant`,
    );
    return;
  }
  for (const operand of (callOf(expression) ?? []).slice(1)) {
    const read = readOf(operand, aliases);
    if (read === undefined || read.defaulted || !mayBeAbsent(read.path)) continue;
    const path = read.path.join('.');
    if (scope.guards.present.has(path) || scope.guards.typed.has(path)) continue;
    report(
      'absent-negation',
      placeOf(expression),
      `\`${path}\` may be absent, and then this negation holds and permits: say \`${path}\` beside it`,
    );
  }
}
