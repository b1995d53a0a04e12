import type { CompiledPolicy } from '../../../src/policy/policy-engine.ts';
import { toJsonText } from '../../../src/policy/values/json-text.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import type { Random } from '../../support/seed.ts';
import { compilePolicy } from './compile-policy.ts';
import {
  type Answers,
  judgeJs,
  judgeWasm,
  opaText,
  ourText,
  ruleInConflict,
  type Verdict,
} from './differential-verdict.ts';
import { askModule, BEHIND_DYNAMIC_CALLS } from './generated-policy.ts';
import type { Answer, OpaServer } from './opa-server.ts';
import { createJsPlanEngine, createWasmPlanEngine, type PlanEngine } from './plan-engines.ts';

/** A policy, and the rules of it that are asked. */
export interface Subject {
  /** Rego by file name. */
  readonly rego: ReadonlyMap<string, string>;
  /** `package/rule`. */
  readonly entrypoints: readonly string[];
  readonly data: Value;
  readonly computedKeys?: boolean;
}

export interface Question {
  readonly entrypoint: string;
  readonly input: Value;
  readonly strict: boolean;
}

export interface Disagreement extends Question {
  readonly engine: 'js' | 'wasm';
  readonly opa: string;
  readonly ours: string;
}

/** What came of many questions. */
export interface Tally {
  pairs: number;
  defined: number;
  errors: number;
  readonly js: Map<Verdict, number>;
  readonly wasm: Map<Verdict, number>;
  readonly disagreements: Disagreement[];
}

export function newTally(): Tally {
  return { pairs: 0, defined: 0, errors: 0, js: new Map(), wasm: new Map(), disagreements: [] };
}

/** Asks OPA and both engines, each twice: once with errors strict. */
export async function compareAll(
  server: OpaServer,
  subject: Subject,
  inputs: readonly Value[],
  tally: Tally,
): Promise<void> {
  const ask = await askersOf(server, subject);
  const questions = inputs.flatMap((input) =>
    subject.entrypoints.flatMap((entrypoint) => [false, true].map((strict) => ({ entrypoint, input, strict }))),
  );
  const next = questions.values();
  const worker = async (): Promise<void> => {
    // All workers take from the one iterator.
    for (const question of next) record(tally, subject, question, await ask(question));
  };
  await Promise.all(Array.from({ length: 6 }, worker));
}

/** How that engine still disagrees on a smaller policy or input. Rejects when OPA does not take it. */
export async function disagreement(
  server: OpaServer,
  subject: Subject,
  question: Question & Pick<Disagreement, 'engine'>,
): Promise<Disagreement | undefined> {
  const ask = await askersOf(server, { ...subject, entrypoints: [question.entrypoint] }, 2);
  const tally = newTally();
  record(tally, subject, question, await ask(question));
  return tally.disagreements.find(({ engine }) => engine === question.engine);
}

/** `opa build` refuses some generated policies now and then, and takes them the next time. */
function compiledOf({ rego, entrypoints }: Omit<Subject, 'data'>, mostBuilds: number): CompiledPolicy {
  for (let tries = 1; ; tries++) {
    try {
      return compilePolicy({ rego: Object.fromEntries(rego), entrypoints });
    } catch (error) {
      if (tries === mostBuilds) throw error;
    }
  }
}

const MOST_BUILDS = 5;

type Three = Pick<Answers, 'opa' | 'js' | 'wasm' | 'ofRule'>;

type Ask = (question: Question) => Promise<Three>;

async function askersOf(
  server: OpaServer,
  { rego, entrypoints, data }: Subject,
  mostBuilds = MOST_BUILDS,
): Promise<Ask> {
  const compiled = compiledOf({ rego, entrypoints }, mostBuilds);
  const policy = { ...compiled, data: Buffer.from(toJsonText(data)) };
  const [js, wasm] = [createJsPlanEngine(policy), createWasmPlanEngine(policy)];
  await server.load(new Map([...rego, ['ask.rego', askModule(entrypoints)]]), data);
  return async ({ entrypoint, input, strict }) => {
    const answers = {
      opa: await server.ask(['ask', entrypoint.replaceAll('/', '_')], input, strict),
      js: safely(js, entrypoint, input, strict),
      wasm: safely(wasm, entrypoint, input, strict),
    };
    const rule = ruleInConflict(answers);
    return rule === undefined ? answers : { ...answers, ofRule: await server.ask(rule, input, strict) };
  };
}

/** What is thrown that no evaluation may throw counts as no answer at all. */
function safely(engine: PlanEngine, entrypoint: string, input: Value, strict: boolean): Answer {
  try {
    return engine.ask(entrypoint, input, strict);
  } catch (error) {
    return { kind: 'value', value: `thrown: ${error instanceof Error ? error.stack : String(error)}` };
  }
}

function record(tally: Tally, { computedKeys = false }: Subject, question: Question, answers: Three): void {
  const { opa } = answers;
  tally.pairs++;
  if (opa.kind === 'value') tally.defined++;
  if (opa.kind === 'error') tally.errors++;
  const behindDynamicCalls = BEHIND_DYNAMIC_CALLS.has(question.entrypoint);
  const judged = { ...answers, strict: question.strict, computedKeys, behindDynamicCalls };
  for (const [engine, verdict] of [
    ['js', judgeJs(judged)],
    ['wasm', judgeWasm(judged)],
  ] as const) {
    tally[engine].set(verdict, (tally[engine].get(verdict) ?? 0) + 1);
    if (verdict !== 'differs') continue;
    tally.disagreements.push({ ...question, engine, opa: opaText(opa), ours: ourText(answers[engine]) });
  }
}

export function figures({ pairs, defined, errors, js, wasm }: Tally): string {
  const counts = (verdicts: ReadonlyMap<Verdict, number>): string =>
    [...verdicts].map(([verdict, count]) => `${verdict} ${count}`).join(', ');
  return `${pairs} pairs, ${defined} defined, ${errors} errors; js: ${counts(js)}; wasm: ${counts(wasm)}`;
}

export function describeDisagreement({ entrypoint, input, strict, engine, opa, ours }: Disagreement): string {
  let same = 0;
  while (same < opa.length && opa[same] === ours[same]) same++;
  const from = Math.max(0, same - 80);
  const part = (text: string): string => `${from > 0 ? '…' : ''}${text.slice(from, same + 300)}`;
  return [
    `${engine} ${entrypoint}${strict ? ' (strict)' : ''}`,
    `opa   ${part(opa)}`,
    `ours  ${part(ours)}`,
    `input ${toJsonText(input)}`,
  ].join('\n');
}

/** Inputs one after the other, every second one only a little different from the one before. */
export function inputsOf(random: Random, count: number, make: () => Value, near: (input: Value) => Value): Value[] {
  const inputs: Value[] = [];
  while (inputs.length < count) {
    const last = inputs.at(-1);
    // `null` is no input at all for OPA's server.
    inputs.push((last !== undefined && random.chance(0.5) ? near(last) : make()) ?? {});
  }
  return inputs;
}
