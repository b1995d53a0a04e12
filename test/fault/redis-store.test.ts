import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as openTcp, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { StoreFault, StoreTaken } from '../../src/quota/bucket-store.ts';
import { createCertificateMaker, makeDoorCertificates } from '../support/certificates.ts';
import { describeWith } from '../support/describe-with.ts';
import { freePort } from '../support/ports.ts';
import { eventually } from '../support/programs.ts';
import {
  holdCharge,
  type OpenedRedisStore,
  openRedisStore,
  plainCharge,
  type RedisStoreWish,
  slowRate,
} from '../support/redis-store.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

let names = 0;
const fresh = (limit = 10) => {
  names += 1;
  return slowRate(`bucket-${names}`, limit);
};

async function open(wish: RedisStoreWish): Promise<OpenedRedisStore> {
  const opened = await openRedisStore(wish);
  onTestFinished(() => opened.store.stop());
  return opened;
}

async function ownServer(...settings: readonly string[]): Promise<ValkeyServer> {
  const server = await startValkey(...settings);
  onTestFinished(() => server.remove());
  return server;
}

const taken = { kind: 'taken' };

/** Takes until it is taken again. */
const untilTaken = (opened: OpenedRedisStore): Promise<unknown> =>
  eventually(async () => {
    const result = await opened.take([plainCharge(fresh())]);
    return 'kind' in result ? result : undefined;
  });

/** On a busy machine the timer of a call is late too, and the process is said to have had no time: nobody knows either way. */
const UNANSWERED = ['unknown_outcome', 'overloaded'];

function reasonOf(answer: StoreTaken | StoreFault): string {
  return 'kind' in answer ? answer.kind : answer.reason;
}

