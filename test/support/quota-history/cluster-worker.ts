import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BucketCharge } from '../../../src/quota/bucket.ts';
import { openClusterStore } from '../redis-cluster-store.ts';
import { createRandom } from '../seed.ts';
import { systemClock } from '../system-ports.ts';
import { type ClusterTake, termsOfRound } from './cluster-rounds.ts';

/**
 * One of the processes that share a cluster: says `ready`, begins when the file `go` is there, writes what came of its
 * takes into a file and says `done`. Arguments: urls, folder, number, seed, rounds, takes of each client.
 */
const [urls = '', folder = '', ...numbers] = process.argv.slice(2);
const [worker = 0, seed = 0, rounds = 0, takes = 0] = numbers.map(Number);
const CLIENTS = 4;

const opened = await openClusterStore({ urls: urls.split(','), deadlineMs: 2000 });
console.log('ready');
while (!existsSync(join(folder, 'go'))) await sleep(2);
const random = createRandom(seed + worker);
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);
const history: ClusterTake[] = [];

async function client(round: number): Promise<void> {
  const { own, ownTokens, shared, sharedTokens } = termsOfRound(round);
  for (let number = 0; number < takes; number += 1) {
    const holds = random.chance(0.4);
    const charges: BucketCharge[] = [{ terms: random.pick(own), cost: 1, enforced: true, refundable: true }];
    charges.push({ terms: random.pick(shared), cost: 1, enforced: true, refundable: true });
    if (random.chance(0.2)) charges.splice(0, 1);
    if (holds) {
      const hold = { ttlMs: 60_000, onExpiry: 'charge' } as const;
      const cost = 1 + random.below(5);
      for (const terms of [ownTokens, random.pick(sharedTokens)]) {
        charges.push({ terms, cost, enforced: true, refundable: true, hold });
      }
    }
    const id = opened.newId();
    const startUs = nowUs();
    const answer = await opened.take(charges, id);
    const endUs = nowUs();
    const said = 'kind' in answer ? answer.kind : answer.reason;
    history.push({ startUs, endUs, said, costs: charges.map(({ terms, cost }) => [terms.id, cost]) });
    if (said === 'taken' && holds) {
      const used = charges.flatMap(({ hold, cost }) => (hold === undefined ? [] : [cost]));
      await opened.store.settle(id, used, systemClock.now());
    }
  }
}

for (let round = 0; round < rounds; round += 1) {
  await Promise.all(Array.from({ length: CLIENTS }, () => client(round)));
}
await opened.store.stop();
writeFileSync(join(folder, `${worker}.json`), JSON.stringify(history));
console.log('done');
