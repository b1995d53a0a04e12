import { type AnyNode, parse } from 'acorn';
import { MEMBER_NAMES, RUNTIME_NAMES } from '../../src/policy/plan/source.ts';

/** What the translator writes: statements, assignments, calls. No classes, no templates, no regexes, no texts. */
const ALLOWED_NODES: ReadonlySet<string> = new Set([
  'ArrayExpression',
  'AssignmentExpression',
  'BinaryExpression',
  'BlockStatement',
  'BreakStatement',
  'CallExpression',
  'ChainExpression',
  'ConditionalExpression',
  'ContinueStatement',
  'EmptyStatement',
  'ExpressionStatement',
  'ForStatement',
  'FunctionDeclaration',
  'FunctionExpression',
  'Identifier',
  'IfStatement',
  'LabeledStatement',
  'Literal',
  'LogicalExpression',
  'MemberExpression',
  'ObjectExpression',
  'Program',
  'ReturnStatement',
  'SequenceExpression',
  'SwitchCase',
  'SwitchStatement',
  'UnaryExpression',
  'UpdateExpression',
  'VariableDeclaration',
  'VariableDeclarator',
]);

const OWN_NAME = /^[flbc](?:0|[1-9][0-9]*)$/;

const ALLOWED_NAMES: ReadonlySet<string> = new Set([...RUNTIME_NAMES, 'Array']);

const ALLOWED_OPERATORS: ReadonlySet<string> = new Set([
  '=',
  '===',
  '!==',
  '<',
  '!',
  '-',
  'void',
  '&&',
  '||',
  '++',
  '--',
]);

/** What is wrong with generated source; empty when only the translator can have written it. */
export function faultsOf(source: string): readonly string[] {
  const faults: string[] = [];
  const pending: unknown[] = [parse(`${source};`, { ecmaVersion: 2024, sourceType: 'script' })];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (!isNode(next)) continue;
    const fault = faultOf(next);
    if (fault !== undefined) faults.push(`${fault} at ${next.start}`);
    for (const child of Object.values(next)) {
      if (Array.isArray(child)) pending.push(...child.filter(isNode));
      else if (isNode(child)) pending.push(child);
    }
  }
  return faults;
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

function faultOf(node: AnyNode): string | undefined {
  if (!ALLOWED_NODES.has(node.type)) return node.type;
  if (node.type === 'Identifier') return isKnownName(node.name) ? undefined : `the name ${node.name}`;
  if (node.type === 'Literal')
    return isPlainLiteral(node.value, node.raw ?? '') ? undefined : `the literal ${node.raw}`;
  if (node.type === 'MemberExpression') {
    const { property, computed } = node;
    if (!isIdentifier(property)) return 'a property that is no name';
    return (computed ? /^[cl]/.test(property.name) : MEMBER_NAMES.includes(property.name)) ? undefined : 'a property';
  }
  if (node.type === 'ObjectExpression') return node.properties.length === 0 ? undefined : 'an object with members';
  if (node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression') {
    return node.async || node.generator ? 'a function that waits' : undefined;
  }
  if ('operator' in node && !ALLOWED_OPERATORS.has(node.operator)) return `the operator ${node.operator}`;
  return undefined;
}

function isKnownName(name: string): boolean {
  return OWN_NAME.test(name) || ALLOWED_NAMES.has(name) || MEMBER_NAMES.includes(name);
}

function isPlainLiteral(value: unknown, raw: string): boolean {
  if (value === null || typeof value === 'boolean') return raw === String(value);
  return typeof value === 'number' && /^(?:0|[1-9][0-9]*)$/.test(raw);
}

function isIdentifier(node: AnyNode): node is AnyNode & { readonly type: 'Identifier' } {
  return node.type === 'Identifier';
}
