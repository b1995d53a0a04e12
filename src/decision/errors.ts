/**
 * Every way in which a request is denied, by one stable code. Codes go to decision events, metrics and
 * `sallyport eval`; the client is told only the {@link ClientReason} behind a code.
 */
export type CoreCode =
  // who asks
  | 'no_credential'
  | 'invalid_credential'
  | 'issuer_unavailable'
  | 'too_many_refusals'
  // what for
  | 'malformed_request'
  | 'ambiguous_path'
  | 'upgrade_not_declared'
  | 'unknown_route'
  | 'method_not_declared'
  | 'payload_too_large'
  | 'payload_size_unknown'
  // how much
  | 'invalid_charges'
  | 'quota_missing'
  | 'quota_exceeded'
  | 'cost_exceeds_limit'
  | 'quota_unavailable'
  // what the policy says
  | 'policy_denied'
  | 'unknown_decision'
  | 'undefined_verdict'
  | 'invalid_verdict'
  | 'unperformed_obligation'
  | 'policy_error'
  | 'policy_budget'
  // what went wrong around it
  | 'no_bundle'
  | 'unsupported_by_door'
  | 'deadline'
  | 'overloaded'
  | 'internal';

/** The closed list of what a denied client may learn (RFC 9457 `reason` member). */
export type ClientReason =
  | 'unauthenticated'
  | 'invalid_credentials'
  | 'forbidden'
  | 'not_found'
  | 'payload_too_large'
  | 'quota_exceeded'
  | 'bad_request'
  | 'unavailable';

interface ClientAnswer {
  readonly status: number;
  readonly reason: ClientReason;
}

const unavailable: ClientAnswer = { status: 503, reason: 'unavailable' };
const badRequest: ClientAnswer = { status: 400, reason: 'bad_request' };
const tooLarge: ClientAnswer = { status: 413, reason: 'payload_too_large' };
const forbidden: ClientAnswer = { status: 403, reason: 'forbidden' };
const exceeded: ClientAnswer = { status: 429, reason: 'quota_exceeded' };

/** What the client is told for each code; a new code must say so here or the build breaks. */
export const CLIENT_ANSWERS: Readonly<Record<CoreCode, ClientAnswer>> = {
  no_credential: { status: 401, reason: 'unauthenticated' },
  invalid_credential: { status: 401, reason: 'invalid_credentials' },
  issuer_unavailable: unavailable,
  too_many_refusals: exceeded,
  malformed_request: badRequest,
  ambiguous_path: badRequest,
  upgrade_not_declared: forbidden,
  unknown_route: { status: 404, reason: 'not_found' },
  method_not_declared: { status: 405, reason: 'forbidden' },
  payload_too_large: tooLarge,
  payload_size_unknown: tooLarge,
  invalid_charges: unavailable,
  quota_missing: unavailable,
  quota_exceeded: exceeded,
  cost_exceeds_limit: exceeded,
  quota_unavailable: unavailable,
  policy_denied: forbidden,
  unknown_decision: unavailable,
  undefined_verdict: unavailable,
  invalid_verdict: unavailable,
  unperformed_obligation: unavailable,
  policy_error: unavailable,
  policy_budget: unavailable,
  no_bundle: unavailable,
  unsupported_by_door: unavailable,
  deadline: unavailable,
  overloaded: unavailable,
  internal: unavailable,
};

const TITLES: Readonly<Record<ClientReason, string>> = {
  unauthenticated: 'Authentication is required',
  invalid_credentials: 'The credentials are not valid',
  forbidden: 'The request is not permitted',
  not_found: 'There is nothing at this address',
  payload_too_large: 'The payload is too large or of unknown size',
  quota_exceeded: 'Too many requests',
  bad_request: 'The request is malformed',
  unavailable: 'The request cannot be decided at present',
};

/** The RFC 9457 `title` for a reason: constant text, so that it can name nothing of tokens, models or rules. */
export function titleOf(reason: ClientReason): string {
  return TITLES[reason];
}

/** The reason that goes with a status which a verdict chose itself. */
export function reasonOfStatus(status: number): ClientReason {
  switch (status) {
    case 401:
      return 'unauthenticated';
    case 400:
      return 'bad_request';
    case 404:
      return 'not_found';
    case 413:
      return 'payload_too_large';
    case 429:
      return 'quota_exceeded';
    default:
      return status >= 500 ? 'unavailable' : 'forbidden';
  }
}

/** A text of others in a message: bounded, and without the backtick that would end its quotation. */
export function quoted(text: unknown): string {
  return `\`${String(text).slice(0, 64).replaceAll('`', "'")}\``;
}

/** A failure whose denial is known: thrown inside a step, turned into a Deny with this code by the core. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';
  readonly code: CoreCode;
  /** What the evaluation took that failed so. */
  steps = 0;

  constructor(code: CoreCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
