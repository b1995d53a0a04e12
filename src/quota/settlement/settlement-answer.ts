import { MAX_TTL_SECONDS } from '../../decision/charge-terms.ts';

/** What a report of usage, or a renewal, is answered: an HTTP status and what its body says. */
export type SettleAnswer = SettleDone | SettleRefused;

export interface SettleDone {
  readonly status: 200;
  readonly body: { readonly outcome: DoneOutcome; readonly [name: string]: unknown };
}

export type DoneOutcome = 'settled' | 'already' | 'renewed';

export interface SettleRefused {
  readonly status: 400 | 404 | 409 | 410 | 422 | 503;
  /** A stable code. */
  readonly reason: RefusedReason;
  /** For people; holds nothing that was sent. */
  readonly detail: string;
  /** Which field of the request is at fault. */
  readonly field?: string;
}

export type RefusedReason =
  | 'malformed'
  | 'unknown'
  | 'conflict'
  | 'released'
  | 'ended'
  | 'late'
  | 'bad_usage'
  | 'store_unavailable'
  | 'ledger_unavailable'
  | 'not_yet_applied'
  | 'overloaded';

export const ANSWERS = {
  malformed: {
    status: 400,
    reason: 'malformed',
    detail: 'this is no reservation id',
    field: 'reservation_id',
  },
  future: {
    status: 410,
    reason: 'late',
    detail: 'the reservation is of a time that is not here yet: compare the clocks',
    field: 'reservation_id',
  },
  late: {
    status: 410,
    reason: 'late',
    detail: 'its hold ended more than `quota.settle_horizon_seconds` ago, or nothing is known of it any more',
    field: 'reservation_id',
  },
  unknown: { status: 404, reason: 'unknown', detail: 'there is no such reservation', field: 'reservation_id' },
  released: {
    status: 409,
    reason: 'released',
    detail: 'the reservation was given back: its request was denied',
    field: 'reservation_id',
  },
  conflict: {
    status: 409,
    reason: 'conflict',
    detail: 'the reservation was settled with another usage; the first one counts',
    field: 'usage',
  },
  ended: {
    status: 409,
    reason: 'ended',
    detail: 'the hold is over: report the usage instead',
    field: 'reservation_id',
  },
  badTtl: {
    status: 422,
    reason: 'malformed',
    detail: `\`ttl_seconds\` is no integer from 1 to ${MAX_TTL_SECONDS}`,
    field: 'ttl_seconds',
  },
  store: { status: 503, reason: 'store_unavailable', detail: 'the quota store does not answer: send it again' },
  ledger: { status: 503, reason: 'ledger_unavailable', detail: 'the ledger cannot be written: send it again' },
  waiting: {
    status: 503,
    reason: 'not_yet_applied',
    detail: 'the usage is in the ledger and waits for the quota store; to send it again is harmless',
  },
  overloaded: { status: 503, reason: 'overloaded', detail: 'too much is being settled: send it again' },
} as const satisfies { readonly [name: string]: SettleRefused };

/** What settlement tells of what it does, for metrics and the operational log. */
export type SettlementReport =
  | { readonly kind: 'answered'; readonly outcome: DoneOutcome | RefusedReason }
  | { readonly kind: 'expired' }
  /** The store did not know a reservation any more whose usage is in the ledger, or which nobody settled. */
  | { readonly kind: 'forgotten' }
  /** Too many reservations are open: this one's end will not be in the ledger unless it is settled. */
  | { readonly kind: 'untracked' }
  | { readonly kind: 'store_failed' | 'ledger_failed'; readonly cause: unknown };
