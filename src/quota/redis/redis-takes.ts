import type { Clock, Instant } from '../../decision/ports.ts';
import type { BucketState } from '../bucket.ts';
import { type Receipt, StoreFault, type StoreTake, type StoreTaken } from '../bucket-store.ts';
import { createRedisBatch } from './redis-batch.ts';
import type { RedisCalls } from './redis-calls.ts';
import { readState, STATE_BYTES, viewOf } from './redis-codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisState } from './redis-state.ts';

/** What a take came to that charged at once and is remembered here only. */
export interface PlainTaken {
  /** Of the server's clock. */
  readonly atMs: number;
  /** Which charges of the plan were taken. */
  readonly taken: readonly boolean[];
}

export interface RedisTakesOptions {
  readonly keys: RedisKeys;
  readonly calls: RedisCalls;
  readonly state: RedisState;
  readonly clock: Clock;
  readonly horizonMs: number;
  /** Whether a take that may be left unrecorded is answered with a receipt, and remembered by nobody. */
  readonly receipts?: boolean;
  /** A take was answered; `recorded` where the store has a record of it. */
  readonly remember: (id: string, taken: PlainTaken | 'recorded') => void;
  /** A take whose caller was refused was carried out after all. */
  readonly unwanted: (take: StoreTake, plan: number, plain: PlainTaken | undefined) => void;
  /** A take whose caller was refused may have been carried out. */
  readonly unknown: (take: StoreTake, holds: boolean) => void;
  /** The store has another marker than was expected. */
  readonly changed: () => void;
}

export interface RedisTakes {
  take(request: StoreTake, at: Instant): Promise<StoreTaken>;
}

interface Waiting {
  readonly request: StoreTake;
  readonly holds: boolean;
  readonly asked: number;
  readonly resolve: (taken: StoreTaken) => void;
  readonly reject: (error: unknown) => void;
}

const TAKEN = 0;
const EXCEEDED = 1;
const DUPLICATE = 2;
const RELEASED = 3;
const OTHER_WINDOW = 4;

/** Sends the takes of one turn of the event loop as one call, and gives each its part of the answer. */
export function createRedisTakes(options: RedisTakesOptions): RedisTakes {
  const { calls, state, clock, receipts = false, remember, unwanted, unknown, changed } = options;
  const batch = createRedisBatch(options);
  let waiting: Waiting[] = [];
  let planned = false;
  let judgedBy: Buffer = Buffer.alloc(0);

  function add(take: Waiting, monotonicMs: number): void {
    if (batch.full) flush();
    batch.add(take.request, take.holds, state.serverMs(monotonicMs));
    if (waiting.length === 0) judgedBy = state.marker();
    waiting.push(take);
    if (planned) return;
    planned = true;
    setImmediate(flushPlanned);
  }

  function flushPlanned(): void {
    planned = false;
    flush();
  }

  function flush(): void {
    if (waiting.length === 0) return;
    const takes = waiting;
    waiting = [];
    const marker = state.marker();
    const command = batch.finish(marker);
    const fail = (error: unknown): void => {
      for (const { reject } of takes) reject(error);
    };
    // Whether these may be taken was judged by the state that was known then.
    if (!marker.equals(judgedBy)) {
      fail(cold());
      return;
    }
    try {
      calls.send({
        command,
        answered: (reply) => answer(takes, reply),
        fault: fail,
        late: (reply) => read(takes, reply, giveBack),
        lost: () => {
          for (const { request, holds } of takes) unknown(request, holds);
        },
      });
    } catch (error) {
      fail(error);
    }
  }

  function answer(takes: readonly Waiting[], reply: Buffer): void {
    try {
      read(takes, reply, tell);
    } catch (cause) {
      // Those that were told already are told only once.
      for (const { reject } of takes)
        reject(new StoreFault('refused', 'the answer of the quota store cannot be read', { cause }));
    }
  }

  function tell(take: Waiting, verdict: number, plan: number, states: readonly BucketState[], nowMs: number): void {
    const { request, holds, resolve, reject } = take;
    switch (verdict) {
      case TAKEN:
        if (holds && isRecorded(request, plan)) {
          remember(request.id, 'recorded');
        } else if (receipts && request.unrecorded === true) {
          // What is remembered of every take survives collections of garbage, and costs more than all else of it.
          resolve({ kind: 'taken', plan, states, receipt: toReceipt(states, nowMs) });
          break;
        } else {
          remember(request.id, toPlain(states, nowMs));
        }
        resolve({ kind: 'taken', plan, states });
        break;
      case EXCEEDED:
        resolve({ kind: 'exceeded', states: byPlan(request, states) });
        break;
      case DUPLICATE:
        resolve({ kind: 'duplicate' });
        break;
      case RELEASED:
        resolve({ kind: 'released' });
        break;
      case OTHER_WINDOW:
        // Its answer has set our idea of the server's clock right.
        if (take.asked === 1) askAgain({ ...take, asked: 2 });
        else reject(new StoreFault('refused', 'the clock of the quota store does not stand still'));
        break;
      default:
        reject(new StoreFault('refused', 'the quota store holds a bucket that cannot be read'));
    }
  }

  function askAgain(take: Waiting): void {
    try {
      add(take, clock.now().monotonicMs);
    } catch (error) {
      take.reject(error);
    }
  }

  function giveBack(take: Waiting, verdict: number, plan: number, states: readonly BucketState[], nowMs: number): void {
    if (verdict !== TAKEN) return;
    unwanted(take.request, plan, isRecorded(take.request, plan) ? undefined : toPlain(states, nowMs));
  }

  /** Goes over the verdicts of a reply, in the order of the takes. */
  function read(takes: readonly Waiting[], reply: Buffer, use: typeof tell): void {
    const nowMs = state.observe(reply);
    if (reply[0] !== 0) {
      changed();
      for (const { reject } of takes) reject(cold());
      return;
    }
    const view = viewOf(reply);
    let at = 9;
    for (const take of takes) {
      const verdict = view.getUint8(at);
      at += 1;
      let plan = -1;
      const states: BucketState[] = [];
      if (verdict === TAKEN) {
        plan = view.getUint8(at);
        at = readStates(view, at + 1, take.request, plan, nowMs, states);
      } else if (verdict === EXCEEDED) {
        for (let each = 0; each < take.request.plans.length; each += 1) {
          at = readStates(view, at, take.request, each, nowMs, states);
        }
      }
      use(take, verdict, plan, states, nowMs);
    }
  }

  return {
    take: (request, at) =>
      new Promise((resolve, reject) => {
        add(
          {
            request,
            holds: request.recordMs !== undefined || (request.repeated !== true && someHold(request.plans)),
            asked: 1,
            resolve,
            reject,
          },
          at.monotonicMs,
        );
      }),
  };
}

