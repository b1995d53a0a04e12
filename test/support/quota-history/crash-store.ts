import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { ChargePlan } from '../../../src/decision/charges.ts';
import type { BucketTerms } from '../../../src/quota/bucket.ts';
import type { BucketStore } from '../../../src/quota/bucket-store.ts';
import { createWindows } from '../../../src/quota/calendar.ts';
import { createLedger, type Ledger } from '../../../src/quota/ledger/ledger.ts';
import { createMemoryStore } from '../../../src/quota/memory/memory-single.ts';
import { startSystemTimer, systemClock } from '../system-ports.ts';
import { MEMORY_STORE } from './memory-config.ts';

const LIMIT = 1e12;

/** The budget of a month. */
export const MONTH: BucketTerms = {
  id: 'month',
  kind: 'window',
  limit: LIMIT,
  burst: LIMIT,
  periodMs: 1,
  windows: createWindows({ calendar: 'month', zone: 'UTC' }),
  region: 'callers',
  scope: 'tenant',
};

/** As a policy would name it. */
export const MONTH_PLAN: ChargePlan = [
  {
    terms: parseChargeTerms({
      name: 'tokens',
      key: ['tenant'],
      unit: 'tokens',
      kind: 'window',
      calendar: 'month',
      zone: 'UTC',
      limit: LIMIT,
      cost: 1,
      reserve: { ttl_seconds: 600 },
      scope: 'tenant',
    }),
    key: ['tenant'],
  },
];

/** What a process keeps in a data folder. */
export function openCrashStore(folder: string): { readonly store: BucketStore; readonly ledger: Ledger } {
  return {
    store: createMemoryStore({
      config: { store: MEMORY_STORE, data_dir: folder, settle_horizon_seconds: 900 },
      clock: systemClock,
      startTimer: startSystemTimer,
      report: () => {},
    }),
    ledger: createLedger({
      folder: join(folder, 'ledger'),
      horizonSeconds: 900,
      clock: systemClock,
      startTimer: startSystemTimer,
      randomId: () => randomBytes(8).toString('hex'),
      report: () => {},
    }),
  };
}
