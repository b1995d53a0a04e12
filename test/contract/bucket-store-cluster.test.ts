import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../src/quota/bucket.ts';
import type { BucketStore } from '../../src/quota/bucket-store.ts';
import { tenantTag } from '../../src/quota/reservation-id.ts';
import { describeWith } from '../support/describe-with.ts';
import { openClusterStore } from '../support/redis-cluster-store.ts';
import { systemClock } from '../support/system-ports.ts';
import { startValkeyCluster, type ValkeyCluster } from '../support/valkey-cluster.ts';
import { describeBucketStore } from './bucket-store.suite.ts';

/** All of one tenant, and so in one step: what crosses parts is not one, see `test/fault/redis-cluster.test.ts`. */
describeWith(['valkey'], 'a Valkey cluster', () => {
  let cluster: ValkeyCluster;
  beforeAll(async () => {
    cluster = await startValkeyCluster();
  }, 60_000);
  afterAll(async () => {
    await cluster.remove();
  });

  describeBucketStore('the Redis cluster store', async () => {
    const prefix = `contract-${randomBytes(4).toString('hex')}:`;
    const { store } = await openClusterStore({ urls: cluster.urls, prefix, deadlineMs: 5000 });
    return {
      store: ofOneTenant(store, 'tenant-a'),
      clock: systemClock,
      manualTime: false,
      advance: (ms) => new Promise((passed) => setTimeout(passed, ms + 2)),
      close: () => store.stop(),
    };
  });
});

/** Gives buckets the tag that the limiter would. */
function ofOneTenant(store: BucketStore, tenant: string): BucketStore {
  const tag = tenantTag(tenant);
  const tagged = (terms: BucketTerms): BucketTerms => ({ ...terms, tag });
  const charged = (charges: readonly BucketCharge[]): readonly BucketCharge[] =>
    charges.map((charge) => ({ ...charge, terms: tagged(charge.terms) }));
  return {
    ...store,
    take: (request, at) => store.take({ ...request, plans: request.plans.map(charged) }, at),
    release: (id, charges, at) => store.release(id, charged(charges), at),
    charge: (charges, at) => store.charge(charged(charges), at),
    peek: (buckets, at) => store.peek(buckets.map(tagged), at),
  };
}