describeWith(['valkey'], 'a Redis store whose server', () => {
  let server: ValkeyServer;
  beforeAll(async () => {
    server = await startValkey();
  });
  afterAll(() => server.remove());

  test('is killed and started again knows every take that it answered', async () => {
    const own = await ownServer();
    const opened = await open({ url: own.url });
    const terms = fresh(1000);
    let admitted = 0;
    for (let run = 0; run < 200; run += 1) {
      if ('kind' in (await opened.take([plainCharge(terms)]))) admitted += 1;
    }
    const lastOnes = Array.from({ length: 100 }, () => opened.take([plainCharge(terms)]));
    await new Promise(setImmediate);
    await own.kill();
    const ends = await Promise.all(lastOnes);
    admitted += ends.filter((end) => 'kind' in end).length;
    for (const end of ends) {
      if (!('kind' in end)) expect(['unknown_outcome', 'unreachable']).toContain(end.reason);
    }
    await eventually(async () => {
      const refused = await opened.take([plainCharge(terms)]);
      return 'reason' in refused && refused.reason === 'unreachable' ? refused : undefined;
    });
    await own.restart();
    await untilTaken(opened);
    const left = await opened.remaining(terms);
    expect(1000 - (left ?? 0)).toBeGreaterThanOrEqual(admitted);
    expect(1000 - (left ?? 0)).toBeLessThanOrEqual(admitted + 101);
    expect(opened.events.some(({ kind }) => kind === 'state_lost')).toBe(false);
  });

  test('pauses: the caller is refused in time, and what was taken all the same is given back', async () => {
    const own = await ownServer();
    const opened = await open({ url: own.url, deadlineMs: 200 });
    const [plain, held] = [fresh(), fresh()];
    await opened.take([plainCharge(plain)]);
    own.program().signal('SIGSTOP');
    const begun = performance.now();
    const refused = await Promise.all([opened.take([plainCharge(plain)]), opened.take([holdCharge(held)])]);
    expect(performance.now() - begun).toBeLessThan(1000);
    for (const answer of refused) expect(UNANSWERED).toContain(reasonOf(answer));
    own.program().signal('SIGCONT');
    await eventually(async () => ((await opened.remaining(plain)) === 9 ? true : undefined));
    await eventually(async () => ((await opened.remaining(held)) === 10 ? true : undefined));
  });

  test('pauses for long: the connection is given up, and what is held is given back on the next one', async () => {
    const own = await ownServer();
    const opened = await open({ url: own.url, deadlineMs: 200 });
    const held = fresh();
    const id = opened.newId();
    own.program().signal('SIGSTOP');
    expect(UNANSWERED).toContain(reasonOf(await opened.take([holdCharge(held)], id)));
    await eventually(async () => {
      const result = await opened.take([plainCharge(held)]);
      return !('kind' in result) && result.reason === 'unreachable' ? true : undefined;
    });
    own.program().signal('SIGCONT');
    await untilTaken(opened);
    await eventually(async () =>
      (await opened.store.look(id, { epochMs: 0, monotonicMs: 0 }))?.state === 'released' ? true : undefined,
    );
    expect((await opened.store.peek([held], { epochMs: 0, monotonicMs: 0 }))[0]?.held).toBe(0);
  });

  test('forgets its scripts: the take is asked once more, and taken once', async () => {
    const opened = await open({ url: server.url });
    const terms = fresh();
    await opened.take([plainCharge(terms)]);
    expect(await server.ask('SCRIPT', 'FLUSH')).toBe('OK');
    const both = await Promise.all([opened.take([plainCharge(terms)]), opened.take([holdCharge(terms)])]);
    expect(both).toMatchObject([taken, taken]);
    expect(await opened.remaining(terms)).toBe(7);
  });

  test('became a replica, is out of memory or forgets rights: refused or full, with the code, and nothing is taken', async () => {
    const own = await ownServer();
    const opened = await open({ url: own.url });
    const terms = fresh();
    await opened.take([plainCharge(terms)]);
    await own.ask('CONFIG', 'SET', 'maxmemory', '1');
    expect(await opened.take([plainCharge(terms)])).toMatchObject({
      reason: 'full',
      message: expect.stringContaining('OOM'),
    });
    await own.ask('CONFIG', 'SET', 'maxmemory', '0');
    expect(await opened.take([plainCharge(terms)])).toMatchObject(taken);
    await own.ask('ACL', 'SETUSER', 'default', '-set');
    expect(await opened.take([plainCharge(terms)])).toMatchObject({ reason: 'refused' });
    await own.ask('ACL', 'SETUSER', 'default', '+@all');
    expect(await opened.remaining(terms)).toBe(8);
    await own.ask('CONFIG', 'SET', 'replica-serve-stale-data', 'yes');
    await own.ask('REPLICAOF', '127.0.0.1', String(await freePort()));
    expect(await opened.take([plainCharge(terms)])).toMatchObject({
      reason: 'refused',
      message: expect.stringContaining('READONLY'),
    });
    await own.ask('REPLICAOF', 'NO', 'ONE');
    expect(await opened.take([plainCharge(terms)])).toMatchObject(taken);
  });

  test('is loading: refused until it has loaded', async () => {
    const own = await ownServer('--enable-debug-command', 'yes', '--key-load-delay', '2000');
    await own.ask('DEBUG', 'POPULATE', '2000', 'x', '16');
    await own.ask('BGREWRITEAOF');
    await eventually(async () =>
      String(await own.ask('INFO', 'persistence')).includes('aof_rewrite_in_progress:0') ? true : undefined,
    );
    const opened = await open({ url: own.url });
    await own.kill();
    await own.restart('--loading-process-events-interval-bytes', '1024');
    const seen = await eventually(async () => {
      const result = await opened.take([plainCharge(fresh())]);
      return 'kind' in result || result.message.includes('LOADING') ? result : undefined;
    });
    if (!('kind' in seen)) expect(seen).toMatchObject({ reason: 'refused' });
    await untilTaken(opened);
    expect(opened.events.some(({ kind }) => kind === 'state_lost')).toBe(false);
  });

  test('evicts or keeps no file: refused, and told what to set; set right, it is used', async () => {
    const own = await ownServer('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no');
    const opened = await open({ url: own.url });
    expect(await opened.take([plainCharge(fresh())])).toMatchObject({ reason: 'refused' });
    expect(opened.events).toContainEqual({
      kind: 'unsafe_settings',
      faults: ['maxmemory-policy is `allkeys-lru`: set it to `noeviction`', 'appendonly is off: set it to `yes`'],
    });
    await own.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await own.ask('CONFIG', 'SET', 'appendonly', 'yes');
    await untilTaken(opened);
  });

  test('wants another password: refused, and neither the event nor the fault holds one', async () => {
    await server.ask('ACL', 'SETUSER', 'someone', 'on', '>right-secret', '~*', '+@all');
    const opened = await open({ url: `redis://someone:wrong-secret@127.0.0.1:${server.port}` });
    const refused = await opened.take([plainCharge(fresh())]);
    expect(refused).toMatchObject({ reason: 'refused', message: 'the quota store refuses AUTH: WRONGPASS' });
    expect(JSON.stringify([opened.events, refused])).not.toMatch(/secret/);
  });

  test.each(['+config|get', '+info'])('gives its user these rights alone and %s: all of it works', async (asking) => {
    const rights = [
      ...['+@connection', '+select', '+eval', '+evalsha', '+script|load', asking],
      ...['+mget', '+set', '+del', '+pttl', '+pexpire', '+zadd', '+zcard', '+zremrangebyscore', '+time'],
    ];
    await server.ask('ACL', 'SETUSER', `quota${asking.length}`, 'reset', 'on', '>right', '~acl:1:*', ...rights);
    const opened = await open({
      url: `redis://quota${asking.length}:right@127.0.0.1:${server.port}/3`,
      key_prefix: 'acl:',
    });
    const terms = fresh();
    const id = opened.newId();
    expect(await opened.take([holdCharge(terms)], id)).toMatchObject(taken);
    const at = { epochMs: Date.now(), monotonicMs: performance.now() };
    expect(await opened.store.renew(id, 1000, at)).toBe('renewed');
    expect(await opened.store.settle(id, [2], at)).toBe('settled');
    await opened.store.charge([plainCharge(terms)], at);
    expect(await opened.remaining(terms)).toBe(7);
  });

  test('lets nobody see its settings: refused, and told why', async () => {
    await server.ask('ACL', 'SETUSER', 'blind', 'reset', 'on', '>right', '~*', '+@all', '-config', '-info');
    const opened = await open({ url: `redis://blind:right@127.0.0.1:${server.port}` });
    expect(await opened.take([plainCharge(fresh())])).toMatchObject({
      reason: 'refused',
      message: expect.stringContaining('cannot be seen'),
    });
  });

  test('is emptied: what knew its state takes nothing until the wait is over, nor does who comes later', async () => {
    const own = await ownServer();
    const cold = { url: own.url, cold_start_seconds: 2 };
    const opened = await open(cold);
    await untilTaken(opened);
    const long = slowRate('long', 5);
    const short = { ...slowRate('short', 5), periodMs: 1000 };
    expect(await opened.take([plainCharge(long, 5), plainCharge(short)])).toMatchObject(taken);
    await own.ask('FLUSHALL');
    expect(await opened.take([plainCharge(short)])).toMatchObject({ reason: 'cold' });
    await eventually(() => opened.events.find(({ kind }) => kind === 'state_lost'));
    const later = await open(cold);
    expect(await later.take([plainCharge(short)])).toMatchObject({ reason: 'cold' });
    await untilTakenFrom(later, short);
    // A day's worth would have to drain before it is known that nothing is owed.
    expect(await opened.take([plainCharge(long)])).toMatchObject({ reason: 'cold' });
    expect(await later.take([plainCharge(long)])).toMatchObject({ reason: 'cold' });
    await own.ask('SET', 'test:1:accept_loss', 'yes');
    await untilTakenFrom(opened, long);
    await untilTakenFrom(later, long);
  });

  test('comes back empty after a restart: cold, and a first start is not', async () => {
    const own = await ownServer();
    const first = await open({ url: own.url, cold_start_seconds: 60 });
    // The first of a fleet waits two seconds, so that one that knows better could speak.
    await untilTakenFrom(first, slowRate('first', 100));
    await own.ask('CONFIG', 'SET', 'appendonly', 'no');
    await own.kill();
    await own.restart('--appenddirname', 'elsewhere');
    const refused = await eventually(async () => {
      const result = await first.take([plainCharge(fresh())]);
      return !('kind' in result) && result.reason === 'cold' ? result : undefined;
    });
    expect(refused.message).toContain('lost its state');
    expect(await first.take([plainCharge(fresh())])).toMatchObject({ reason: 'cold' });
  });

  test('is lost while this process was down: who remembers the epoch declares it', async () => {
    const own = await ownServer();
    let epoch: string | undefined;
    const epochMemory = {
      load: () => epoch,
      save: (text: string) => {
        epoch = text;
      },
    };
    const before = await openRedisStore({ url: own.url, epochMemory });
    await before.store.stop();
    await own.ask('FLUSHALL');
    const after = await open({ url: own.url, epochMemory, cold_start_seconds: 60 });
    expect(await after.take([plainCharge(fresh())])).toMatchObject({ reason: 'cold' });
  });

  test('is healthy beside an event loop that stalls: nothing says that the store is dead', async () => {
    // Long enough for a server that has to wait for a core of a busy machine.
    const opened = await open({ url: server.url, deadlineMs: 100 });
    const terms = fresh(1_000_000);
    const results: unknown[] = [];
    for (let run = 0; run < 20; run += 1) {
      const takes = Array.from({ length: 10 }, () => opened.take([plainCharge(terms)]));
      if (run % 2 === 0) await new Promise(setImmediate);
      const until = performance.now() + 150;
      while (performance.now() < until);
      results.push(...(await Promise.all(takes)));
    }
    const counts = { taken: 0, overloaded: 0, other: 0 };
    for (const result of results) {
      if (typeof result === 'object' && result !== null && 'kind' in result) counts.taken += 1;
      else if (result instanceof Error && 'reason' in result && result.reason === 'overloaded') counts.overloaded += 1;
      else counts.other += 1;
    }
    console.info('stalled event loop:', counts);
    expect(counts.other).toBe(0);
    expect(counts.taken).toBeGreaterThan(150);
  });

  test('answers garbage: refused or unknown, and the connection is given up', async () => {
    const garbage: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise<void>((listening) => garbage.listen(0, '127.0.0.1', listening));
    onTestFinished(() => void garbage.close());
    const address = garbage.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const opened = await open({ url: `redis://127.0.0.1:${port}` });
    expect(await opened.take([plainCharge(fresh())])).toMatchObject({ reason: 'unreachable' });
  });

  test('was never there: the start is over all the same, and every take is refused', async () => {
    const opened = await open({ url: `redis://user:hunter2@127.0.0.1:${await freePort()}` });
    expect(await opened.take([plainCharge(fresh())])).toMatchObject({
      reason: 'unreachable',
      message: 'the quota store: ECONNREFUSED',
    });
    expect(opened.store.replicas()).toEqual({ highestSeen: 0, everSeen: false });
    expect(JSON.stringify(opened.events)).not.toContain('hunter2');
  });

  test('is shared: replicas see each other, and admit together what the limit says', async () => {
    const stores = await Promise.all([1, 2, 3].map(() => open({ url: server.url, key_prefix: 'shared:' })));
    const terms = fresh(50);
    const results = await Promise.all(
      stores.flatMap((opened) => Array.from({ length: 40 }, () => opened.take([plainCharge(terms)]))),
    );
    expect(results.filter((result) => 'kind' in result && result.kind === 'taken')).toHaveLength(50);
    await eventually(() => (stores.every(({ store }) => store.replicas().highestSeen === 3) ? true : undefined));
  });
});

