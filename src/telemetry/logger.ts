import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import { toSafeLine } from './json-line.ts';
import { redactFields, redactText } from './redact.ts';

export type LogFields = { readonly [name: string]: unknown };

/** The operational log: what happened to the service, never what was decided. Lines hold no credential. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /**
   * For faults that a caller can cause at will: at most a few lines an interval for each key, the rest counted in
   * `suppressed` of the next line. Keys are codes, never a caller's text.
   */
  limited(key: string, level: 'warn' | 'error', fields: LogFields, message: string): void;
}

/** Takes whole lines, each with its newline. Must not throw. */
export interface LineDestination {
  write(line: string): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; stderr by default. */
  readonly destination?: LineDestination;
  /** Monotonic milliseconds, for {@link Logger.limited}. */
  readonly monotonicMs?: () => number;
  readonly limit?: { readonly lines: number; readonly intervalMs: number };
}

export function createLogger(options: LoggerOptions): Logger {
  const { level, destination = stderrDestination(process.stderr), monotonicMs = () => performance.now() } = options;
  const lines = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => destination.write(toSafeLine(line)) },
  );
  const allowance = createAllowance(options.limit ?? { lines: 5, intervalMs: 10_000 }, monotonicMs);

  const write = (at: 'debug' | 'info' | 'warn' | 'error', fields: LogFields, message: string): void => {
    if (lines.isLevelEnabled(at)) lines[at](redactFields(fields), redactText(message));
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    limited: (key, at, fields, message) => {
      const suppressed = allowance(key);
      if (suppressed === undefined) return;
      write(at, suppressed === 0 ? fields : { ...fields, suppressed }, message);
    },
  };
}

/** Lines of more than this that stderr has not taken yet are dropped: a stalled reader must not fill the memory. */
const MAX_UNWRITTEN_BYTES = 1024 * 1024;

/** Writes to a stream without waiting and without failing; a closed or stalled reader loses lines, nothing else. */
export function stderrDestination(
  stream: NodeJS.WritableStream & { readonly writableLength: number },
): LineDestination {
  // A process may make several loggers, as tests do; the stream needs to be told only once.
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  return {
    write: (line) => {
      if (stream.writableLength < MAX_UNWRITTEN_BYTES) stream.write(line);
    },
  };
}

/** There is nowhere left to report that the log itself cannot be written. */
function ignore(): void {}

const MAX_KEYS = 256;

/** Answers how many lines were suppressed before this one, or `undefined` when this one is to be. */
function createAllowance(
  limit: { readonly lines: number; readonly intervalMs: number },
  monotonicMs: () => number,
): (key: string) => number | undefined {
  const counts = new Map<string, { sinceMs: number; lines: number; suppressed: number }>();
  return (key) => {
    const nowMs = monotonicMs();
    const known = counts.has(key) || counts.size < MAX_KEYS ? key : 'other';
    const count = counts.get(known);
    if (count === undefined) {
      counts.set(known, { sinceMs: nowMs, lines: 1, suppressed: 0 });
      return 0;
    }
    if (nowMs - count.sinceMs >= limit.intervalMs) {
      const { suppressed } = count;
      count.sinceMs = nowMs;
      count.lines = 1;
      count.suppressed = 0;
      return suppressed;
    }
    if (count.lines >= limit.lines) {
      count.suppressed += 1;
      return undefined;
    }
    count.lines += 1;
    return 0;
  };
}
