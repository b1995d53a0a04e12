import type { Io } from '../../src/cli/command.ts';
import { ROOT } from './tools.ts';

/** What a command wrote and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Default: the project's root. */
  readonly cwd?: string;
  /** Default: nothing is set. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command line in this process and keeps what it writes. */
export async function runCaptured(
  exitCodeOf: (argv: readonly string[], io: Io) => Promise<number>,
  argv: readonly string[],
  { cwd = ROOT, env = {} }: RunOptions = {},
): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const io: Io = {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    cwd,
    env,
  };
  const code = await exitCodeOf(argv, io);
  return { code, stdout, stderr };
}
