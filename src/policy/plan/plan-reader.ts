import { isObject } from '../../decision/json.ts';
import type { BuiltinDeclaration, FunctionUnit, Plan, PlanUnit } from './plan.ts';
import { type Entry, invalid, listAt, localAt, MOST_LOCALS, objectAt, only, textAt, withinStack } from './plan-json.ts';
import { readBlocks, type UnitScope } from './statement-reader.ts';

/** V8 takes far more; OPA writes far less. */
const MOST_PARAMS = 250;

/** Reads `plan.json`; what is not as OPA writes it is a `PolicyLoadError` `invalid_plan`. */
export function readPlan(bytes: Uint8Array): Plan {
  const text = decode(bytes);
  return planOf(parse(text), () => parseExactly(text));
}

/** The same for a plan that was parsed already; integers beyond 2^53 are refused. */
export function planOf(document: unknown, exactly?: () => unknown): Plan {
  return withinStack(() => planFrom(document, exactly));
}

function planFrom(document: unknown, exactly: (() => unknown) | undefined): Plan {
  const plan = objectAt(document, 'the plan');
  only(plan, 'the plan', ['static', 'plans', 'funcs', 'unplanned_rules']);
  const statics = plan['static'] === undefined ? {} : objectAt(plan['static'], 'static');
  only(statics, 'static', ['strings', 'builtin_funcs', 'files']);
  const strings = textsOf(statics['strings'], 'static.strings');
  const files = textsOf(statics['files'], 'static.files');
  const builtins = new Map<string, BuiltinDeclaration>();
  for (const entry of listAt(statics['builtin_funcs'], 'static.builtin_funcs')) {
    const builtin = declarationOf(entry);
    builtins.set(builtin.name, builtin);
  }
  const functionEntries = unitEntries(plan['funcs'], 'funcs');
  const arities = new Map<string, number>();
  const functionIndexes = new Map<string, number>();
  for (const [index, entry] of functionEntries.entries()) {
    const name = textAt(entry['name'], 'funcs.name');
    if (functionIndexes.has(name)) throw invalid(`the function \`${name}\` is there twice`);
    functionIndexes.set(name, index);
    arities.set(name, listAt(entry['params'], `params of \`${name}\``).length);
  }
  const shared = { strings, files, builtins, arities, integers: { cut: false }, positions: { last: undefined } };
  const functions = functionEntries.map((entry) => functionOf(entry, shared));
  const plans: PlanUnit[] = [];
  const names = new Set<string>();
  for (const entry of unitEntries(plan['plans'], 'plans')) {
    const unit = entrypointOf(entry, shared);
    if (names.has(unit.name)) throw invalid(`the entrypoint \`${unit.name}\` is there twice`);
    names.add(unit.name);
    plans.push(unit);
  }
  if (shared.integers.cut) {
    if (exactly === undefined) throw invalid('an integer is too large');
    return planFrom(exactly(), undefined);
  }
  return { strings, files, builtins, plans, functions, functionIndexes };
}

type Shared = Omit<UnitScope, 'name' | 'where' | 'isFunction' | 'input' | 'data' | 'locals'>;

function functionOf(entry: Entry, shared: Shared): FunctionUnit {
  const name = textAt(entry['name'], 'funcs.name');
  only(entry, `\`${name}\``, ['name', 'params', 'return', 'blocks', 'path']);
  const params = listAt(entry['params'], `params of \`${name}\``).map((param) =>
    localAt(param, `params of \`${name}\``),
  );
  const [input, data] = params;
  if (
    input === undefined ||
    data === undefined ||
    params.length > MOST_PARAMS ||
    new Set(params).size !== params.length
  ) {
    throw invalid(`\`${name}\` has no such parameters`);
  }
  const returns = localAt(entry['return'], `return of \`${name}\``);
  if (params.includes(returns)) throw invalid(`\`${name}\` returns a parameter`);
  const scope: UnitScope = { ...shared, name, where: `\`${name}\``, isFunction: true, input, data, locals: 0 };
  scope.locals = Math.max(returns, ...params) + 1;
  const blocks = readBlocks(entry['blocks'], scope);
  checkLocals(scope);
  return { name, params, returns, path: textsIn(entry['path'], `path of \`${name}\``), blocks, locals: scope.locals };
}

function entrypointOf(entry: Entry, shared: Shared): PlanUnit {
  const name = textAt(entry['name'], 'plans.name');
  only(entry, `\`${name}\``, ['name', 'blocks']);
  const scope: UnitScope = { ...shared, name, where: `\`${name}\``, isFunction: false, input: 0, data: 1, locals: 2 };
  const blocks = readBlocks(entry['blocks'], scope);
  checkLocals(scope);
  return { name, blocks, locals: scope.locals };
}

function checkLocals({ locals, name }: UnitScope): void {
  if (locals > MOST_LOCALS) throw invalid(`\`${name}\` has too many locals`);
}

function declarationOf(value: unknown): BuiltinDeclaration {
  const entry = objectAt(value, 'static.builtin_funcs');
  only(entry, 'static.builtin_funcs', ['name', 'decl']);
  const declaration = entry['decl'];
  return {
    name: textAt(entry['name'], 'static.builtin_funcs.name'),
    hasResult: isObject(declaration) && declaration['result'] !== undefined && declaration['result'] !== null,
  };
}

/** `{funcs: {funcs: […]}}`, `{plans: {plans: […]}}`. */
function unitEntries(value: unknown, name: 'funcs' | 'plans'): readonly Entry[] {
  if (value === undefined || value === null) {
    if (name === 'plans') throw invalid('there are no entrypoints');
    return [];
  }
  const holder = objectAt(value, name);
  only(holder, name, [name]);
  return listAt(holder[name], name).map((entry) => objectAt(entry, name));
}

function textsOf(value: unknown, where: string): string[] {
  return listAt(value, where).map((entry) => {
    const holder = objectAt(entry, where);
    only(holder, where, ['value']);
    return textAt(holder['value'], where).toWellFormed();
  });
}

function textsIn(value: unknown, where: string): string[] {
  return listAt(value, where).map((entry) => textAt(entry, where));
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid('it is not UTF-8', { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid('it is not JSON', { cause });
  }
}

/** With integers beyond 2^53 as `bigint`: many times slower than a plain parse. */
function parseExactly(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
  });
}
