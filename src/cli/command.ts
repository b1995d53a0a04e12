/** What a command may touch of the process it runs in. */
export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly cwd: string;
  readonly env: { readonly [name: string]: string | undefined };
}

/** A command: takes its arguments, answers the exit code. */
export type Command = (argv: readonly string[], io: Io) => Promise<number>;

/** What the exit codes of every command mean. */
export const EXIT = { ok: 0, failed: 1, usage: 2, badConfig: 3, badBundle: 4 } as const;

/** The arguments of a command do not fit; the text says how they would. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
