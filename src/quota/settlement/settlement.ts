import { MAX_TTL_SECONDS } from '../../decision/charge-terms.ts';
import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { BucketStore } from '../bucket-store.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerEvent, SettledEvent } from '../ledger/ledger-event.ts';
import type { NotedCharge } from '../note.ts';
import { parseReservationId } from '../reservation-id.ts';
import { ANSWERS, type SettleAnswer, type SettlementReport } from './settlement-answer.ts';
import { badUsage, costsOf, toSettledEvent } from './settlement-event.ts';
import { createOpenReservations } from './settlement-expiry.ts';
import type { OnExpiry } from './settlement-open-text.ts';
import { createRecent, createTurns, sameNumbers, sameUsage } from './settlement-order.ts';
import { createRejections } from './settlement-rejections.ts';
import { isUsageFault, parseUsage, type Usage } from './usage.ts';

/** Replaces what was held by what was used: into the ledger first, then into the store, each reservation once. */
export interface Settlement {
  /** Takes up what the ledger holds and the store may not know. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Never throws. 200 says that the usage is durable (where there is a ledger) and counted, once. */
  settle(id: string, usage: unknown): Promise<SettleAnswer>;
  /** Puts the end of all holds off to `ttlSeconds` from now. Never throws. */
  renew(id: string, ttlSeconds: number): Promise<SettleAnswer>;
  /** To be called for each take with a reservation id, so that its expiry is written down. */
  opened(id: string, expiresMs: number, onExpiry: readonly OnExpiry[]): void;
  /** To be called when such a take is released. */
  closed(id: string): void;
}

export interface SettlementOptions {
  readonly store: BucketStore;
  /** Absent without `quota.data_dir`: usage then is counted, and written nowhere. */
  readonly ledger?: Ledger;
  /** What a call was seen to use, for each of its charges that is metered. */
  readonly learned: (tenant: string, model: string, charge: NotedCharge, used: number) => void;
  /** Whatever says that a limit of this tenant is exhausted may be wrong now. */
  readonly dropCaches: (tenant: string) => void;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly config: { readonly settle_horizon_seconds: number };
  readonly report: (report: SettlementReport) => void;
}

const MAX_AHEAD_MS = 60_000;
const MAX_UNDER_WAY = 4_096;
/** Settled in the ledger and unknown to a store that is down. */
const MAX_BACKLOG = 20_000;
const TICK_MS = 1_000;
const SAVE_TICKS = 10;
const MAX_FAILURES = 16;
/** A store in this process is asked for so many reservations in a tick: a few milliseconds. */
const MAX_REMEMBERED = 250;

/** What is in the ledger and not, or not surely, in the store. */
interface Waiting {
  readonly seq: number;
  readonly event: SettledEvent;
  /** The store counts another usage: what is missing is the line that says so. */
  readonly superseded: boolean;
}

