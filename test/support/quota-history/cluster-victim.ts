import { clusterRate, openClusterStore } from '../redis-cluster-store.ts';

/** Takes one plan that is never answered: it is killed between its phases. Arguments: urls, id, the shared part. */
const [urls = '', id = '', part = '0'] = process.argv.slice(2);
const opened = await openClusterStore({ urls: urls.split(','), deadlineMs: 500 });
process.once('SIGUSR2', () => {
  const hold = { ttlMs: 4000, onExpiry: 'charge' } as const;
  void opened.take(
    [
      { terms: clusterRate('victim-own', 10), cost: 1, enforced: true, refundable: true },
      { terms: clusterRate('victim-tokens', 100), cost: 30, enforced: true, refundable: true, hold },
      { terms: clusterRate('victim-shared', 10, Number(part)), cost: 1, enforced: true, refundable: true },
    ],
    id,
  );
  console.log('sent');
});
console.log('ready');
