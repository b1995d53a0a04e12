import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { UnreadableRequest } from '../../decision/access-request.ts';
import { deny } from '../../decision/decision.ts';
import type { CoreCode } from '../../decision/errors.ts';
import type { Authorize, Outcome } from '../../decision/ports.ts';
import type { Caller } from '../../listener/caller.ts';
import type { InFlight } from '../../listener/in-flight.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { GrpcError } from './deny-instead-of-error.ts';
import { denyInternal, toCheckResponse } from './from-decision.ts';
import { rawMethod } from './raw-method.ts';
import { type CheckContext, DOOR, toAccessRequest } from './to-access-request.ts';

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';
export const CHECK_METHOD = rawMethod(`/${AUTHORIZATION_SERVICE}/Check`, { responseStream: false });

type Call = ServerUnaryCall<Buffer, Buffer>;

export interface CheckServicePorts {
  readonly authorize: Authorize;
  readonly inFlight: InFlight;
  readonly logger: Pick<Logger, 'limited'>;
}

/** `Authorization/Check`: every call is answered with a CheckResponse, never with an error. */
export interface CheckService {
  /** The calls of one kind of caller. */
  callsOf(caller: Caller): (call: Call, answer: sendUnaryData<Buffer>) => void;
  /** The denial in place of a gRPC status. */
  readonly denyStatus: (error: GrpcError, asked: boolean) => Promise<Buffer>;
}

export function createCheckService({ authorize, inFlight, logger }: CheckServicePorts): CheckService {
  async function answerBytes(ask: () => Promise<Outcome>): Promise<Buffer> {
    try {
      const { decision, decisionId } = await ask();
      return toCheckResponse(decision, decisionId);
    } catch (error) {
      return failed(error);
    }
  }

  function failed(error: unknown): Buffer {
    logger.limited('check_failed', 'error', { err: error, door: DOOR }, 'a check failed outside the core');
    return denyInternal(NO_DECISION_ID);
  }

  /** `answerBytes` for a check, in one function: every promise more is one more turn of the queue for each of them. */
  async function answerCheck(call: Call, believed: boolean, answer: sendUnaryData<Buffer>): Promise<void> {
    let bytes: Buffer;
    try {
      const { decision, decisionId } = await authorize(toAccessRequest(call.request, contextOf(call, believed)));
      bytes = toCheckResponse(decision, decisionId);
    } catch (error) {
      bytes = failed(error);
    }
    inFlight.leave();
    answer(null, bytes);
  }

  const refuse = (code: CoreCode, cause: string): Promise<Buffer> =>
    answerBytes(() => authorize(unreadable(code, cause)));

  return {
    callsOf(caller) {
      if (caller === 'refused') {
        return (_call, answer) => {
          void refuse('invalid_credential', 'the certificate of the caller is not among `allowed_callers`').then(
            (bytes) => answer(null, bytes),
          );
        };
      }
      const believed = caller === 'believed';
      return (call, answer) => {
        if (!inFlight.tryEnter()) {
          void refuse('overloaded', 'more checks under way than `max_in_flight`').then((bytes) => answer(null, bytes));
          return;
        }
        void answerCheck(call, believed, answer);
      };
    },
    denyStatus(error, asked) {
      if (error.code === status.DEADLINE_EXCEEDED && !asked) {
        return refuse('deadline', 'the call was not whole before its deadline');
      }
      if (error.code === status.DEADLINE_EXCEEDED) {
        // The core was asked already, and records its own outcome: this is only the answer that is still in time.
        logger.limited('deadline', 'warn', { door: DOOR }, 'a check was not decided before its deadline');
        return Promise.resolve(toCheckResponse(deny('deadline'), NO_DECISION_ID));
      }
      if (error.code === status.RESOURCE_EXHAUSTED) {
        return refuse('payload_too_large', 'the message is longer than `max_message_bytes`');
      }
      return refuse('malformed_request', `the call cannot be read: ${(error.details ?? 'no details').slice(0, 200)}`);
    },
  };
}

/** For an answer that no decision event speaks of. */
const NO_DECISION_ID = '';

/** The share of the caller's time after which it is answered. */
const DEADLINE_SHARE = 0.8;

/** grpc-js keeps the deadline as a reading of the system clock, or Infinity. */
function contextOf(call: Call, believed: boolean): CheckContext {
  const remainingMs = Number(call.getDeadline()) - Date.now();
  if (!Number.isFinite(remainingMs)) return { believed };
  return { believed, deadlineMs: Math.max(0, remainingMs * DEADLINE_SHARE) };
}

function unreadable(code: CoreCode, cause: string): UnreadableRequest {
  return { door: DOOR, unreadable: { code, cause } };
}
