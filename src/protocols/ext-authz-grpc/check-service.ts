import type { UnreadableRequest } from '../../decision/access-request.ts';
import { deny } from '../../decision/decision.ts';
import type { CoreCode } from '../../decision/errors.ts';
import type { Authorize } from '../../decision/ports.ts';
import type { Caller } from '../../listener/caller.ts';
import type { InFlight } from '../../listener/in-flight.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { denyInternal, toCheckResponse } from './from-decision.ts';
import type { CallFault, CallReceiver, GrpcCall } from './grpc-call.ts';
import { type CheckContext, DOOR, toAccessRequest } from './to-access-request.ts';

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';
export const CHECK_PATH = `/${AUTHORIZATION_SERVICE}/Check`;

export interface CheckServicePorts {
  readonly authorize: Authorize;
  readonly inFlight: InFlight;
  readonly logger: Pick<Logger, 'limited'>;
}

/**
 * `Authorization/Check`, for the calls of one kind of caller, or of the one connection whose certificate (PEM) the
 * listener verified. INVARIANT: every call is answered with a CheckResponse
 * and the status OK: to Envoy any other status is an error, and under `failure_mode_allow` an error passes.
 */
export function createCheckService(
  { authorize, inFlight, logger }: CheckServicePorts,
  caller: Caller,
  callerCertificate?: string,
): CallReceiver {
  const believed = caller === 'believed';

  async function check(call: GrpcCall, message: Buffer): Promise<void> {
    let answer: Buffer;
    try {
      const { decision, decisionId } = await authorize(
        toAccessRequest(message, contextOf(call, believed, callerCertificate)),
      );
      answer = toCheckResponse(decision, decisionId);
    } catch (error) {
      answer = failed(error);
    }
    inFlight.leave();
    call.answer(answer);
  }

  async function refuse(call: GrpcCall, code: CoreCode, cause: string): Promise<void> {
    let answer: Buffer;
    try {
      const { decision, decisionId } = await authorize(unreadable(code, cause));
      answer = toCheckResponse(decision, decisionId);
    } catch (error) {
      answer = failed(error);
    }
    call.answer(answer);
  }

  function failed(error: unknown): Buffer {
    logger.limited('check_failed', 'error', { err: error, door: DOOR }, 'a check failed outside the core');
    return denyInternal(NO_DECISION_ID);
  }

  return {
    message(call, message) {
      if (caller === 'refused') {
        void refuse(call, 'invalid_credential', 'the certificate of the caller is not among `allowed_callers`');
      } else if (inFlight.tryEnter()) {
        void check(call, message);
      } else {
        void refuse(call, 'overloaded', 'more checks under way than `max_in_flight`');
      }
    },
    fault(call, { kind, cause, asked }) {
      if (asked) {
        // The core was asked already, and records its own outcome: this is only the answer that is still in time.
        logger.limited('deadline', 'warn', { door: DOOR }, 'a check was not decided before its deadline');
        call.answer(toCheckResponse(deny('deadline'), NO_DECISION_ID));
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

/** For an answer that no decision event speaks of. */
const NO_DECISION_ID = '';

/** The share of the caller's time after which the core answers. */
const DEADLINE_SHARE = 0.8;

function contextOf(call: GrpcCall, believed: boolean, callerCertificate: string | undefined): CheckContext {
  const remainingMs = call.remainingMs();
  const deadlineMs = remainingMs === undefined ? undefined : remainingMs * DEADLINE_SHARE;
  return { believed, callerCertificate, deadlineMs };
}

function unreadable(code: CoreCode, cause: string): UnreadableRequest {
  return { door: DOOR, unreadable: { code, cause } };
}
