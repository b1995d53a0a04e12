import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { requireTool } from '../support/tools.ts';
import type { MeasuredPolicy } from './measured-policies.ts';
import type { Figures } from './row.ts';

const run = promisify(execFile);

/**
 * Asks OPA all questions of a policy and demands the expected answers; what it returns runs `opa bench`, which evaluates for
 * a second by its own clock: `opa_us` is what it prints as ns/op, `opa_median_us` the median of the evaluation alone.
 */
export async function createOpaBench(folder: string, policy: MeasuredPolicy): Promise<() => Promise<Figures>> {
  const own = await mkdtemp(join(folder, 'opa-'));
  const [first] = policy.timed;
  const asked = [...policy.timed, ...policy.checked];
  const files = {
    'policy.rego': policy.rego,
    'data.json': JSON.stringify(policy.data),
    'input.json': JSON.stringify(first?.input),
    'questions.json': JSON.stringify({ questions: asked.map(({ input }) => input) }),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(own, name), text);
  const query = `data.${policy.entrypoint.replaceAll('/', '.')}`;
  const loaded = ['--data', 'policy.rego', '--data', 'data.json'];
  await checkAnswers();

  return async () => {
    const args = [
      'bench',
      '--format',
      'json',
      '--count',
      '1',
      '--benchmem=false',
      ...loaded,
      '--input',
      'input.json',
      query,
    ];
    const { N, T, Extra } = parsed<BenchResult>(await opa(args));
    const median = Extra['histogram_timer_rego_query_eval_ns_median'] ?? Number.NaN;
    return { opa_us: T / N / 1_000, opa_median_us: median / 1_000 };
  };

  async function checkAnswers(): Promise<void> {
    const each = `[answer | some question in data.questions; answer := ${query} with input as question]`;
    const printed = await opa(['eval', '--format', 'json', ...loaded, '--data', 'questions.json', each]);
    const answers = parsed<EvalResult>(printed).result[0]?.expressions[0]?.value;
    const expected = asked.map((question) => question.expected);
    if (!isDeepStrictEqual(answers, expected)) throw new Error(`opa answers ${JSON.stringify(answers)}`);
  }

  /** On one processor, as what it is compared with; on two the clock stops all of them twice an evaluation. */
  async function opa(args: readonly string[]): Promise<string> {
    const env = { ...process.env, GOMAXPROCS: '1' };
    const { stdout } = await run(requireTool('opa'), args, { cwd: own, env, maxBuffer: 64 * 2 ** 20 });
    return stdout;
  }
}

/** Printed by the tool that this repository pins. */
function parsed<Printed>(text: string): Printed {
  return JSON.parse(text) as Printed;
}

interface BenchResult {
  readonly N: number;
  /** Nanoseconds. */
  readonly T: number;
  readonly Extra: Readonly<Record<string, number>>;
}

interface EvalResult {
  readonly result: readonly { readonly expressions: readonly { readonly value: unknown }[] }[];
}
