import type { Clock, StartTimer } from '../../decision/ports.ts';
import { StoreFault } from '../bucket-store.ts';
import type { QuotaStoreConfig } from '../config.ts';
import { parseRedisUrl } from './redis-address.ts';
import { createRedisCalls, type RedisCalls } from './redis-calls.ts';
import { askOnce, type NodeSlots, parseClusterSlots, parseRedirect, SLOTS_COMMAND } from './redis-cluster-view.ts';
import type { RedisStoreEvent } from './redis-event.ts';
import type { RespError } from './redis-resp.ts';
import { createRedisSession, type RedisSession } from './redis-session.ts';

export interface ClusterNode {
  readonly host: string;
  readonly session: RedisSession;
  readonly calls: RedisCalls;
}

/** The masters of a cluster, each with one connection, and which of them has which slot. */
export interface ClusterNodes {
  /** Throws where nobody is known to have the slot. */
  at(slot: number): ClusterNode;
  /** Whom a `MOVED` or an `ASK` names, who then is asked about the slot from now on or this once. */
  follow(error: RespError, slot: number, from: ClusterNode): ClusterNode | undefined;
  /** What is known of the slots is wrong: asks for them again, soon and once. */
  refresh(): void;
  /** To be called each second. */
  beat(): void;
  /** Resolves when every node that could be learnt of was tried. */
  start(): Promise<void>;
  stop(): void;
}

export interface ClusterNodesOptions {
  /** The first is the one whose user, password and scheme hold for all nodes. */
  readonly urls: readonly string[];
  readonly tls: QuotaStoreConfig['tls'];
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly random: (bytes: number) => Buffer;
  readonly report: (event: RedisStoreEvent) => void;
  /** There is a connection to a node, perhaps again. */
  readonly connected: (node: ClusterNode) => void;
}

interface KnownNode extends ClusterNode {
  /** Beats without an answer. */
  unanswered: number;
}

const MAX_NODES = 1024;
/** So many beats without an answer, and the other end is gone without a word. */
const MAX_UNANSWERED = 3;
const PING = ['PING'] as const;
const REFRESH_PAUSE_MS = 50;
const BEATS_PER_REFRESH = 15;

export function createClusterNodes(options: ClusterNodesOptions): ClusterNodes {
  const { urls, tls, deadlineMs, clock, startTimer, random, report, connected } = options;
  const seeds = urls.map(parseRedisUrl);
  const nodes = new Map<string, KnownNode>();
  const owners: (ClusterNode | undefined)[] = [];
  let refreshing: Promise<void> | undefined;
  let stopped = true;
  let told = false;
  let beats = 0;

  function open(host: string, port: number, starts: Promise<void>[] = []): ClusterNode | undefined {
    const name = `${host} ${port}`;
    const known = nodes.get(name);
    const [template] = seeds;
    if (known !== undefined || template === undefined || stopped || nodes.size >= MAX_NODES) return known;
    const session = createRedisSession({
      address: { ...template, host, port, database: 0 },
      tls,
      startTimer,
      random,
      report,
      join: async () => {
        // The session has its connection only when this is over.
        setImmediate(() => connected(node));
      },
    });
    const calls = createRedisCalls({ session, deadlineMs, clock, startTimer });
    const node: KnownNode = { host, session, calls, unanswered: 0 };
    nodes.set(name, node);
    starts.push(session.start());
    return node;
  }

  function isConnected({ session }: ClusterNode): boolean {
    try {
      return session.connection().open;
    } catch {
      return false;
    }
  }

  /** Asks who is connected, then whom the config names. */
  async function learn(): Promise<readonly NodeSlots[] | undefined> {
    for (const node of nodes.values()) {
      if (node.unanswered > 0 || !isConnected(node)) continue;
      const view = await node.session
        .connection()
        .ask(SLOTS_COMMAND)
        .then((reply) => parseClusterSlots(reply, node.host))
        .catch(() => undefined);
      if (view !== undefined) return view;
    }
    for (const seed of seeds) {
      const view = await askOnce(seed, tls, startTimer, SLOTS_COMMAND)
        .then((reply) => parseClusterSlots(reply, seed.host))
        .catch(() => undefined);
      if (view !== undefined) return view;
    }
    return undefined;
  }

  async function update(): Promise<void> {
    const view = await learn();
    if (stopped) return;
    if (view === undefined) {
      if (!told) report({ kind: 'failed', reason: 'unreachable', cause: 'no node tells who has which slots' });
      told = true;
      return;
    }
    told = false;
    owners.length = 0;
    const starts: Promise<void>[] = [];
    const masters = new Set<ClusterNode>();
    for (const { first, last, host, port } of view) {
      const node = open(host, port, starts);
      if (node === undefined) continue;
      masters.add(node);
      for (let slot = first; slot <= last; slot += 1) owners[slot] = node;
    }
    for (const [name, node] of nodes) {
      if (masters.has(node)) continue;
      nodes.delete(name);
      node.session.stop();
    }
    await Promise.all(starts);
  }

  /** Gives up a connection whose other end says nothing any more. */
  function ping(node: KnownNode): void {
    const connection = node.session.connection();
    if (node.unanswered >= MAX_UNANSWERED) {
      node.unanswered = 0;
      connection.close('it does not answer');
      return;
    }
    node.unanswered += 1;
    const over = (): void => {
      node.unanswered = 0;
    };
    connection.ask(PING).then(over, over);
  }

  function refreshNow(): Promise<void> {
    refreshing ??= update().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  let planned = false;
  function refresh(): void {
    if (planned || stopped) return;
    planned = true;
    startTimer(REFRESH_PAUSE_MS, () => {
      planned = false;
      if (!stopped) void refreshNow();
    });
  }

  return {
    at: (slot) => {
      const node = owners[slot];
      if (node !== undefined) return node;
      refresh();
      throw new StoreFault('unreachable', 'no node of the quota store is known to have such a slot');
    },
    follow: (error, slot, from) => {
      const target = parseRedirect(error, from.host);
      if (target === undefined) return undefined;
      const node = open(target.host, target.port);
      if (target.kind === 'MOVED') {
        if (node !== undefined) owners[slot] = node;
        refresh();
      }
      return node;
    },
    refresh,
    beat: () => {
      beats += 1;
      let whole = nodes.size > 0;
      for (const node of nodes.values()) {
        if (isConnected(node)) ping(node);
        else whole = false;
      }
      if (!whole || beats % BEATS_PER_REFRESH === 0) refresh();
    },
    start: async () => {
      stopped = false;
      await refreshNow();
    },
    stop: () => {
      stopped = true;
      for (const { session } of nodes.values()) session.stop();
      nodes.clear();
      owners.length = 0;
    },
  };
}
