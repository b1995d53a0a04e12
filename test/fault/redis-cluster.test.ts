import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseChargeTerms } from '../../src/decision/charge-terms.ts';
import { createQuotas } from '../../src/quota/quotas.ts';
import { partNames, partOfTag, slotOf } from '../../src/quota/redis/redis-cluster-slots.ts';
import { tenantTag } from '../../src/quota/reservation-id.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { describeWith } from '../support/describe-with.ts';
import { eventually, startProgram } from '../support/programs.ts';
import { allTerms, type ClusterTake, judgeCluster } from '../support/quota-history/cluster-rounds.ts';
import { clusterRate, type OpenedClusterStore, openClusterStore, TENANT } from '../support/redis-cluster-store.ts';
import { holdCharge, plainCharge } from '../support/redis-store.ts';
import { caseCount, seedOf } from '../support/seed.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { startValkeyCluster, type ValkeyCluster } from '../support/valkey-cluster.ts';
import { CONFIG } from '../unit/quota/limiter-support.ts';

const SUPPORT = (file: string): string => fileURLToPath(new URL(`../support/quota-history/${file}`, import.meta.url));
const PROCESSES = 3;
const HOME = partOfTag(tenantTag(TENANT));
const NAMES = partNames();
const slotOfPart = (part: number): number => slotOf(NAMES[part] ?? '');
const taken = { kind: 'taken' };
const exceeded = { kind: 'exceeded' };
const now = () => systemClock.now();

let names = 0;
const fresh = (limit = 10, part?: number) => {
  names += 1;
  return clusterRate(`bucket-${names}`, limit, part);
};

