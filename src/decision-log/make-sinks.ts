import type { SinkConfig } from './config.ts';
import { createFileSink } from './file-sink.ts';
import { createStdoutSink, type Stdout } from './stdout-sink.ts';

/** Where events end up. One write at a time; whole lines each. */
export interface Sink {
  /** For metrics and logs: `stdout`, `file`. */
  readonly name: string;
  /** Rejects when nothing can be written here, with what to do about it. */
  open(): Promise<void>;
  /** Each line ends with its newline. Resolves when they have left the process; that wait is the back pressure. Rejects when they are lost. */
  write(lines: readonly string[]): Promise<void>;
  /** Looks its target up again, after a log rotation. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** Makes the sinks of the config; opens none. */
export function createSinks(configs: readonly SinkConfig[], stdout: Stdout): readonly Sink[] {
  return configs.map((config) => ('file' in config ? createFileSink(config.file.path) : createStdoutSink(stdout)));
}