describeWith(['valkey', 'openssl'], 'a Redis store behind TLS', () => {
  test('trusts its own authority alone, and shows its certificate', async () => {
    const server = await ownServer();
    const maker = createCertificateMaker();
    onTestFinished(() => maker.remove());
    const { ca, server: own, gateway } = makeDoorCertificates(maker);
    // The server that tests use is built without TLS.
    const front = createTlsServer(
      {
        cert: readFileSync(own.cert),
        key: readFileSync(own.key),
        ca: readFileSync(ca.cert),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (socket) => {
        const behind = openTcp(server.port, '127.0.0.1');
        behind.on('error', () => socket.destroy());
        socket.on('error', () => behind.destroy());
        socket.pipe(behind).pipe(socket);
      },
    );
    front.on('tlsClientError', () => {});
    await new Promise<void>((listening) => front.listen(0, 'localhost', listening));
    onTestFinished(() => void front.close());
    // A TCP server that listens has an AddressInfo.
    const { port } = front.address() as AddressInfo;
    const url = `rediss://localhost:${port}`;
    const mutual = await open({ url, tls: { ca: ca.cert, cert: gateway.cert, key: gateway.key } });
    expect(await mutual.take([plainCharge(fresh())])).toMatchObject(taken);
    const stranger = maker.make('other', { isCa: true });
    for (const tls of [{ ca: stranger.cert, cert: gateway.cert, key: gateway.key }, { ca: ca.cert }]) {
      const refused = await open({ url, tls });
      expect(await refused.take([plainCharge(fresh())])).toMatchObject({ reason: 'unreachable' });
    }
  });
});

async function untilTakenFrom(opened: OpenedRedisStore, terms: ReturnType<typeof slowRate>): Promise<void> {
  await eventually(async () => ('kind' in (await opened.take([plainCharge(terms)])) ? true : undefined));
}
