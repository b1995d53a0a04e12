import { type ChildProcess, spawn } from 'node:child_process';
import { ROOT } from './tools.ts';

/** A program that a test started, in a process group of its own. */
export interface Program {
  readonly pid: number;
  /** Everything it wrote so far, both streams in order of arrival. */
  output(): string;
  lines(): readonly string[];
  /** The first line, past or to come, that `match` accepts; fails with the output when it ends or takes too long. */
  waitForLine(match: (line: string) => boolean, timeoutMs?: number): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Ends it and whatever it started: SIGTERM to the group, SIGKILL after `graceMs`. Idempotent. */
  stop(graceMs?: number): Promise<number | NodeJS.Signals>;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL');
});

export function startProgram(command: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const listener of listeners) listener();
    });
  }
  let isEnded = false;
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    // `close` comes after the last output; it carries either a code or a signal.
    child.once('close', (code, signal) => {
      isEnded = true;
      running.delete(child);
      for (const listener of listeners) listener();
      resolve(code ?? signal ?? 1);
    });
  });
  // Whoever cares awaits `ended`; a program that nobody waits for must not fail the run by ending.
  ended.catch(() => undefined);
  const lines = (): readonly string[] => output.split('\n');

  return {
    pid: child.pid ?? -1,
    output: () => output,
    lines,
    ended,
    signal: (signal) => {
      killGroup(child, signal);
    },
    waitForLine: (match, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => settle(() => reject(failure(`said nothing of the kind in ${timeoutMs} ms`))),
          timeoutMs,
        );
        const settle = (finish: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          finish();
        };
        const failure = (what: string): Error => new Error(`\`${command}\` ${what}; its output:\n${output}`);
        const look = (): void => {
          const complete = isEnded ? lines() : lines().slice(0, -1);
          const line = complete.find(match);
          if (line !== undefined) settle(() => resolve(line));
          else if (isEnded) settle(() => reject(failure('ended')));
        };
        listeners.add(look);
        look();
      }),
    stop: async (graceMs = 5_000) => {
      if (isEnded) return ended;
      killGroup(child, 'SIGCONT');
      killGroup(child, 'SIGTERM');
      const timer = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** Calls `attempt` until it returns something, at most `timeoutMs`; the last error says why it never did. */
export async function eventually<T>(
  attempt: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 20_000,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < untilMs) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing came of it in ${timeoutMs} ms`, { cause: last });
}
