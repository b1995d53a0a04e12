import { isObject } from '../decision/json.ts';
import { PolicyLoadError } from './policy-engine.ts';

/** What is needed here of OPA's plan (docs/ir.md): names, constants, and the statements that projection walks. */
export interface PolicyPlan {
  readonly entrypoints: readonly string[];
  readonly builtins: readonly string[];
  readonly strings: readonly string[];
  readonly plans: ReadonlyMap<string, PlanUnit>;
  readonly functions: ReadonlyMap<string, PlanUnit>;
}

/** A plan or a function. Local 0 is `input` and local 1 is `data` in a plan; a function has its own parameters. */
export interface PlanUnit {
  readonly params: readonly number[];
  readonly blocks: readonly PlanBlock[];
}

export type PlanBlock = readonly PlanStatement[];

/** A statement as it stands in the plan: its kind, and its fields, read where they are used. */
export interface PlanStatement {
  readonly type: string;
  readonly fields: { readonly [field: string]: unknown };
}

/** Reads `plan.json`; anything that is not as OPA writes it is `invalid_plan`. */
export function parsePlan(bytes: Uint8Array): PolicyPlan {
  const plan = object(parseJson(bytes), 'plan');
  const staticPart = plan['static'] === undefined ? {} : object(plan['static'], 'static');
  const plans = units(object(plan['plans'], 'plans')['plans'], 'plans.plans', [0, 1]);
  const functions = plan['funcs'] === undefined ? undefined : object(plan['funcs'], 'funcs')['funcs'];
  return {
    entrypoints: [...plans.keys()],
    builtins: optionalList(staticPart['builtin_funcs'], 'static.builtin_funcs').map((entry) =>
      text(object(entry, 'static.builtin_funcs')['name'], 'static.builtin_funcs.name'),
    ),
    strings: optionalList(staticPart['strings'], 'static.strings').map((entry) =>
      text(object(entry, 'static.strings')['value'], 'static.strings.value'),
    ),
    plans,
    functions: units(functions ?? [], 'funcs.funcs'),
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PolicyLoadError('invalid_plan', '`plan.json` is not JSON', { cause });
  }
}

function units(value: unknown, where: string, params?: readonly number[]): Map<string, PlanUnit> {
  const found = new Map<string, PlanUnit>();
  for (const entry of list(value, where)) {
    const unit = object(entry, where);
    const name = text(unit['name'], `${where}.name`);
    if (found.has(name)) throw invalid(`${where} has \`${name}\` twice`);
    found.set(name, {
      params: params ?? list(unit['params'], `${where}.params`).map((param) => local(param, `${where}.params`)),
      blocks: parseBlocks(unit['blocks'], `${where}.blocks`),
    });
  }
  return found;
}

/** The nested blocks of a statement's field. */
export function parseBlocks(value: unknown, where: string): readonly PlanBlock[] {
  return optionalList(value, where).map((block) => parseBlock(block, where));
}

/** The statements of one block. */
export function parseBlock(value: unknown, where: string): PlanBlock {
  return optionalList(object(value, where)['stmts'], where).map((entry) => {
    const statement = object(entry, where);
    return { type: text(statement['type'], `${where} type`), fields: object(statement['stmt'], `${where} stmt`) };
  });
}

/** A local's number. */
export function local(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(`${where} is no local`);
  return value;
}

/** What a statement works on. */
export type Operand =
  | { readonly kind: 'local'; readonly local: number }
  | { readonly kind: 'string'; readonly index: number }
  | { readonly kind: 'bool' };

export function operand(value: unknown, where: string): Operand {
  const entry = object(value, where);
  switch (entry['type']) {
    case 'local':
      return { kind: 'local', local: local(entry['value'], where) };
    case 'string_index':
      return { kind: 'string', index: local(entry['value'], where) };
    case 'bool':
      return { kind: 'bool' };
    default:
      throw invalid(`${where} is an operand of an unknown type`);
  }
}

/** A list that Go may have written as `null`. */
export function optionalList(value: unknown, where: string): readonly unknown[] {
  return value === undefined || value === null ? [] : list(value, where);
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`\`${where}\` is not a list`);
  return value;
}

function object(value: unknown, where: string): { readonly [key: string]: unknown } {
  if (!isObject(value)) throw invalid(`\`${where}\` is not an object`);
  return value;
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw invalid(`\`${where}\` is not a text`);
  return value;
}

function invalid(message: string): PolicyLoadError {
  return new PolicyLoadError('invalid_plan', `\`plan.json\`: ${message}`);
}
