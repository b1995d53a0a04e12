import type { Clock } from '../../decision/ports.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RejectedReason } from '../ledger/ledger-event.ts';
import type { SettleAnswer, SettlementReport } from './settlement-answer.ts';
import { createAllowance } from './settlement-order.ts';
import type { Usage } from './usage.ts';

/** Writes down that a report changed nothing, within bounds, since anybody can send such; hands the answer on. */
export type Reject = (id: string, reason: RejectedReason, answer: SettleAnswer, usage?: Usage) => Promise<SettleAnswer>;

export interface RejectionsOptions {
  readonly ledger: Pick<Ledger, 'append'> | undefined;
  readonly clock: Clock;
  readonly report: (report: SettlementReport) => void;
}

const LINES = { burst: 100, perSecond: 10 };

export function createRejections({ ledger, clock, report }: RejectionsOptions): Reject {
  const mayNote = createAllowance(LINES, clock);
  return async (id, reason, answer, usage) => {
    if (ledger === undefined || !mayNote()) return answer;
    const { epochMs: atMs } = clock.now();
    try {
      await ledger.append({ event: 'rejected', id, atMs, reason, ...(usage === undefined ? {} : { usage }) });
    } catch (cause) {
      report({ kind: 'ledger_failed', cause });
    }
    return answer;
  };
}