export function createSettlement(options: SettlementOptions): Settlement {
  const { store, ledger, learned, dropCaches, clock, startTimer, config, report } = options;
  const backlog = new Map<string, Waiting>();
  const recent = createRecent<SettledEvent>();
  const turns = createTurns();
  const reject = createRejections({ ledger, clock, report });
  const horizonSeconds = config.settle_horizon_seconds;
  const open =
    ledger === undefined ? undefined : createOpenReservations({ store, ledger, clock, horizonSeconds, report });
  let nextSeq = 0;
  let noted = 0;
  let ticks = 0;
  let saved = '';
  let ticking: Promise<void> | undefined;
  let cancelTick: (() => void) | undefined;

  async function settleInTurn(id: string, madeMs: number, usage: Usage): Promise<SettleAnswer> {
    const waiting = backlog.get(id);
    if (waiting !== undefined && !waiting.superseded) {
      if (!sameUsage(waiting.event.usage, usage)) return reject(id, 'conflict', ANSWERS.conflict, usage);
      return apply(waiting, false);
    }
    const former = recent.get(id);
    if (former !== undefined) {
      if (!sameUsage(former.usage, usage)) return reject(id, 'conflict', ANSWERS.conflict, usage);
      return done('already', former);
    }
    const at = clock.now();
    // A store may be gone with the process before this one, which left what it knew.
    const reservation = (await store.look(id, at)) ?? open?.recall(id);
    const lastMs = (reservation?.expiresMs ?? madeMs) + horizonSeconds * 1000;
    const isOver = at.epochMs > lastMs && (reservation === undefined || reservation.state === 'open');
    if (isOver) return reject(id, 'late', ANSWERS.late, usage);
    if (reservation === undefined) return reject(id, 'unknown', ANSWERS.unknown, usage);
    if (reservation.state === 'released') return reject(id, 'released', ANSWERS.released, usage);
    const event = toSettledEvent(id, reservation, usage, at);
    if ('fault' in event) return reject(id, 'bad_usage', badUsage(event), usage);
    if (reservation.state === 'settled') {
      if (sameNumbers(reservation.used, costsOf(event))) return done('already', event);
      return reject(id, 'conflict', ANSWERS.conflict, usage);
    }
    if (backlog.size >= MAX_BACKLOG) return ANSWERS.store;
    let seq = 0;
    try {
      seq = (await ledger?.append(event)) ?? 0;
    } catch (cause) {
      report({ kind: 'ledger_failed', cause });
      return ANSWERS.ledger;
    }
    return apply({ seq, event, superseded: false }, true);
  }

  /** Brings an event of the ledger into the store. `isFirst`: nobody tried that before. */
  async function apply(waiting: Waiting, isFirst: boolean): Promise<SettleAnswer> {
    const { event, seq } = waiting;
    const { id } = event;
    // INVARIANT: in the same turn as the ledger's answer, so that `tick` never takes for applied what is not.
    if (ledger !== undefined) {
      backlog.set(id, waiting);
      nextSeq = Math.max(nextSeq, seq + 1);
    }
    try {
      switch (await store.settle(id, costsOf(event), clock.now())) {
        case 'settled':
          settled(event);
          return done('settled', event);
        case 'unknown':
          report({ kind: 'forgotten' });
          if (ledger === undefined) return ANSWERS.unknown;
          settled(event);
          return done('settled', event, false);
        case 'already':
          break;
      }
      const found = await store.look(id, clock.now());
      const isSame = found?.state === 'settled' && sameNumbers(found.used, costsOf(event));
      if (isSame && !isFirst) settled(event);
      else await supersede({ seq, event, superseded: true });
      if (isSame) return done('already', event);
      return found?.state === 'released' ? ANSWERS.released : ANSWERS.conflict;
    } catch (cause) {
      report({ kind: 'store_failed', cause });
      return ledger === undefined ? ANSWERS.store : ANSWERS.waiting;
    }
  }

  /** The settled line does not count, since the store has another replica's: says so, now or later. */
  async function supersede(waiting: Waiting): Promise<void> {
    const { id } = waiting.event;
    if (ledger !== undefined) {
      backlog.set(id, waiting);
      try {
        await ledger.append({ event: 'rejected', id, atMs: clock.now().epochMs, reason: 'settled_elsewhere' });
      } catch (cause) {
        report({ kind: 'ledger_failed', cause });
        return;
      }
    }
    backlog.delete(id);
    open?.closed(id);
  }

  function settled(event: SettledEvent): void {
    const { id, tenant, model, charges } = event;
    backlog.delete(id);
    open?.closed(id);
    recent.set(id, event);
    for (const { name, unit, cost } of charges) {
      if (unit === 'tokens' || unit === 'nano_usd') learned(tenant, model, { name, unit }, cost);
    }
    dropCaches(tenant);
  }

  /** `isCounted`: `false` where the store no longer knew it, and keeps what it had charged. */
  function done(outcome: 'settled' | 'already', { id, charges }: SettledEvent, isCounted = true): SettleAnswer {
    const body = { outcome, reservation_id: id, charges, ledger: ledger !== undefined };
    return { status: 200, body: isCounted ? body : { ...body, counted: false } };
  }

  /** What the store does not know yet, reservations that expired, and how far the store knows the ledger. */
  async function tick(): Promise<void> {
    try {
      let failures = 0;
      for (const [id, waiting] of [...backlog]) {
        await turns.alone(id, async () => {
          if (backlog.get(id) !== waiting) return;
          await (waiting.superseded ? supersede(waiting) : apply(waiting, false));
        });
        if (backlog.get(id)?.event !== waiting.event) continue;
        // Behind the others: what fails for one tenant must not stop the rest. So many say that it fails for all.
        backlog.delete(id);
        backlog.set(id, waiting);
        failures += 1;
        if (failures === MAX_FAILURES) break;
      }
      let applied = nextSeq;
      for (const { seq } of backlog.values()) applied = Math.min(applied, seq);
      if (ledger !== undefined && applied !== noted) await ledger.noteApplied(applied);
      noted = applied;
      ticks += 1;
      open?.remember(MAX_REMEMBERED);
      if (ticks % SAVE_TICKS === 0) await saveOpen();
      await open?.sweep(turns.alone);
    } catch (cause) {
      report({ kind: 'store_failed', cause });
    }
  }

  /** What a process that is killed had open is known to the next one, but for the last ten seconds. */
  async function saveOpen(): Promise<void> {
    const text = open?.toText() ?? '';
    if (text !== saved) await ledger?.saveOpen(text);
    saved = text;
  }

  /** What the process before this one wrote. */
  function takeUp(seq: number, event: LedgerEvent): void {
    const { id } = event;
    if (event.event === 'settled') {
      if (seq >= noted) backlog.set(id, { seq, event, superseded: false });
      else recent.set(id, event);
    } else if (event.event === 'rejected' && event.reason === 'settled_elsewhere') {
      backlog.delete(id);
      recent.delete(id);
    }
    if (event.event !== 'rejected' || event.reason === 'settled_elsewhere') open?.closed(id);
  }

  function keepTicking(): void {
    cancelTick = startTimer(TICK_MS, () => {
      ticking = tick().finally(() => (cancelTick === undefined ? undefined : keepTicking()));
    });
  }

  async function answered(work: () => Promise<SettleAnswer>): Promise<SettleAnswer> {
    let answer: SettleAnswer;
    try {
      answer = turns.underWay() >= MAX_UNDER_WAY ? ANSWERS.overloaded : await work();
    } catch (cause) {
      report({ kind: 'store_failed', cause });
      answer = ANSWERS.store;
    }
    report({ kind: 'answered', outcome: answer.status === 200 ? answer.body.outcome : answer.reason });
    return answer;
  }

  return {
    start: async () => {
      if (ledger !== undefined) {
        saved = await ledger.loadOpen();
        open?.restore(saved);
        noted = await ledger.applied();
        nextSeq = noted;
        // No store knows a reservation for longer.
        const sinceMs = clock.now().epochMs - (MAX_TTL_SECONDS + horizonSeconds) * 1000;
        for await (const { seq, ...event } of ledger.replay(0)) {
          nextSeq = Math.max(nextSeq, seq + 1);
          if (event.atMs >= sinceMs) takeUp(seq, event);
        }
      }
      keepTicking();
    },
    stop: async () => {
      cancelTick?.();
      cancelTick = undefined;
      await ticking;
      await tick();
      open?.remember(Number.POSITIVE_INFINITY);
      await saveOpen().catch((cause: unknown) => report({ kind: 'ledger_failed', cause }));
    },
    settle: (id, given) =>
      answered(async () => {
        const made = parseReservationId(id);
        if (made === undefined) return ANSWERS.malformed;
        if (made.epochMs > clock.now().epochMs + MAX_AHEAD_MS) return reject(id, 'late', ANSWERS.future);
        const usage = parseUsage(given);
        if (isUsageFault(usage)) return reject(id, 'bad_usage', badUsage(usage));
        return turns.alone(id, () => settleInTurn(id, made.epochMs, usage));
      }),
    renew: (id, ttlSeconds) =>
      answered(async () => {
        if (parseReservationId(id) === undefined) return ANSWERS.malformed;
        if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) return ANSWERS.badTtl;
        return turns.alone(id, async () => {
          const at = clock.now();
          const renewed = await store.renew(id, ttlSeconds * 1000, at);
          // What a process before this one held was charged when its store was gone.
          if (renewed === 'ended' || open?.recall(id) !== undefined) return ANSWERS.ended;
          if (renewed !== 'renewed') return ANSWERS.unknown;
          const expires_ms = at.epochMs + ttlSeconds * 1000;
          open?.renewed(id, expires_ms);
          return { status: 200, body: { outcome: 'renewed', reservation_id: id, expires_ms } };
        });
      }),
    opened: (id, expiresMs, onExpiry) => open?.opened(id, expiresMs, onExpiry),
    closed: (id) => open?.closed(id),
  };
}
