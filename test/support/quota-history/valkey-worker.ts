import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRedisStore } from '../../../src/quota/redis/redis-store.ts';
import { createRandom } from '../seed.ts';
import { startSystemTimer, systemClock } from '../system-ports.ts';
import { type OpenReservation, runClient } from './client.ts';
import { type RecordedOperation, toHistoryLine } from './history.ts';
import { createScenario } from './scenario.ts';
import { storeConfig } from './store-config.ts';

/**
 * One of the processes that share a Valkey server: says `ready`, begins when the file `go` is there, leaves its history
 * in a file and says `done`. Arguments: url, folder, number, clients in each process, clients in all, seed, operations
 * of each client, takes per second that the buckets are made for.
 */
const [url = '', folder = '', ...numbers] = process.argv.slice(2);
const [worker = 0, perProcess = 1, clients = 1, seed = 0, operations = 0, perSecond = 0] = numbers.map(Number);

const store = createRedisStore({
  config: storeConfig(url),
  clock: systemClock,
  startTimer: startSystemTimer,
  random: randomBytes,
  report: (event) => console.log(JSON.stringify(event)),
});
await store.start();
console.log('ready');
while (!existsSync(join(folder, 'go'))) await sleep(2);
const history: RecordedOperation[] = [];
const open: OpenReservation[] = [];
await Promise.all(
  Array.from({ length: perProcess }, (_, at) =>
    runClient({
      store,
      scenario: createScenario('valkey', clients, perSecond),
      client: worker * perProcess + at,
      random: createRandom(seed + worker * perProcess + at),
      operations,
      now: () => systemClock.now(),
      nowUs: () => Number(process.hrtime.bigint() / 1000n),
      clockSlackMs: 20,
      record: (operation) => history.push(operation),
      open,
    }),
  ),
);
await store.stop();
writeFileSync(join(folder, `${worker}.jsonl`), history.map(toHistoryLine).join('\n'));
console.log('done');
