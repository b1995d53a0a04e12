import type { Clock, Instant, StartTimer } from '../../decision/ports.ts';
import type { BucketCharge } from '../bucket.ts';
import type { StoreTake, StoreTaken } from '../bucket-store.ts';
import { createSlotCalls, type SlotCalls } from './redis-cluster-calls.ts';
import type { ClusterNodes } from './redis-cluster-nodes.ts';
import { slotOf } from './redis-cluster-slots.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import { createGivingBack, type GivingBack } from './redis-giving-back.ts';
import { createRedisKeys, type RedisKeys } from './redis-keys.ts';
import { createRedisPart, type RedisPart } from './redis-part.ts';
import { createRedisState, type EpochMemory, type RedisState } from './redis-state.ts';
import { createRedisTakes, isRecorded, type PlainTaken } from './redis-takes.ts';

/** One of the parts of a cluster: all that a store in one slot can do, wherever that slot is. */
export interface ClusterPart extends RedisPart {
  readonly keys: RedisKeys;
  readonly calls: SlotCalls;
  readonly state: RedisState;
  readonly giving: GivingBack;
  /** Throws where these charges could not be taken now. */
  check(plans: readonly (readonly BucketCharge[])[], monotonicMs: number): void;
  take(request: StoreTake, at: Instant): Promise<PartTaken>;
  /** Gives back what a take did that is known; never throws. */
  takeBack(request: StoreTake, plan: number, plain: PlainTaken | undefined): Promise<void>;
  /** Looks at its marker; what fails is tried again. */
  join(): Promise<void>;
  /** Whether it was looked at since this process began. */
  readonly joined: boolean;
}

export interface PartTaken {
  readonly answer: StoreTaken;
  /** Of what was taken and is recorded nowhere. */
  readonly plain: PlainTaken | undefined;
}

export interface ClusterPartOptions {
  readonly name: string;
  readonly prefix: string;
  /** Whether replicas say in it that they live. */
  readonly isFirst: boolean;
  readonly nodes: ClusterNodes;
  readonly deadlineMs: number;
  readonly horizonMs: number;
  readonly coldMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  readonly memory: EpochMemory;
}

export function createClusterPart(options: ClusterPartOptions): ClusterPart {
  const { name, prefix, isFirst, nodes, deadlineMs, horizonMs, coldMs, clock, startTimer, random, report } = options;
  const keys = createRedisKeys(prefix, name);
  const state = createRedisState({ keys, coldMs, clock, random, report, memory: options.memory });
  const calls = createSlotCalls({ nodes, slot: slotOf(name), deadlineMs, clock, startTimer });
  const changed = (): void => void join();
  const ops = createRedisPart({ keys, calls, state, clock, horizonMs, changed });
  const giving = createGivingBack({ release: (id) => ops.release(id), report });
  const plains = new Map<string, PlainTaken>();
  const takes = createRedisTakes({
    keys,
    calls,
    state,
    clock,
    horizonMs,
    remember: (id, taken) => {
      if (taken !== 'recorded') plains.set(id, taken);
    },
    unwanted: (request, plan, plain) => void takeBack(request, plan, plain),
    unknown: (request) => {
      if (request.plans.some((_, plan) => isRecorded(request, plan))) giving.give(request.id);
      else giving.lost();
    },
    changed,
  });
  let joining: Promise<void> | undefined;
  let joined = false;

  async function takeBack({ id, plans }: StoreTake, plan: number, plain: PlainTaken | undefined): Promise<void> {
    const charges = plans[plan] ?? [];
    try {
      if (plain === undefined) return await ops.undo(id);
      await Promise.all([
        ops.conclude('cancel', id, charges.filter(isProvisional)),
        ops.refund(charges.filter(isFinal), { ...plain, taken: plain.taken.filter((_, at) => isFinalAt(charges, at)) }),
      ]);
    } catch {
      if (plain === undefined) giving.give(id);
      else giving.lost();
    }
  }

  function join(): Promise<void> {
    joining ??= (isFirst ? state.join(calls) : state.look(calls))
      .then(
        () => {
          joined = true;
        },
        () => undefined,
      )
      .finally(() => {
        joining = undefined;
      });
    return joining;
  }

  return {
    ...ops,
    keys,
    calls,
    state,
    giving,
    join,
    takeBack,
    get joined() {
      return joined;
    },
    check: (plans, monotonicMs) => {
      calls.checkReachable();
      state.checkWarm(plans, monotonicMs);
    },
    take: async (request, at) => {
      // Since it was checked another part may have been waited for.
      state.checkWarm(request.plans, clock.now().monotonicMs);
      const answer = await takes.take(request, at);
      const plain = plains.get(request.id);
      plains.delete(request.id);
      return { answer, plain };
    },
  };
}

export function isProvisional({ hold }: BucketCharge): boolean {
  return hold?.provisional === true;
}

function isFinal(charge: BucketCharge): boolean {
  return !isProvisional(charge);
}

function isFinalAt(charges: readonly BucketCharge[], at: number): boolean {
  const charge = charges[at];
  return charge !== undefined && isFinal(charge);
}
