import { deny } from '../../decision/decision.ts';
import type { Authorize, Outcome } from '../../decision/ports.ts';
import type { UnaryMethod } from '../../listener/unary-method.ts';
import { denyInternal, toCheckResponse } from './from-decision.ts';
import { DOOR, toAccessRequest } from './to-access-request.ts';

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

/** `Authorization/Check`: a denial is a CheckResponse like any other. */
export function createCheckMethod(authorize: Authorize): UnaryMethod<Outcome> {
  return {
    ask: (message, context) => authorize(toAccessRequest(message, context)),
    askUnread: (code, cause) => authorize({ door: DOOR, unreadable: { code, cause } }),
    reply: ({ decision, decisionId }) => toCheckResponse(decision, decisionId),
    undecided: (code) =>
      code === 'internal' ? denyInternal(NO_DECISION_ID) : toCheckResponse(deny(code), NO_DECISION_ID),
  };
}

/** For an answer that no decision event speaks of. */
const NO_DECISION_ID = '';
