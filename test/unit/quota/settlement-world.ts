import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { ChargePlan } from '../../../src/decision/charges.ts';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { type BucketStore, StoreFault } from '../../../src/quota/bucket-store.ts';
import { type Ledger, LedgerFault } from '../../../src/quota/ledger/ledger.ts';
import type { LedgerEvent } from '../../../src/quota/ledger/ledger-event.ts';
import { toNote } from '../../../src/quota/note.ts';
import { createSettlement, type Settlement } from '../../../src/quota/settlement/settlement.ts';
import type { SettlementReport } from '../../../src/quota/settlement/settlement-answer.ts';
import type { OnExpiry } from '../../../src/quota/settlement/settlement-open-text.ts';
import type { ManualClock } from '../../support/manual-clock.ts';
import { createReferenceBucketStore } from '../../support/reference-bucket-store.ts';

export const HORIZON_SECONDS = 900;

/** What a store does instead of answering: `lost` does what it was asked and then fails. */
export type StoreTrouble = 'none' | 'down' | 'lost';

export interface TroubledStore extends BucketStore {
  trouble: StoreTrouble;
  /** Reservations that cannot be settled just now. */
  refused: ReadonlySet<string>;
}

/** The reference store behind a wire that can break. */
export function createTroubledStore(): TroubledStore {
  const store = createReferenceBucketStore();
  const over = <T>(work: () => T | Promise<T>): Promise<T> => {
    if (troubled.trouble === 'down') return Promise.reject(new StoreFault('unreachable', 'down'));
    const answer = work();
    return troubled.trouble === 'lost'
      ? Promise.reject(new StoreFault('unknown_outcome', 'lost'))
      : Promise.resolve(answer);
  };
  const troubled: TroubledStore = {
    ...store,
    trouble: 'none',
    refused: new Set(),
    look: (id, at) => over(() => store.look(id, at)),
    settle: (id, used, at) => {
      if (troubled.refused.has(id)) return Promise.reject(new StoreFault('unreachable', 'its slot is down'));
      return over(() => store.settle(id, used, at));
    },
    renew: (id, ttlMs, at) => over(() => store.renew(id, ttlMs, at)),
  };
  return troubled;
}

/** A ledger in memory that can be full; it outlives the settlement that writes it, as a disk does. */
export interface MemoryLedger extends Ledger {
  full: boolean;
  /** What happens between an append and its acknowledgement. */
  onAppend: () => Promise<void> | void;
  readonly events: LedgerEvent[];
}

export function createMemoryLedger(): MemoryLedger {
  const events: LedgerEvent[] = [];
  let applied = 0;
  let open = '';
  const ledger: MemoryLedger = {
    full: false,
    onAppend: () => undefined,
    events,
    append: async (event) => {
      if (ledger.full) throw new LedgerFault('full');
      const seq = events.push(event) - 1;
      await ledger.onAppend();
      return seq;
    },
    async *replay(seq) {
      for (const [at, event] of events.entries()) if (at >= seq) yield { ...event, seq: at };
    },
    applied: async () => applied,
    noteApplied: async (seq) => {
      applied = seq;
    },
    loadOpen: async () => open,
    saveOpen: async (text) => {
      open = text;
    },
    start: async () => {},
    stop: async () => {},
  };
  return ledger;
}

export const RESERVE = { ttl_seconds: 60 };

/** The terms of one plan of charges, as `limits` would give them. */
export function planOf(...charges: readonly { readonly [key: string]: unknown }[]): ChargePlan {
  return charges.map((charge) => ({
    terms: parseChargeTerms({
      name: 'tokens_month',
      key: ['tenant'],
      unit: 'tokens',
      kind: 'window',
      calendar: 'month',
      zone: 'UTC',
      limit: 1e12,
      cost: 4096,
      reserve: RESERVE,
      scope: 'tenant',
      ...charge,
    }),
    key: ['tenant-a'],
  }));
}

const FOREVER = { at: () => ({ startMs: 0, endMs: Number.MAX_SAFE_INTEGER }) };

/** A window that never ends, so that nothing drains. */
export function bucketTerms(name: string): BucketTerms {
  return {
    id: name,
    kind: 'window',
    limit: 1e12,
    burst: 1e12,
    periodMs: 1,
    windows: FOREVER,
    region: 'callers',
    scope: 'tenant',
  };
}

/** Takes one plan under an id and tells the settlement of it, as composition does. */
export async function reserve(
  store: BucketStore,
  settlement: Settlement,
  clock: ManualClock,
  id: string,
  plan: ChargePlan = planOf({}),
  bucket?: string,
): Promise<readonly BucketCharge[]> {
  const onExpiry = expiryOf(plan);
  const charges = plan.map(({ terms }, at): BucketCharge => {
    const ttlMs = (terms.reserve?.ttlSeconds ?? 0) * 1000;
    const hold = terms.reserve === undefined ? {} : { hold: { ttlMs, onExpiry: onExpiry[at] ?? 'charge' } };
    return { terms: bucketTerms(bucket ?? terms.name), cost: terms.cost, enforced: true, refundable: true, ...hold };
  });
  await store.take({ id, plans: [charges], note: toNote('tenant-a', 'llama-3-8b', [plan]) }, clock.now());
  settlement.opened(id, clock.now().epochMs + 60_000, onExpiry);
  return charges;
}

export interface Learned {
  readonly tenant: string;
  readonly model: string;
  readonly name: string;
  readonly used: number;
}

export interface Replica {
  readonly settlement: Settlement;
  readonly reports: SettlementReport[];
  readonly learned: Learned[];
  readonly dropped: string[];
}

export function createReplica(store: BucketStore, clock: ManualClock, ledger?: Ledger): Replica {
  const reports: SettlementReport[] = [];
  const learned: Learned[] = [];
  const dropped: string[] = [];
  const settlement = createSettlement({
    store,
    ...(ledger === undefined ? {} : { ledger }),
    clock,
    startTimer: clock.startTimer,
    config: { settle_horizon_seconds: HORIZON_SECONDS },
    learned: (tenant, model, { name }, used) => learned.push({ tenant, model, name, used }),
    dropCaches: (tenant) => dropped.push(tenant),
    report: (report) => reports.push(report),
  });
  return { settlement, reports, learned, dropped };
}

/** Lets everything that waits for a promise go on: what was asked here answers in a few turns. */
export async function settleDown(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** What becomes of the holds of a plan, in order: one of a concurrency limit just ends. */
function expiryOf(plan: ChargePlan): readonly OnExpiry[] {
  return plan.flatMap(({ terms: { kind, reserve } }) => {
    if (reserve === undefined) return [];
    return [kind === 'concurrency' ? 'release' : reserve.onExpiry];
  });
}
