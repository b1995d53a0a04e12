import { freePort } from './ports.ts';
import { eventually } from './programs.ts';
import { startValkey, type ValkeyServer } from './valkey.ts';

/** A cluster of masters, whose slots are in ranges of the same size. */
export interface ValkeyCluster {
  readonly nodes: readonly ValkeyServer[];
  readonly urls: readonly string[];
  /** Which of the nodes has a slot at first. */
  nodeOf(slot: number): number;
  /** What clients that come later are told of the nodes is what they agree on. */
  settled(): Promise<void>;
  /** Starts a server that follows one of the nodes, and takes its place when it fails. */
  addReplica(of: number): Promise<ValkeyServer>;
  /** Moves a slot key by key, as operators do; `between` runs when half of its keys are moved. */
  migrate(slot: number, to: number, between?: () => Promise<void>): Promise<void>;
  remove(): Promise<void>;
}

const SLOTS = 16_384;

export async function startValkeyCluster(count = 3): Promise<ValkeyCluster> {
  const buses = await Promise.all(Array.from({ length: count }, () => freePort()));
  const start = (bus: number): Promise<ValkeyServer> =>
    startValkey(
      ...['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'],
      ...['--cluster-require-full-coverage', 'no', '--appendfsync', 'always'],
    );
  const nodes = await Promise.all(buses.map(start));
  const replicas: ValkeyServer[] = [];
  const firstOf = (at: number): number => Math.floor((at * SLOTS) / count);
  for (const [at, node] of nodes.entries()) {
    await expectOk(node.ask('CLUSTER', 'ADDSLOTSRANGE', String(firstOf(at)), String(firstOf(at + 1) - 1)));
    await expectOk(node.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1)));
  }
  const [first, ...rest] = nodes;
  for (const [at, { port }] of rest.entries()) {
    await expectOk(first?.ask('CLUSTER', 'MEET', '127.0.0.1', String(port), String(buses[at + 1])));
  }
  const settled = async (): Promise<void> => {
    await eventually(async () => {
      const views = await Promise.all(nodes.map((node) => node.ask('CLUSTER', 'SLOTS')));
      const infos = await Promise.all(nodes.map((node) => node.ask('CLUSTER', 'INFO')));
      const agree = views.every((view) => Array.isArray(view) && view.length >= count);
      return agree && infos.every((text) => String(text).includes('cluster_state:ok')) ? true : undefined;
    });
  };
  await settled();
  const idOf = async (at: number): Promise<string> => String(await nodes[at]?.ask('CLUSTER', 'MYID'));
  const nodeOf = (slot: number): number => nodes.findIndex((_, at) => slot >= firstOf(at) && slot < firstOf(at + 1));
  const ownerOf = async (slot: number): Promise<number> => {
    for (const [at, node] of nodes.entries()) {
      if ((await node.ask('CLUSTER', 'COUNTKEYSINSLOT', String(slot))) !== 0) return at;
    }
    return nodeOf(slot);
  };
  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    nodeOf,
    settled,
    addReplica: async (of) => {
      const bus = await freePort();
      const replica = await start(bus);
      replicas.push(replica);
      await expectOk(first?.ask('CLUSTER', 'MEET', '127.0.0.1', String(replica.port), String(bus)));
      const master = await idOf(of);
      await eventually(async () => ((await replica.ask('CLUSTER', 'REPLICATE', master)) === 'OK' ? true : undefined));
      await eventually(async () =>
        String(await replica.ask('INFO', 'replication')).includes('master_link_status:up') ? true : undefined,
      );
      return replica;
    },
    migrate: async (slot, to, between) => {
      const from = await ownerOf(slot);
      const [source, target] = [nodes[from], nodes[to]];
      if (source === undefined || target === undefined || from === to) throw new Error('there is no such move');
      await expectOk(target.ask('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', await idOf(from)));
      await expectOk(source.ask('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', await idOf(to)));
      let told = false;
      for (;;) {
        const keys = await source.ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '1');
        const [key] = Array.isArray(keys) ? keys : [];
        if (key === undefined) break;
        await source.ask('MIGRATE', '127.0.0.1', String(target.port), String(key), '0', '5000');
        if (told) continue;
        told = true;
        await between?.();
      }
      for (const node of [target, source, ...nodes]) {
        await node.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', await idOf(to));
      }
    },
    remove: async () => {
      await Promise.all([...nodes, ...replicas].map((node) => node.remove()));
    },
  };
}

async function expectOk(reply: Promise<unknown> | undefined): Promise<void> {
  const said = await reply;
  if (said !== 'OK') throw new Error(`a node of the cluster says ${JSON.stringify(said)}`);
}
