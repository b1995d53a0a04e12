import { resolve } from 'node:path';
import { loadDefinition } from '../../bundle/definition.ts';
import { requireOpa } from '../../bundle/opa-tool.ts';
import { type CaseRun, runRequestCase } from '../../cases/request-case.ts';
import { type ExplainedEvaluation, explainOutcome } from '../../decision/explain-outcome.ts';
import { createRedecide } from '../../decision/trial.ts';
import { readCaseFiles } from '../case-files.ts';
import { type Io, UsageError } from '../command.ts';
import { buildInMemory, requireDefault } from '../test/built-bundle.ts';
import { trialConfig } from '../test/trial-config.ts';
import type { CasesPorts } from '../trial.ts';

export interface AskedCase {
  readonly name: string;
  /** Where the case is. */
  readonly file: string;
  /** What the bundle is built of. */
  readonly definition: string;
  readonly config: string | undefined;
}

export interface ExplainedRun extends CaseRun {
  /** Absent where the policy was never asked. */
  readonly explained: readonly ExplainedEvaluation[] | undefined;
}

/** Decides one case of a file by the bundle that its definition gives, built in memory, and says how that came about. */
export async function runOneCase(asked: AskedCase, openTrial: CasesPorts['openTrial'], io: Io): Promise<ExplainedRun> {
  const { name, file } = asked;
  const files = await readCaseFiles({ source: file, cases: [file] }, io.cwd);
  const one = files.flatMap(({ cases }) => cases).find((candidate) => candidate.name === name);
  if (one === undefined) throw new UsageError(`\`${file}\` has no case named \`${name}\``);
  const definition = await loadDefinition(resolve(io.cwd, asked.definition));
  const config = trialConfig(asked.config, definition.entrypoints, io);
  const opa = await requireOpa({ env: io.env, report: (line) => io.stderr(`${line}\n`) });
  const bundle = await buildInMemory(asked.definition, definition, { opa, cwd: io.cwd });
  requireDefault(bundle, config);
  const trial = openTrial(config);
  const { generation, close } = await trial.load([bundle]);
  try {
    const run = await runRequestCase(one, generation, trial.tryOnce, trial.toEvent);
    return { ...run, explained: await explainOutcome(run.outcome, createRedecide(trial.tryOnce)) };
  } finally {
    close();
  }
}
