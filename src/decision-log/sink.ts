/** Where events end up. One write at a time; each line is one event as JSON and ends with its newline. */
export interface Sink {
  /** For metrics, logs and the cursor in the spool: `stdout`, `file`, `http-audit`. No two sinks of a service have the same. */
  readonly name: string;
  /** Rejects when nothing can ever be written here, with what to do about it; never because a remote target is down. */
  open(): Promise<void>;
  /**
   * Resolves when the lines have left the process, for a remote sink only once its target has them; that wait is the back
   * pressure. Rejects when they are lost, for a remote sink with a {@link SinkFault}. `signal` asks to give up.
   */
  write(lines: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Looks its target up again, after a log rotation. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** A sink whose target is another machine: it is written to from the spool, at least once, again until it has the lines. */
export interface RemoteSink extends Sink {
  readonly remote: true;
  /** The most of one write. */
  readonly maxBatch: { readonly events: number; readonly bytes: number };
}

export function isRemote(sink: Sink): sink is RemoteSink {
  return 'remote' in sink && sink.remote === true;
}

/** What became of a batch that was not taken as a whole. */
export interface SinkFaultParts {
  /** `retry`: what is named nowhere below is sent again, later. `refused`: it is lost, and counted as such. */
  readonly kind: 'retry' | 'refused';
  /** Positions within the batch that the target will never take. */
  readonly refused?: readonly number[];
  /** Positions within the batch that the target has; they are not sent again. */
  readonly delivered?: readonly number[];
  /** The target's own wish (`retry-after`); the log waits at least this long, within its own bound. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A remote sink's way to reject. Anything else it throws counts as `retry` of the whole batch. Messages hold no credential. */
export class SinkFault extends Error {
  override readonly name = 'SinkFault';
  readonly kind: 'retry' | 'refused';
  readonly refused: readonly number[];
  readonly delivered: readonly number[];
  readonly retryAfterMs: number;

  constructor(message: string, { kind, refused = [], delivered = [], retryAfterMs = 0, cause }: SinkFaultParts) {
    super(message, { cause });
    this.kind = kind;
    this.refused = refused;
    this.delivered = delivered;
    this.retryAfterMs = retryAfterMs;
  }
}