describeWith(['valkey'], 'a Redis cluster store on three nodes', () => {
  let cluster: ValkeyCluster;
  /** A part on each of the nodes, that of the tenant first. */
  let parts: readonly [number, number, number];
  beforeAll(async () => {
    cluster = await startValkeyCluster();
    const home = cluster.nodeOf(slotOfPart(HOME));
    const [second = 0, third = 0] = [0, 1, 2]
      .filter((node) => node !== home)
      .map((node) => NAMES.findIndex((_, part) => cluster.nodeOf(slotOfPart(part)) === node));
    parts = [HOME, second, third];
  });
  afterAll(() => cluster.remove());

  const open = async (prefix?: string, more: { deadlineMs?: number; coldSeconds?: number } = {}) => {
    const opened = await openClusterStore({ urls: cluster.urls, ...(prefix === undefined ? {} : { prefix }), ...more });
    onTestFinished(() => opened.store.stop());
    return opened;
  };
  const nodeOfPart = (part: number) => {
    const node = cluster.nodes[cluster.nodeOf(slotOfPart(part))];
    if (node === undefined) throw new Error('a part is on no node');
    return node;
  };
  const untilTaken = (opened: OpenedClusterStore, part?: number): Promise<unknown> =>
    eventually(async () => ('kind' in (await opened.take([plainCharge(fresh(10, part))])) ? true : undefined));

  test('takes from a tenant’s limits and from shared ones all or nothing', async () => {
    const opened = await open();
    const [own, tokens] = [fresh(), fresh(100)];
    const [endpoint, model] = [fresh(2, parts[1]), fresh(60, parts[2])];
    const charges = [plainCharge(own), holdCharge(tokens, 20), plainCharge(endpoint), holdCharge(model, 20)];
    expect(await opened.take(charges)).toMatchObject({
      ...taken,
      states: [
        { remaining: 9, held: 0 },
        { remaining: 80, held: 20 },
        { remaining: 1, held: 0 },
        { remaining: 40, held: 20 },
      ],
    });
    expect(await opened.take(charges)).toMatchObject(taken);
    expect(await opened.take(charges)).toMatchObject({
      ...exceeded,
      states: [[{ fits: true, remaining: 8 }, { fits: true }, { fits: false, remaining: 0 }, { fits: true }]],
    });
    await eventually(async () => ((await opened.left(own))[0]?.[1] === 0 ? true : undefined));
    expect(await opened.left(own, tokens, endpoint, model)).toEqual([
      [8, 0],
      [60, 40],
      [0, 0],
      [20, 40],
    ]);
  });

  test('gives plain takes of several parts back whole, once, by the process that took them', async () => {
    const opened = await open();
    const terms = [fresh(), fresh(10, parts[1]), fresh(10, parts[2])];
    const charges = terms.map((one) => plainCharge(one));
    const id = opened.newId();
    expect(await opened.take(charges, id)).toMatchObject(taken);
    expect(await opened.take(charges, id)).toEqual({ kind: 'duplicate' });
    await opened.store.release(id, charges, now());
    await opened.store.release(id, charges, now());
    expect(await opened.left(...terms)).toEqual(terms.map(() => [10, 0]));
    expect(await opened.take(charges, id)).toEqual({ kind: 'released' });
  });

  test('takes the first plan that fits, whichever parts its limits are in, under the same id', async () => {
    const opened = await open();
    const [own, premium, cheap] = [fresh(), fresh(5, parts[1]), fresh(50, parts[2])];
    const plans = [
      [plainCharge(own), holdCharge(premium, 10)],
      [plainCharge(own), holdCharge(cheap, 10)],
    ];
    const id = opened.newId();
    expect(await opened.store.take({ id, plans, note: 'text' }, now())).toMatchObject({ ...taken, plan: 1 });
    expect(await opened.store.look(id, now())).toMatchObject({ state: 'open', plan: 1, note: 'text', amounts: [10] });
    expect(await opened.store.settle(id, [4], now())).toBe('settled');
    expect(await opened.left(own, premium, cheap)).toEqual([
      [9, 0],
      [5, 0],
      [46, 0],
    ]);
  });

  test('settles, renews and releases on another replica what is in several parts, once', async () => {
    const [one, other] = [await open(), await open()];
    const [tokens, model] = [fresh(100), fresh(100, parts[1])];
    const charges = [holdCharge(model, 30), holdCharge(tokens, 20)];
    const [settled, released] = [one.newId(), one.newId()];
    for (const id of [settled, released]) expect(await one.take(charges, id)).toMatchObject(taken);
    expect(await other.store.look(settled, now())).toMatchObject({ state: 'open', note: 'note', amounts: [30, 20] });
    expect(await other.store.renew(settled, 90_000, now())).toBe('renewed');
    expect(await other.store.settle(settled, [7, 5], now())).toBe('settled');
    expect(await one.store.settle(settled, [1, 1], now())).toBe('already');
    expect(await one.store.look(settled, now())).toMatchObject({ state: 'settled', used: [7, 5] });
    await other.store.release(released, charges, now());
    await one.store.release(released, charges, now());
    expect(await one.store.settle(released, [1, 1], now())).toBe('already');
    expect(await one.left(tokens, model)).toEqual([
      [95, 0],
      [93, 0],
    ]);
    await eventually(() => (one.store.replicas().highestSeen >= 2 ? true : undefined));
  });

  test('never admits more than any limit, shared by three processes; what is refused falsely was in flight', async () => {
    const seed = seedOf('cluster history');
    const rounds = Math.ceil(caseCount(6_000) / (PROCESSES * 4 * 25));
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-cluster-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const programs = Array.from({ length: PROCESSES }, (_, worker) => {
      const args = [cluster.urls.join(','), folder, ...[worker, seed, rounds, 25].map(String)];
      const program = startProgram(process.execPath, [SUPPORT('cluster-worker.ts'), ...args]);
      onTestFinished(() => void program.stop());
      return program;
    });
    await Promise.all(programs.map((program) => program.waitForLine((line) => line === 'ready')));
    await writeFile(join(folder, 'go'), '');
    await Promise.all(programs.map((program) => program.waitForLine((line) => line === 'done', 160_000)));
    const history: ClusterTake[] = [];
    for (let worker = 0; worker < PROCESSES; worker += 1) {
      // The worker wrote it.
      history.push(...(JSON.parse(await readFile(join(folder, `${worker}.json`), 'utf8')) as ClusterTake[]));
    }
    const terms = Array.from({ length: rounds }, (_, round) => allTerms(round)).flat();
    const verdict = judgeCluster(history, new Map(terms.map(({ id, limit }) => [id, limit])));
    const { taken: admitted, refused, over, falselyRefused, unexplained } = verdict;
    console.info(
      `cluster: ${history.length} takes, ${admitted} taken, ${refused} refused; over by ${over}; ${falselyRefused} refused falsely, ${unexplained} of them without what was in flight`,
    );
    expect(history.filter(({ said }) => said !== 'taken' && said !== 'exceeded')).toEqual([]);
    expect(over).toBe(0);
    expect(unexplained).toBe(0);
    expect(Math.min(admitted, refused)).toBeGreaterThan(history.length / 20);
    const opened = await open();
    const left = await opened.left(...terms);
    expect(left).toEqual(terms.map(({ id, limit }) => [limit - (verdict.admitted.get(id) ?? 0), 0]));
  });

  test('denies what a killed node counts, goes on with the rest, and has lost nothing when it is back', async () => {
    const opened = await open();
    const [own, shared, other] = [fresh(10_000), fresh(10_000, parts[1]), fresh(10_000, parts[2])];
    const admitted = { own: 0, shared: 0, other: 0 };
    const count = async (): Promise<void> => {
      const [first, second] = await Promise.all([
        opened.take([plainCharge(own), plainCharge(shared)]),
        opened.take([plainCharge(own), plainCharge(other)]),
      ]);
      if ('kind' in first) {
        admitted.own += 1;
        admitted.shared += 1;
      }
      if ('kind' in second) {
        admitted.own += 1;
        admitted.other += 1;
      }
    };
    for (let run = 0; run < 100; run += 1) await count();
    const dead = nodeOfPart(parts[1]);
    const lastOnes = Promise.all(Array.from({ length: 50 }, count));
    await new Promise(setImmediate);
    await dead.kill();
    await lastOnes;
    await eventually(async () => {
      const refused = await opened.take([plainCharge(own), plainCharge(shared)]);
      return 'reason' in refused && refused.reason === 'unreachable' ? true : undefined;
    });
    const before = admitted.other;
    const { shared: sharedBefore } = admitted;
    for (let run = 0; run < 50; run += 1) await count();
    expect(admitted.other).toBe(before + 50);
    expect(admitted.shared).toBe(sharedBefore);
    await dead.restart();
    await cluster.settled();
    await untilTaken(opened, parts[1]);
    await count();
    await eventually(async () => ((await opened.left(own))[0]?.[1] === 0 ? true : undefined));
    const [ownLeft = 0, sharedLeft = 0, otherLeft = 0] = (await opened.left(own, shared, other)).map(([left]) => left);
    console.info(
      'a killed node: admitted',
      admitted,
      'counted',
      [ownLeft, sharedLeft, otherLeft].map((left) => 10_000 - left),
    );
    expect(10_000 - otherLeft).toBe(admitted.other);
    for (const [left, units] of [
      [ownLeft, admitted.own],
      [sharedLeft, admitted.shared],
    ] as const) {
      expect(10_000 - left).toBeGreaterThanOrEqual(units);
      expect(10_000 - left).toBeLessThanOrEqual(units + 51);
    }
    expect(opened.events.some(({ kind }) => kind === 'state_lost')).toBe(false);
  });

  test('follows a part that moves to another node while takes run', async () => {
    const opened = await open();
    const part = 7;
    const terms = fresh(100_000, part);
    const known = Array.from({ length: 20 }, () => fresh(1000, part));
    for (const one of known) expect(await opened.take([plainCharge(one)])).toMatchObject(taken);
    let admitted = 0;
    const refused = new Map<string, number>();
    let moving = true;
    const run = async (): Promise<void> => {
      while (moving) {
        const end = await opened.take([plainCharge(terms)]);
        if ('kind' in end) admitted += 1;
        else refused.set(end.message, (refused.get(end.message) ?? 0) + 1);
      }
    };
    const running = Promise.all([run(), run(), run()]);
    const from = cluster.nodeOf(slotOfPart(part));
    await cluster.migrate(slotOfPart(part), (from + 1) % 3, () => new Promise((passed) => setTimeout(passed, 50)));
    await untilTaken(opened, part);
    await cluster.migrate(slotOfPart(part), from);
    await untilTaken(opened, part);
    moving = false;
    await running;
    console.info('a moved slot:', admitted, 'taken, refused:', Object.fromEntries(refused));
    expect(admitted).toBeGreaterThan(10);
    expect(await opened.left(terms)).toEqual([[100_000 - admitted, 0]]);
    expect(opened.events.some(({ kind }) => kind === 'state_lost')).toBe(false);
  });

  test('loses the process that takes between its phases: what is held becomes the charge', async () => {
    const opened = await open();
    const id = opened.newId();
    const args = [SUPPORT('cluster-victim.ts'), cluster.urls.join(','), id, String(parts[1])];
    const victim = startProgram(process.execPath, args);
    onTestFinished(() => void victim.stop());
    await victim.waitForLine((line) => line === 'ready');
    const paused = nodeOfPart(parts[1]).program();
    onTestFinished(() => paused.signal('SIGCONT'));
    paused.signal('SIGSTOP');
    victim.signal('SIGUSR2');
    await victim.waitForLine((line) => line === 'sent');
    const [own, tokens] = [clusterRate('victim-own', 10), clusterRate('victim-tokens', 100)];
    await eventually(async () => ((await opened.left(tokens))[0]?.[1] === 30 ? true : undefined));
    victim.signal('SIGKILL');
    await victim.ended;
    paused.signal('SIGCONT');
    expect(await opened.left(own, tokens)).toEqual([
      [9, 1],
      [70, 30],
    ]);
    await eventually(async () => ((await opened.left(tokens))[0]?.[1] === 0 ? true : undefined));
    expect(await opened.left(own, tokens)).toEqual([
      [9, 0],
      [70, 0],
    ]);
  });

  test('finishes a settle in a part whose node was away, when it is asked again', async () => {
    const opened = await open(undefined, { deadlineMs: 300 });
    const [tokens, model] = [fresh(100), fresh(100, parts[1])];
    const id = opened.newId();
    expect(await opened.take([holdCharge(tokens, 20), holdCharge(model, 20)], id)).toMatchObject(taken);
    const away = nodeOfPart(parts[1]).program();
    onTestFinished(() => away.signal('SIGCONT'));
    away.signal('SIGSTOP');
    await expect(opened.store.settle(id, [3, 4], now())).rejects.toMatchObject({ reason: 'unknown_outcome' });
    away.signal('SIGCONT');
    await eventually(async () => ((await opened.left(model))[0]?.[0] === 96 ? true : undefined));
    expect(await opened.store.settle(id, [3, 4], now())).toBe('already');
    expect(await opened.left(tokens, model)).toEqual([
      [97, 0],
      [96, 0],
    ]);
  });

  test('is what the limiter takes from and settlement settles in, on any replica', async () => {
    const [one, other] = [await openReplica(), await openReplica()];
    const rate = { kind: 'rate', per_seconds: 86_400, limit: 1000 };
    const reserve = { ttl_seconds: 60, on_expiry: 'charge', at_least: 1, learned: false };
    const weights = { input: 1, cached: 1, output: 1 };
    const charges = [
      [{ name: 'own', key: ['tenant'], unit: 'requests', cost: 1, scope: 'tenant' }, TENANT],
      [{ name: 'own-tokens', key: ['principal'], unit: 'tokens', cost: 100, scope: 'tenant', reserve, weights }, 'p'],
      [{ name: 'model-tokens', key: ['model'], unit: 'tokens', cost: 100, scope: 'shared', reserve, weights }, 'm'],
    ] as const;
    const plan = charges.map(([terms, key]) => ({ terms: parseChargeTerms({ ...rate, ...terms }), key: [key] }));
    const result = await one.limiter.take({ plans: [plan], holder: 'p', tenant: TENANT, model: 'm' }, now());
    if (result.kind !== 'taken') throw new Error(JSON.stringify(result));
    const id = result.take?.reservationId ?? '';
    expect(
      await other.settlement.settle(id, { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }),
    ).toMatchObject({ status: 200 });
    const again = await other.limiter.take({ plans: [plan], holder: 'p', tenant: TENANT, model: 'm' }, now());
    expect(again.state.limits).toMatchObject({
      own: { remaining: 998 },
      'own-tokens': { remaining: 870, held: 100 },
      'model-tokens': { remaining: 870, held: 100 },
    });
    if (again.kind === 'taken') again.take?.release();
    expect(await one.quotaOf(TENANT)).toMatchObject({ status: 200, body: { tenant: TENANT } });
  });

  async function openReplica() {
    const silent = { info: () => {}, warn: () => {}, limited: () => {} };
    const quotas = createQuotas({
      config: {
        ...CONFIG,
        store: {
          ...CONFIG.store,
          kind: 'redis',
          cluster_urls: cluster.urls,
          cold_start_seconds: 0,
          key_prefix: 'all:',
        },
        deadline_ms: 1000,
      },
      clock: systemClock,
      startTimer: startSystemTimer,
      metrics: createMetrics({ processMetrics: false }).quota,
      logger: silent,
    });
    await quotas.start();
    onTestFinished(() => quotas.stop());
    return quotas;
  }

  test('gives its user no rights but these: all of it works', async () => {
    const rights = [
      ...['+@connection', '+select', '+eval', '+evalsha', '+script|load', '+config|get', '+cluster|slots'],
      ...['+mget', '+set', '+del', '+pttl', '+pexpire', '+zadd', '+zcard', '+zremrangebyscore', '+time'],
    ];
    for (const node of cluster.nodes) {
      expect(await node.ask('ACL', 'SETUSER', 'quota', 'reset', 'on', '>right', '~acl:1:*', ...rights)).toBe('OK');
    }
    const urls = cluster.urls.map((url) => url.replace('redis://', 'redis://quota:right@'));
    const opened = await openClusterStore({ urls, prefix: 'acl:' });
    onTestFinished(() => opened.store.stop());
    const terms = [fresh(), fresh(10, parts[1]), fresh(10, parts[2])];
    const id = opened.newId();
    const [own, second, third] = terms;
    if (own === undefined || second === undefined || third === undefined) throw new Error('there are three');
    expect(await opened.take([plainCharge(own), holdCharge(second), plainCharge(third)], id)).toMatchObject(taken);
    expect(await opened.store.settle(id, [2], now())).toBe('settled');
    await opened.store.charge(
      terms.map((one) => plainCharge(one)),
      now(),
    );
    expect(await opened.left(...terms)).toEqual([
      [8, 0],
      [7, 0],
      [8, 0],
    ]);
  });

  test('is cold where one node lost its state, warm where not, until an operator accepts the loss', async () => {
    const prefix = 'loss:';
    const opened = await open(prefix, { coldSeconds: 60 });
    // Each part that is new waits for itself.
    for (const part of parts) await untilTaken(opened, part);
    expect(await nodeOfPart(parts[1]).ask('FLUSHALL')).toBe('OK');
    expect(await opened.take([plainCharge(fresh(10, parts[1]))])).toMatchObject({ reason: 'cold' });
    expect(await opened.take([plainCharge(fresh(10, parts[2]))])).toMatchObject(taken);
    expect(await opened.take([plainCharge(fresh()), plainCharge(fresh(10, parts[1]))])).toMatchObject({
      reason: 'cold',
    });
    expect(await opened.take([plainCharge(fresh())])).toMatchObject(taken);
    await eventually(() => opened.events.find(({ kind }) => kind === 'state_lost'));
    const key = `${prefix}1:accept_loss`;
    const holder = cluster.nodes[cluster.nodeOf(slotOf(key))];
    expect(await holder?.ask('SET', key, 'yes')).toBe('OK');
    await untilTaken(opened, parts[1]);
  });
});

describeWith(['valkey'], 'a Redis cluster store whose node has a replica', () => {
  test('goes on with the replica when the node is killed, and over by no more than was not yet copied', async () => {
    const cluster = await startValkeyCluster();
    onTestFinished(() => cluster.remove());
    const dead = cluster.nodeOf(slotOfPart(HOME));
    await cluster.addReplica(dead);
    const opened = await openClusterStore({ urls: cluster.urls });
    onTestFinished(() => opened.store.stop());
    const terms = fresh(1000);
    for (let run = 0; run < 100; run += 1) expect(await opened.take([plainCharge(terms)])).toMatchObject(taken);
    await eventually(async () => ((await cluster.nodes[dead]?.ask('WAIT', '1', '0')) === 1 ? true : undefined));
    await cluster.nodes[dead]?.kill();
    await eventually(async () => ('kind' in (await opened.take([plainCharge(terms)])) ? true : undefined));
    expect(await opened.left(terms)).toEqual([[899, 0]]);
    expect(opened.events.some(({ kind }) => kind === 'state_lost')).toBe(false);
  });
});
