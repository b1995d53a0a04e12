import { type BuiltinContext, BuiltinFailure, type Builtins } from '../builtins/builtin.ts';
import { PolicyLoadError } from '../policy-engine.ts';
import { numberOf } from '../values/number.ts';
import { isArray, isObject, objectOf } from '../values/object.ts';
import { equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { type Direct, directForm } from './direct-builtins.ts';
import { conflictFault, EvaluationFault, internalFault } from './fault.ts';
import * as generated from './generated-values.ts';
import { PER_EVALUATION } from './plan-facts.ts';
import { choose, createTable, slotOf, templateOf } from './rule-index-table.ts';
import type { RuntimeName } from './source.ts';
import type { Constant, Translation } from './translation.ts';
import { createWorlds, type Worlds } from './worlds.ts';

/** Steps that an evaluation may still take. */
export interface Budget {
  steps: number;
  /** Called when `steps` went below 0: adds some, or throws. */
  exhausted(): void;
}

/** Told of what a traced evaluation does; the numbers stand for `Translation.positions`. */
export interface PlanObserver {
  /** A function was entered, and not answered from memory. */
  enter(position: number): void;
  passed(position: number): void;
  failed(position: number): void;
}

/** What one evaluator's generated code works with; every evaluation sets it anew. */
export interface Runtime {
  readonly names: Readonly<Record<RuntimeName, unknown>>;
  readonly context: Mutable<BuiltinContext>;
  readonly meter: Meter;
  readonly worlds: Worlds;
  /** The result set of the evaluation. */
  results: Value[];
  observer: PlanObserver | undefined;
  /** Whether the evaluation asked for what differs between two of the same input and data. */
  differed: boolean;
  /** Puts a function where dynamic calls find it. */
  readonly register: (path: readonly string[], takes: number, callee: PlanFunction) => void;
}

export type PlanFunction = (input: Value | undefined, data: Value) => Value | undefined;

type Mutable<T> = { -readonly [Member in keyof T]: T[Member] };

/** Throws `PolicyLoadError` `unknown_builtin` where one of the plan's is not there. */
export function createRuntime(translation: Translation, builtins: Builtins): Runtime {
  const meter = new Meter();
  const worlds = createWorlds();
  const functions: FunctionTree = new Map();
  const context: Mutable<BuiltinContext> = {
    at: { epochMs: 0, monotonicMs: 0 },
    strict: false,
    randomFor: () => new Uint8Array(32),
    charge: (steps) => {
      meter.steps -= steps;
      // Also where it is no number any more.
      if (!(meter.steps >= 0)) meter.exhausted();
    },
  };
  const runtime: Runtime = {
    context,
    meter,
    worlds,
    results: [],
    observer: undefined,
    differed: false,
    register: (path, takes, callee) => register(functions, path, takes === 2 ? callee : NOT_CALLABLE),
    names: {
      constant: (index: number) => constantValue(at(translation.constants, index)),
      builtin: (index: number) => {
        const name = at(translation.builtins, index);
        const called = bound(name, builtins, context);
        return PER_EVALUATION.has(name) ? differing(runtime, called) : called;
      },
      table: (index: number) => createTable(at(translation.tables, index), memberValue),
      choose,
      slot: slotOf,
      template: templateOf,
      meter,
      get: generated.get,
      rare: generated.rare,
      // A text finds a member in the same way; OPA reads all of what a `with` has put there as any value.
      stored: (from: Value | undefined, key: Value) =>
        (typeof key === 'string' && !isArray(from)) || worlds.dataReplaced()
          ? generated.get(from, key)
          : generated.stored(from, key),
      equal,
      size: generated.size,
      isObject,
      isSet: generated.isSet,
      makeSet: generated.makeSet,
      insert: generated.put,
      insertOnce: generated.putOnce,
      appended: generated.appended,
      owned: generated.owned,
      ownedInsert: generated.ownedPut,
      ownedInsertOnce: generated.ownedPutOnce,
      ownedAdd: generated.ownedAdd,
      merge: (a: Value | undefined, b: Value | undefined) => generated.merge(a, b, context.charge),
      upsert: (document: Value | undefined, path: readonly string[], value: Value | undefined) =>
        generated.upsert(document, path, value, context.charge),
      openInput: worlds.openInput,
      closeInput: worlds.closeInput,
      openData: worlds.openData,
      closeData: worlds.closeData,
      // Which error comes first depends on the order.
      keys: (from: Value | undefined) =>
        charged(context, context.strict ? generated.sortedKeys(from) : generated.keys(from)),
      sortedKeys: (from: Value | undefined) => charged(context, generated.sortedKeys(from)),
      values: generated.values,
      found: (path: readonly Value[]) => lookUp(functions, path),
      result: (value: Value) => addResult(runtime.results, value),
      conflict: (index: number) => {
        throw conflictFault(at(translation.conflicts, index));
      },
      enter: (position: number) => runtime.observer?.enter(position),
      passed: (position: number) => runtime.observer?.passed(position),
      failed: (position: number) => runtime.observer?.failed(position),
    },
  };
  return runtime;
}

/** Counts an evaluation's steps down. */
class Meter implements Budget {
  steps = 0;
  budget: Budget | undefined;

  /** Asks the evaluation's own budget. */
  exhausted(): void {
    const { budget } = this;
    if (budget === undefined) throw internalFault('the evaluation is over');
    budget.steps = this.steps;
    budget.exhausted();
    this.steps = budget.steps;
  }
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError('generated source asks for what is not there');
  return item;
}

/** What a constant stands for. Texts are what V8 keeps property names as, so that reading by them is fast. */
function constantValue(constant: Constant): Value | readonly string[] {
  if (typeof constant === 'string') return Object.keys({ [constant]: null })[0] ?? '';
  if (typeof constant !== 'object' || constant === null) return constant;
  if ('number' in constant) return numberOf(constant.number);
  if ('path' in constant) return constant.path;
  if ('array' in constant) return constant.array.map(memberValue);
  if ('set' in constant) return RegoSet.of(constant.set.map(memberValue));
  return objectOf(constant.object.map(([key, value]): [Value, Value] => [memberValue(key), memberValue(value)]));
}

function memberValue(constant: Constant): Value {
  const value = constantValue(constant);
  // A path is no member of a value; as an array of texts it would be one all the same.
  return value as Value;
}

function bound(name: string, builtins: Builtins, context: BuiltinContext): Direct {
  const builtin = builtins.get(name);
  if (builtin === undefined)
    throw new PolicyLoadError('unknown_builtin', `the policy calls \`${name}\`, which is unknown`);
  const called: Direct = (a, b, c, d) => {
    try {
      weigh(context, a);
      weigh(context, b);
      weigh(context, c);
      return builtin(context, a, b, c, d);
    } catch (error) {
      return failure(name, context, error);
    }
  };
  return directForm(name, called) ?? called;
}

function differing(runtime: Pick<Runtime, 'differed'>, called: Direct): Direct {
  return (a, b, c, d) => {
    runtime.differed = true;
    return called(a, b, c, d);
  };
}

/** Lists of many keys cost as much where the first of them is all that a policy looks at. */
function charged(context: BuiltinContext, keys: readonly Value[] | undefined): readonly Value[] | undefined {
  if (keys !== undefined && keys.length >= 16) context.charge(keys.length << 2);
  return keys;
}

/** Large operands that are only looked through cost too, where a policy does so again and again. */
function weigh(context: BuiltinContext, operand: Value): void {
  if (typeof operand === 'string') {
    if (operand.length >= 128) context.charge(operand.length >>> 5);
  } else if (isArray(operand)) {
    if (operand.length >= 16) context.charge(operand.length >>> 3);
  } else if (operand instanceof RegoSet && operand.size >= 16) context.charge(operand.size >>> 3);
}

/** What a builtin failed with: undefined, or an error where those are strict. */
export function failure(name: string, { strict }: BuiltinContext, error: unknown): undefined {
  if (!(error instanceof BuiltinFailure)) throw error;
  if (strict) throw new EvaluationFault(error.code, `${name}: ${error.message}`, { builtin: name });
  return undefined;
}

interface FunctionTree extends Map<string, FunctionTree | PlanFunction> {}

function register(tree: FunctionTree, path: readonly string[], callee: PlanFunction): void {
  let node = tree;
  for (const key of path.slice(0, -1)) {
    const next = node.get(key);
    if (next instanceof Map) node = next;
    else {
      const made: FunctionTree = new Map();
      node.set(key, made);
      node = made;
    }
  }
  const last = path.at(-1);
  if (last !== undefined && !node.has(last)) node.set(last, callee);
}

const NOT_CALLABLE: PlanFunction = () => {
  throw internalFault('a function with arguments is called without any');
};

function lookUp(tree: FunctionTree, path: readonly Value[]): PlanFunction | undefined {
  let node: FunctionTree | PlanFunction | undefined = tree;
  for (const key of path) {
    if (!(node instanceof Map) || typeof key !== 'string') return undefined;
    node = node.get(key);
  }
  return node instanceof Map ? undefined : node;
}

function addResult(results: Value[], value: Value): void {
  for (const other of results) if (equal(other, value)) return;
  results.push(value);
}