function cold(): StoreFault {
  return new StoreFault('cold', 'the quota store lost its state, or it was declared lost');
}

function readStates(
  reply: DataView,
  from: number,
  { plans }: StoreTake,
  plan: number,
  nowMs: number,
  states: BucketState[],
): number {
  const charges = plans[plan];
  if (charges === undefined) throw new RangeError('an answer of a plan that was not asked for');
  let at = from;
  for (const { terms, cost } of charges) {
    states.push(readState(reply, at, terms, cost, nowMs));
    at += STATE_BYTES;
  }
  return at;
}

function byPlan({ plans }: StoreTake, states: readonly BucketState[]): readonly (readonly BucketState[])[] {
  let from = 0;
  return plans.map(({ length }) => {
    from += length;
    return states.slice(from - length, from);
  });
}

function toPlain(states: readonly BucketState[], atMs: number): PlainTaken {
  return { atMs, taken: states.map(({ fits }) => fits) };
}

function toReceipt(states: readonly BucketState[], epochMs: number): Receipt {
  let taken = 0;
  // A plan has sixteen charges at the most.
  for (let charge = 0; charge < states.length; charge += 1) if (states[charge]?.fits === true) taken |= 1 << charge;
  return { taken, shared: 0, epochMs };
}

/** What a receipt says of a plan of so many charges. */
export function fromReceipt({ taken, epochMs }: Receipt, charges: number): PlainTaken {
  return { atMs: epochMs, taken: Array.from({ length: charges }, (_, charge) => ((taken >> charge) & 1) === 1) };
}

/** Whether the store keeps a record of a plan that was taken. */
export function isRecorded({ plans, recordMs }: StoreTake, plan: number): boolean {
  if (recordMs !== undefined) return true;
  for (const { hold } of plans[plan] ?? []) {
    if (hold !== undefined && hold.provisional !== true) return true;
  }
  return false;
}

function someHold(plans: StoreTake['plans']): boolean {
  for (const charges of plans) {
    for (const { hold } of charges) if (hold !== undefined) return true;
  }
  return false;
}
