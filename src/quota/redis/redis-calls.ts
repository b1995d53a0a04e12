import type { Clock, StartTimer } from '../../decision/ports.ts';
import { StoreFault } from '../bucket-store.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RespError, type RespReply } from './redis-resp.ts';
import { loadScripts, type RedisSession, refusal } from './redis-session.ts';

/** One call of a script. `fault` or `answered` is called first, and exactly once; the rest only after a `fault`. */
export interface ScriptCall {
  readonly command: Buffer;
  answered(reply: Buffer): void;
  fault(fault: StoreFault): void;
  /** An answer that came after its deadline. */
  late(reply: Buffer): void;
  /** After its deadline it is certain that there will be no answer. */
  lost(): void;
  /** An error that came in time instead of an answer; `true`: somebody sees to it, and nothing else is called. */
  refused?(error: RespError): boolean;
}

export interface RedisCalls {
  /** Throws where it cannot be sent. */
  send(call: ScriptCall): void;
}

export interface RedisCallsOptions {
  readonly session: RedisSession;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
}

/** Calls that wait for an answer, late ones too; more are refused at once: this server is not answering. */
const MAX_WAITING = 1024;
/** A timer that is later than this says that this process had no time, and nothing of the server. */
const STALL_MS = 5;

export function createRedisCalls({ session, deadlineMs, clock, startTimer }: RedisCallsOptions): RedisCalls {
  function send(call: ScriptCall, again = false): void {
    const connection = session.connection();
    if (connection.waiting() >= MAX_WAITING) {
      throw new StoreFault('unreachable', 'the quota store does not answer: too many calls wait for it');
    }
    const dueMs = clock.now().monotonicMs + deadlineMs;
    let state: 'waiting' | 'late' | 'over' = 'waiting';
    const cancel = startTimer(deadlineMs, () => {
      const lateMs = clock.now().monotonicMs - dueMs;
      // Timers run before what arrived meanwhile is read: this is judged after a poll turn.
      setImmediate(() => {
        if (state !== 'waiting') return;
        state = 'late';
        call.fault(lateMs > STALL_MS ? stalled() : unanswered(deadlineMs));
      });
    });
    connection.send(call.command, {
      answered: (reply) => {
        cancel();
        const before = state;
        state = 'over';
        if (Buffer.isBuffer(reply)) {
          if (before === 'late') call.late(reply);
          else call.answered(reply);
        } else if (before === 'waiting' && !again && reply instanceof RespError && reply.code === 'NOSCRIPT') {
          resend(connection, call);
        } else if (before === 'waiting' && reply instanceof RespError && call.refused?.(reply) === true) {
          return;
        } else if (before === 'waiting') {
          call.fault(toFault(reply));
        }
      },
      lost: () => {
        cancel();
        const before = state;
        state = 'over';
        if (before === 'waiting')
          call.fault(new StoreFault('unknown_outcome', 'the quota store was lost before it answered'));
        call.lost();
      },
    });
  }

  /** The server has forgotten the scripts, and so has carried out nothing. */
  function resend(connection: RedisConnection, call: ScriptCall): void {
    loadScripts(connection)
      .then(() => send(call, true))
      .catch((error: unknown) => {
        call.fault(error instanceof StoreFault ? error : new StoreFault('unreachable', 'the quota store is lost'));
      });
  }

  return { send };
}

function stalled(): StoreFault {
  return new StoreFault('overloaded', 'this process had no time for the answer of the quota store');
}

function unanswered(deadlineMs: number): StoreFault {
  return new StoreFault('unknown_outcome', `the quota store did not answer in ${deadlineMs} ms`);
}

function toFault(reply: RespReply): StoreFault {
  if (reply instanceof RespError) return refusal(reply);
  return new StoreFault('refused', 'the quota store answers something other than a text');
}
