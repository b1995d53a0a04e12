import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program of the tests that answers each line it reads with one line. */
export interface LineProgram {
  /** The answers to the lines, in their order. */
  ask(lines: readonly string[]): Promise<readonly string[]>;
  stop(): void;
}

export function startLineProgram(command: string, args: readonly string[]): LineProgram {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void }[] = [];
  const fail = (why: string): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`\`${command}\` ${why}`));
  };
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line));
  child.on('error', (error) => fail(error.message));
  child.on('exit', () => fail('ended'));
  // What it no longer reads is told by its end.
  child.stdin.on('error', () => undefined);

  return {
    ask: (lines) => {
      const answers = Promise.all(
        lines.map(() => new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }))),
      );
      child.stdin.write(lines.map((line) => `${line}\n`).join(''));
      return answers;
    },
    stop: () => {
      child.kill();
    },
  };
}
