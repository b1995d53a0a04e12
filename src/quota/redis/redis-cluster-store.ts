import type { Instant } from '../../decision/ports.ts';
import type { BucketCharge, BucketState } from '../bucket.ts';
import { StoreFault } from '../bucket-store.ts';
import { createSlotCalls } from './redis-cluster-calls.ts';
import { createClusterEpochs } from './redis-cluster-epochs.ts';
import { createClusterNodes } from './redis-cluster-nodes.ts';
import { type ClusterPart, createClusterPart } from './redis-cluster-part.ts';
import { createClusterReservations } from './redis-cluster-reservations.ts';
import { PARTS, partNames, slotOf } from './redis-cluster-slots.ts';
import { createClusterTake, homeOf, inParts, partOfTerms } from './redis-cluster-take.ts';
import { createRedisKeys } from './redis-keys.ts';
import { asQuestion } from './redis-part.ts';
import { createRecentTakes } from './redis-recent.ts';
import type { SharedBucketStore } from './redis-state.ts';
import type { RedisStoreOptions } from './redis-store.ts';
import type { PlainTaken } from './redis-takes.ts';

const RECENT_TAKES = 32_768;
const BEAT_MS = 1000;
const BEATS_PER_LOOK = 10;
/** Beside two deadlines, in which a second phase is over: what a confirm may take. */
const PROVISIONAL_MS = 1000;

/**
 * Buckets in a Redis or Valkey cluster, on the clock of each node. They and reservations are in 256 parts: those of one
 * tag in one part, so that what one tenant's own limits are charged is one step on one node, as in a single server. What
 * crosses parts is taken in two phases; see `redis-cluster-take`. A node that is away denies what is in its parts.
 *
 * Each part has a marker and may be lost by itself. An operator who accepts that sets `<prefix>1:accept_loss`, which then
 * holds for every part that is not whole. Its user needs `+cluster|slots` beside what that of a single server does.
 */
export function createRedisClusterStore(options: RedisStoreOptions): SharedBucketStore {
  const { config, clock, startTimer, random, report, epochMemory } = options;
  const { cluster_urls: urls = [], tls, key_prefix: prefix, cold_start_seconds: coldSeconds } = config.store;
  const { deadline_ms: deadlineMs } = config;
  const recent = createRecentTakes<readonly PlainTaken[] | 'recorded' | 'released'>(RECENT_TAKES);
  const epochs = createClusterEpochs(epochMemory, PARTS);
  const nodes = createClusterNodes({
    urls,
    tls,
    deadlineMs,
    clock,
    startTimer,
    random,
    report,
    connected: () => void joinAll((part) => !part.joined || !part.state.isWhole()),
  });
  const parts: readonly ClusterPart[] = partNames().map((name, number) =>
    createClusterPart({
      name,
      prefix,
      isFirst: number === 0,
      nodes,
      deadlineMs,
      horizonMs: config.settle_horizon_seconds * 1000,
      coldMs: coldSeconds * 1000,
      clock,
      startTimer,
      random,
      report,
      memory: epochs(number),
    }),
  );
  const { acceptLoss } = createRedisKeys(prefix);
  const accepted = createSlotCalls({ nodes, slot: slotOf(acceptLoss), deadlineMs, clock, startTimer });
  const take = createClusterTake({ parts, provisionalMs: PROVISIONAL_MS + 2 * deadlineMs });
  const reservations = createClusterReservations({ parts, report });
  let cancelBeat: (() => void) | undefined;
  let beats = 0;
  let stopped = true;

  async function joinAll(wanted: (part: ClusterPart) => boolean): Promise<void> {
    await Promise.all(parts.filter(wanted).map((part) => part.join()));
  }

  async function acceptLosses(): Promise<void> {
    const lost = parts.filter(({ state, joined }) => joined && !state.isWhole());
    if (lost.length === 0) return;
    const reply = await accepted.ask(['MGET', acceptLoss]);
    if (!Array.isArray(reply) || !Buffer.isBuffer(reply[0])) return;
    await Promise.all(lost.map(({ calls, keys }) => calls.ask(['SET', keys.acceptLoss, '1'])));
    await Promise.all(lost.map((part) => part.join()));
    await accepted.ask(['DEL', acceptLoss]);
  }

  function beat(): void {
    beats += 1;
    nodes.beat();
    const [first] = parts;
    first?.state.beat(first.calls).catch(() => undefined);
    acceptLosses().catch(() => undefined);
    void joinAll((part) => !part.joined || (beats % BEATS_PER_LOOK === 0 && !part.state.isWhole()));
    for (const { giving } of parts) giving.resume();
    reservations.resume();
  }

  function armBeat(): void {
    cancelBeat = startTimer(BEAT_MS, () => {
      armBeat();
      beat();
    });
  }

  async function inEach<A>(
    charges: readonly BucketCharge[],
    at: Instant,
    ask: (part: ClusterPart, charges: readonly BucketCharge[], places: readonly number[]) => Promise<A>,
  ): Promise<void> {
    const [first] = charges;
    if (first === undefined) return;
    const groups = inParts(charges, partOfTerms(first.terms), false);
    for (const { part } of groups) parts[part]?.check([], at.monotonicMs);
    const ends = await Promise.allSettled(
      groups.map(async ({ part, charges: own, places }) => {
        const there = parts[part];
        if (there !== undefined) await ask(there, own, places);
      }),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed === undefined) return;
    if (ends.length === 1 || !(failed.reason instanceof StoreFault)) throw failed.reason;
    throw new StoreFault('unknown_outcome', failed.reason.message);
  }

  return {
    take: async (request, at) => {
      const known = recent.get(request.id);
      if (known !== undefined) return { kind: known === 'released' ? 'released' : 'duplicate' };
      const { answer, plains } = await take(request, at);
      if (answer.kind === 'taken') recent.set(request.id, plains ?? 'recorded');
      return answer;
    },
    release: async (id, charges) => {
      const known = recent.get(id);
      if (known === 'released') return;
      recent.set(id, 'released');
      if (known === undefined || known === 'recorded') return reservations.release(id, charges);
      const groups = inParts(charges, homeOf(id), false);
      await Promise.all(
        groups.map(async ({ part, charges: own }, at) => {
          const plain = known[at];
          if (plain !== undefined) await parts[part]?.refund(own, plain);
        }),
      );
    },
    look: (id) => reservations.look(id),
    settle: (id, used) => reservations.settle(id, used),
    renew: (id, ttlMs) => reservations.renew(id, ttlMs),
    charge: (charges, at) => inEach(charges, at, (part, own) => part.charge(own, at)),
    peek: async (buckets, at) => {
      const states: BucketState[] = [];
      await inEach(buckets.map(asQuestion), at, async (part, own, places) => {
        const seen = await part.peek(own, at);
        for (const [index, place] of places.entries()) {
          const state = seen[index];
          if (state !== undefined) states[place] = state;
        }
      });
      return states;
    },
    replicas: () => parts[0]?.state.replicas() ?? { highestSeen: 0, everSeen: false },
    start: async () => {
      stopped = false;
      await nodes.start();
      if (stopped) return;
      await joinAll(() => true);
      armBeat();
    },
    stop: async () => {
      stopped = true;
      cancelBeat?.();
      nodes.stop();
    },
  };
}
