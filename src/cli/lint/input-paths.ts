import { isObject } from '../../decision/json.ts';
import { callOf, type Node, nodes, operatorOf } from './rego-module.ts';

/** A path below `input`, such as `['input', 'network', 'asn']`; `*` where the step is not written in the policy. */
export type InputPath = readonly string[];

/** What local names stand for. */
export type Aliases = ReadonlyMap<string, InputPath>;

/** What a term reads of `input`; `defaulted`: by `object.get`, which has an answer where it is absent. */
export interface Read {
  readonly path: InputPath;
  readonly defaulted: boolean;
}

/** Resolves a term through aliases; `undefined` when it reads nothing of `input`. */
export function readOf(term: unknown, aliases: Aliases): Read | undefined {
  if (!isObject(term)) return undefined;
  if (term['type'] === 'var') return fromName(term['value'], [], aliases);
  if (term['type'] === 'ref') {
    const [head, ...steps] = nodes(term['value']);
    return head === undefined || head['type'] !== 'var'
      ? undefined
      : fromName(head['value'], steps.map(stepOf), aliases);
  }
  const call = callOf(term);
  const [operator, object, key] = call ?? [];
  if (operator === undefined || operatorOf(operator) !== 'object.get' || key === undefined) return undefined;
  const read = readOf(object, aliases);
  if (read === undefined) return undefined;
  const steps = key['type'] === 'array' ? nodes(key['value']).map(stepOf) : [stepOf(key)];
  return { path: [...read.path, ...steps], defaulted: true };
}

/** Names that imports and constant rules of a module give to parts of `input`. */
export function moduleAliases(module: Node): Aliases {
  const aliases = new Map<string, InputPath>();
  for (const { path, alias } of nodes(module['imports'])) {
    const read = readOf(path, aliases);
    if (read === undefined || read.path.length < 2) continue;
    aliases.set(typeof alias === 'string' ? alias : (read.path.at(-1) ?? ''), read.path);
  }
  for (const rule of nodes(module['rules'])) {
    const { head } = rule;
    if (!isObject(head) || head['args'] !== undefined || head['key'] !== undefined || rule['default'] === true)
      continue;
    const read = readOf(head['value'], aliases);
    if (read !== undefined && typeof head['name'] === 'string' && hasNoBody(rule)) aliases.set(head['name'], read.path);
  }
  return aliases;
}

/** With the names that `:=` and `=` give in one body. */
export function bodyAliases(body: readonly Node[], outer: Aliases): Aliases {
  const aliases = new Map(outer);
  for (const expression of body) {
    const [operator, name, value] = callOf(expression) ?? [];
    if (operator === undefined || name?.['type'] !== 'var' || !DEFINES.has(operatorOf(operator))) continue;
    const read = readOf(value, aliases);
    if (read !== undefined && typeof name['value'] === 'string') aliases.set(name['value'], read.path);
  }
  return aliases;
}

/** Operators that give a name to what stands on their right. */
export const DEFINES: ReadonlySet<string> = new Set(['assign', 'eq']);

function fromName(name: unknown, steps: readonly string[], aliases: Aliases): Read | undefined {
  if (name === 'input') return { path: ['input', ...steps], defaulted: false };
  const path = typeof name === 'string' ? aliases.get(name) : undefined;
  return path === undefined ? undefined : { path: [...path, ...steps], defaulted: false };
}

function stepOf({ type, value }: Node): string {
  return type === 'string' && typeof value === 'string' ? value : type === 'number' ? `${String(value)}` : '*';
}

/** A rule without a body has one that is `true`. */
function hasNoBody(rule: Node): boolean {
  const [only, ...more] = nodes(rule['body']);
  if (only === undefined) return true;
  const { terms } = only;
  return more.length === 0 && isObject(terms) && terms['type'] === 'boolean' && terms['value'] === true;
}
