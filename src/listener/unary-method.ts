import type { CoreCode } from '../decision/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Caller } from './caller.ts';
import type { CallFault, CallReceiver, GrpcCall } from './grpc-call.ts';
import type { InFlight } from './in-flight.ts';

/** What the connection and the call tell beside the message. */
export interface CallContext {
  /** Whether what the caller says of identities and settings may be believed. */
  readonly believed: boolean;
  /** When the answer is due, in milliseconds from now; absent when the caller named no deadline. */
  readonly deadlineMs?: number | undefined;
  /** PEM of the certificate that the door's own listener verified of the caller. */
  readonly callerCertificate?: string | undefined;
}

/** One method of a door, with one message each way; `A` is what asking comes to, before it is written. */
export interface UnaryMethod<A> {
  /** Asks what the message asks. What it throws is answered by `undecided`. */
  ask(message: Buffer, context: CallContext): A | Promise<A>;
  /** Asks about a call that may not be served, or whose message cannot be read; `cause` is for logs. */
  askUnread(code: CoreCode, cause: string): A | Promise<A>;
  reply(answer: A): Buffer;
  /** The reply where there is no answer: it did not come in time, or asking failed. Never throws. */
  undecided(code: 'deadline' | 'internal'): Buffer;
}

/** What a door's methods are served with. */
export interface MethodParts {
  readonly door: string;
  /** Shared by all methods of the door. */
  readonly inFlight: InFlight;
  readonly logger: Pick<Logger, 'limited'>;
}

/** Serves a method to one kind of caller, or to the one connection whose certificate (PEM) the listener verified. */
export type ServeMethod = (parts: MethodParts, caller: Caller, callerCertificate?: string) => CallReceiver;

/**
 * INVARIANT: every call is answered with a reply of the method and the status OK: to Envoy any other status is an
 * error, and under `failure_mode_allow` an error passes.
 */
export function serveUnary<A>(method: UnaryMethod<A>): ServeMethod {
  return (parts, caller, callerCertificate) => receiverOf(method, parts, caller, callerCertificate);
}

function receiverOf<A>(
  method: UnaryMethod<A>,
  { door, inFlight, logger }: MethodParts,
  caller: Caller,
  callerCertificate: string | undefined,
): CallReceiver {
  const believed = caller === 'believed';

  function serve(call: GrpcCall, message: Buffer): void {
    let answer: A | Promise<A>;
    try {
      answer = method.ask(message, contextOf(call, believed, callerCertificate));
    } catch (error) {
      end(call, failed(error));
      return;
    }
    if (!(answer instanceof Promise)) {
      end(call, replyOf(answer));
      return;
    }
    // One turn of waiting, not two.
    answer.then(
      (answered) => end(call, replyOf(answered)),
      (error: unknown) => end(call, failed(error)),
    );
  }

  function replyOf(answer: A): Buffer {
    try {
      return method.reply(answer);
    } catch (error) {
      return failed(error);
    }
  }

  function end(call: GrpcCall, reply: Buffer): void {
    inFlight.leave();
    call.answer(reply);
  }

  async function refuse(call: GrpcCall, code: CoreCode, cause: string): Promise<void> {
    let reply: Buffer;
    try {
      reply = method.reply(await method.askUnread(code, cause));
    } catch (error) {
      reply = failed(error);
    }
    call.answer(reply);
  }

  function failed(error: unknown): Buffer {
    logger.limited('check_failed', 'error', { err: error, door }, 'a check failed outside the core');
    return method.undecided('internal');
  }

  return {
    message(call, message) {
      if (caller === 'refused') {
        void refuse(call, 'invalid_credential', 'the certificate of the caller is not among `allowed_callers`');
      } else if (inFlight.tryEnter()) {
        serve(call, message);
      } else {
        void refuse(call, 'overloaded', 'more checks under way than `max_in_flight`');
      }
    },
    fault(call, { kind, cause, asked }) {
      if (asked) {
        // The core was asked already, and records its own outcome: this is only the answer that is still in time.
        logger.limited('deadline', 'warn', { door }, 'a check was not decided before its deadline');
        call.answer(method.undecided('deadline'));
      } else {
        void refuse(call, CODES[kind], cause);
      }
    },
  };
}

const CODES: Readonly<Record<CallFault['kind'], CoreCode>> = {
  malformed: 'malformed_request',
  too_long: 'payload_too_large',
  late: 'deadline',
};

/** The share of the caller's time after which the core answers. */
const DEADLINE_SHARE = 0.8;

function contextOf(call: GrpcCall, believed: boolean, callerCertificate: string | undefined): CallContext {
  const remainingMs = call.remainingMs();
  const deadlineMs = remainingMs === undefined ? undefined : remainingMs * DEADLINE_SHARE;
  return { believed, callerCertificate, deadlineMs };
}
