import { expect, onTestFinished, test } from 'vitest';
import type { Shelf } from '../../../src/bundle-server/catalog.ts';
import { createFleet } from '../../../src/bundle-server/fleet.ts';
import { createOrderAnswers } from '../../../src/bundle-server/order-answers.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { eventually } from '../../support/programs.ts';
import { orderOf } from '../../support/signed-bundles.ts';
import { newSigner, openServer, orderFor, release } from './server-support.ts';

/** The answers over a fleet, by a manual clock. */
function open(abortOnTrips?: number) {
  const clock = createManualClock();
  const order = orderOf(abortOnTrips === undefined ? {} : { abortOnTrips });
  let shelf: Pick<Shelf, 'order'> = { order: { order, jws: 'a.b.c' } };
  const changes: string[] = [];
  const limits = { maxInstances: 5000, maxInstancesPerToken: 5000, forgetAfterMs: 3_600_000 };
  const fleet = createFleet({ clock, ...limits, onTrips: (bundle) => orders.noteTrips(bundle) });
  const orders = createOrderAnswers({
    shelfOf: (bundle) => (bundle === 'authz' ? shelf : undefined),
    tripsOf: (bundle, sha256, enough) => fleet.trips(bundle, sha256, enough),
    onChange: (bundle) => void changes.push(bundle),
    startTimer: clock.startTimer,
  });
  const report = (instance: string, tripped = true) =>
    fleet.report('t', {
      instance,
      labels: {},
      bundles: [{ name: 'authz', candidate: { sha256: order.candidate.sha256, state: 'rolled_back', tripped } }],
    });
  return {
    clock,
    orders,
    changes,
    report,
    trips: (): readonly string[] => JSON.parse(orders.answer('authz')?.body ?? '').trips,
    replace: (next: Pick<Shelf, 'order'>) => {
      shelf = next;
    },
  };
}

test('trips are listed once they are as many as the order demands, and so many only', () => {
  const { clock, changes, report, trips } = open(3);
  expect(trips()).toEqual([]);
  for (const name of ['z', 'y']) report(name);
  clock.advance(1000);
  expect([trips(), changes]).toEqual([[], []]);
  report('x');
  clock.advance(1000);
  expect([trips(), changes]).toEqual([['t/z', 't/y', 't/x'], ['authz']]);
  for (const name of ['a', 'b', 'c', 'z']) report(name);
  clock.advance(5000);
  expect([trips(), changes]).toEqual([['t/z', 't/y', 't/x'], ['authz']]);
});

test('an order that counts no trips is answered alike, however many there are', () => {
  const { clock, changes, report, trips } = open();
  expect(trips()).toEqual([]);
  for (let at = 0; at < 2000; at += 1) report(`i${at}`);
  clock.advance(5000);
  expect([trips(), changes]).toEqual([[], []]);
});

test('who takes his trip back, or is forgotten, counts no longer', () => {
  const { clock, changes, report, trips } = open(2);
  expect(trips()).toEqual([]);
  for (const name of ['a', 'b']) report(name);
  clock.advance(1000);
  expect(trips()).toEqual(['t/a', 't/b']);
  report('a', false);
  clock.advance(1000);
  expect([trips(), changes.length]).toEqual([[], 2]);
  report('a');
  clock.advance(1000);
  expect(trips()).toEqual(['t/b', 't/a']);
  clock.advance(3_600_001);
  report('c');
  clock.advance(1000);
  expect(trips()).toEqual([]);
});

test('the answer changes for trips once a second at most, and the last change is not lost', () => {
  const { clock, orders, changes, report, trips } = open(1);
  expect(trips()).toEqual([]);
  for (let at = 0; at < 500; at += 1) {
    report('a', at % 2 === 0);
    trips();
  }
  expect([changes.length, trips()]).toEqual([1, ['t/a']]);
  clock.advance(999);
  expect(changes).toHaveLength(1);
  clock.advance(1);
  expect([changes.length, trips()]).toEqual([2, []]);
  report('b');
  expect(trips()).toEqual([]);
  orders.stop();
  expect(clock.pendingTimers()).toBe(0);
});

test('a new order is answered at once', () => {
  const { orders, report, trips, replace } = open(1);
  report('a');
  expect(trips()).toEqual(['t/a']);
  const former = orders.answer('authz')?.etag;
  replace({ order: { order: orderOf({ version: 4, abortOnTrips: 2 }), jws: 'd.e.f' } });
  expect(JSON.parse(orders.answer('authz')?.body ?? '')).toEqual({ order: 'd.e.f', trips: [] });
  expect(orders.answer('authz')?.etag).not.toBe(former);
  replace({ order: undefined });
  expect(orders.answer('authz')).toMatchObject({ etag: '"order:0:"', body: '{"order":null,"trips":[]}' });
  expect(orders.answer('other')).toBeUndefined();
});

test('a fleet that waits while each of it reports a trip is answered once, not once for each', async () => {
  const author = newSigner('author-1');
  const server = await openServer({ keys: { 'author-1': author.publicPem } });
  onTestFinished(() => server.stop());
  const [one, two] = [release(author, 1), release(author, 2)];
  await server.publish(one);
  await server.publish(two);
  await server.promote(one.sha256);
  await server.order(orderFor(author, two, 1, { abortOnTrips: 5 }));
  const waiters = 30;
  let answers = 0;
  let isOver = false;
  const follow = async (): Promise<readonly string[]> => {
    for (let etag = '', trips: readonly string[] = []; ; ) {
      const headers = { prefer: 'wait=30', ...(etag === '' ? {} : { 'if-none-match': etag }) };
      const got = await server.ask('read', { path: '/v1/bundles/authz/orders', headers });
      if (isOver || got.status !== 200) return trips;
      answers += 1;
      etag = String(got.headers['etag']);
      trips = JSON.parse(got.body).trips;
    }
  };
  const following = Array.from({ length: waiters }, follow);
  await eventually(() => (server.server.waiting() === waiters ? true : undefined));
  expect(answers).toBe(waiters);
  const candidate = { sha256: two.sha256, state: 'rolled_back', trips: 1 };
  for (let at = 0; at < waiters; at += 1) {
    const sallyport = { instance_id: `i${at}`, bundles: { authz: { sha256: one.sha256, candidate } } };
    expect((await server.report('report', { labels: {}, sallyport })).status).toBe(200);
  }
  await eventually(() => (answers === 2 * waiters && server.server.waiting() === waiters ? true : undefined));
  isOver = true;
  await server.server.stop();
  for (const trips of await Promise.all(following)) expect(trips).toHaveLength(5);
  expect(answers).toBe(2 * waiters);
});
