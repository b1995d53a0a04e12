import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PolicyInput } from '../../src/decision/input.ts';
import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { RenewedBudget } from '../../src/policy/evaluation-budget.ts';
import { toPlain } from '../../src/policy/plain-result.ts';
import { createEvaluator } from '../../src/policy/plan/evaluator.ts';
import { preparePolicy } from '../../src/policy/prepared-policy.ts';
import { parseJson } from '../../src/policy/values/json.ts';
import { isObject, memberOf } from '../../src/policy/values/object.ts';
import { openStoredData, storeData } from '../../src/policy/values/stored-data.ts';
import { systemClock, threadCpuMs } from '../../src/telemetry/system-clock.ts';
import { policyInput } from '../contract/policy-support/engine.ts';
import { createEngines } from './engines.ts';
import type { MeasuredPolicy, Question } from './measured-policies.ts';
import type { Figures } from './row.ts';
import { answerTasks } from './task.ts';

/**
 * One policy through the engines, each of its answers checked first. `js_us` is the plan alone on an `input` that was read
 * before, which is what `opa bench` times; `js_engine_us` and `wasm_us` are an evaluation as the service asks for it, which
 * reads `input` and copies the result too. By the clock all three; `cpu_us` is the CPU of `js_engine_us`.
 */
const [folder = ''] = process.argv.slice(2);
const read = (name: string): Buffer => readFileSync(join(folder, name));
const data = read('data.json');
const { entrypoint, timed, checked } = readQuestions();
Object.freeze(Object.prototype);

const engines = createEngines({ default: { decision: entrypoint, result: 'sallyport' } });
const dataValue = openStoredData(storeData(data));
const compiled = { plan: read('plan.json'), wasm: read('policy.wasm'), data, dataValue };
const [js, wasm] = await Promise.all([engines.js.load(compiled), engines.wasm.load(compiled)]);
const evaluator = createEvaluator({ translation: preparePolicy(compiled.plan).translation, builtins: BUILTINS });

const at = systemClock.now();
const context = {
  at,
  strict: false,
  randomFor: () => randomBytes(32),
  budget: new RenewedBudget({ cpuMs: threadCpuMs, budgetMs: 1_000 }),
};

function evaluatePlan(input: ReturnType<typeof parseJson>): unknown {
  context.budget.restart();
  const [first] = evaluator.evaluate(entrypoint, input, dataValue, context);
  return first === undefined || !isObject(first) ? undefined : memberOf(first, 'result');
}

/** What is timed: one question after the other. */
type Ask = () => unknown;

function asks(questions: readonly Question[]): { readonly js: Ask[]; readonly wasm: Ask[]; readonly plan: Ask[] } {
  const inputs = questions.map(({ input }): PolicyInput => policyInput(input));
  const values = questions.map(({ input }) => parseJson(JSON.stringify(input)));
  return {
    js: inputs.map((input) => () => js.evaluate(entrypoint, input, at).value),
    wasm: inputs.map((input) => () => wasm.evaluate(entrypoint, input, at).value),
    plan: values.map((value) => () => evaluatePlan(value)),
  };
}

const asked = asks(timed);
for (const questions of [timed, checked]) {
  const each = asks(questions);
  for (const [number, { expected }] of questions.entries()) {
    demand('js', each.js[number]?.(), expected);
    demand('wasm', each.wasm[number]?.(), expected);
    const value = each.plan[number]?.() as Parameters<typeof toPlain>[0] | undefined;
    demand('the plan', value === undefined ? undefined : toPlain(value), expected);
  }
}

function demand(engine: string, answer: unknown, expected: unknown): void {
  const text = JSON.stringify(answer);
  if (text !== undefined && isDeepStrictEqual(JSON.parse(text), expected)) return;
  throw new Error(`${engine} answers ${text} to \`${entrypoint}\`, not ${JSON.stringify(expected)}`);
}

/** What some evaluations took, by the clock and of CPU. */
class Spent {
  evaluations = 0;
  ms = 0;
  cpuUs = 0;
  readonly #asks: readonly Ask[];
  /** Times that all questions are asked between two looks at the clock. */
  #passes = 1;

  constructor(all: readonly Ask[]) {
    this.#asks = all;
  }

  spend(ms: number): void {
    const cpu = process.cpuUsage();
    const began = performance.now();
    let looked = began;
    while (looked - began < ms) {
      for (let pass = 0; pass < this.#passes; pass += 1) for (const ask of this.#asks) ask();
      this.evaluations += this.#passes * this.#asks.length;
      const now = performance.now();
      if (now - looked < LOOK_EVERY_MS) this.#passes *= 2;
      looked = now;
    }
    this.ms += looked - began;
    const { user, system } = process.cpuUsage(cpu);
    this.cpuUs += user + system;
  }

  us(): number {
    return (this.ms / this.evaluations) * 1_000;
  }
}

const LOOK_EVERY_MS = 0.2;
/** In turns, so that what else the machine does weighs on all alike. */
const SLICES = 20;

answerTasks(async ({ ms = 0 }): Promise<Figures> => {
  const [inJs, inWasm, inPlan] = [new Spent(asked.js), new Spent(asked.wasm), new Spent(asked.plan)];
  for (let slice = 0; slice < SLICES; slice += 1) {
    for (const spent of [inWasm, inJs, inPlan]) spent.spend(ms / SLICES);
  }
  return {
    wasm_us: inWasm.us(),
    js_engine_us: inJs.us(),
    js_us: inPlan.us(),
    cpu_us: inJs.cpuUs / inJs.evaluations,
  };
});

function readQuestions(): Pick<MeasuredPolicy, 'entrypoint' | 'timed' | 'checked'> {
  // `policy-rows.ts` writes it.
  return JSON.parse(read('questions.json').toString()) as Pick<MeasuredPolicy, 'entrypoint' | 'timed' | 'checked'>;
}
