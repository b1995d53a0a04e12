import { createPoller } from '../../src/bundle/poller.ts';
import { createHttpClient } from '../../src/bundle/sources/http-client.ts';
import { createUrlSource } from '../../src/bundle/sources/url-source.ts';
import { startSystemTimer } from '../support/system-ports.ts';
import { BUNDLE_TOKEN, LONG_POLL_SECONDS } from './bundle-server.ts';
import { percentilesOf } from './latency.ts';
import { machineMs } from './monotonic.ts';
import { answerTasks } from './task.ts';

/**
 * Agents as far as their long poll goes: the product's own source, client and poller; nothing is verified or put in
 * force. `{agents}` starts them, `{settled}` answers once all wait at the server, `{watch}` once all have something new,
 * with the machine's time at which half of them, 99 in a hundred and the last had all of it.
 */
const [url = ''] = process.argv.slice(2);
/** What the server needs to read a request that was just written. */
const PARKED_MS = 400;

let waiting = 0;
let agents = 0;
let downloads: number[] = [];
let onDownload = (): void => undefined;

function startAgent(): void {
  const source = createUrlSource({
    url,
    timeoutMs: 30_000,
    maxBytes: 2 ** 25,
    signed: true,
    http: createHttpClient({
      startTimer: startSystemTimer,
      credentials: async (_url, headers) => ({ ...headers, authorization: `Bearer ${BUNDLE_TOKEN}` }),
    }),
  });
  let etag: string | undefined;
  createPoller({
    minDelayMs: 1_000,
    maxDelayMs: 2_000,
    random: Math.random,
    startTimer: startSystemTimer,
    attempt: async (signal) => {
      waiting += 1;
      try {
        const download = await source.load(etag, signal, { waitSeconds: etag === undefined ? 0 : LONG_POLL_SECONDS });
        if (download !== undefined) {
          etag = download.etag;
          downloads.push(machineMs());
          onDownload();
        }
        return 'again';
      } catch (error) {
        console.error(error);
        return 'failed';
      } finally {
        waiting -= 1;
      }
    },
  }).start();
}

function allDownloaded(): Promise<readonly number[]> {
  return new Promise((resolve) => {
    onDownload = () => {
      if (downloads.length < agents) return;
      const all = downloads;
      downloads = [];
      onDownload = () => undefined;
      resolve(all);
    };
    onDownload();
  });
}

async function settled(): Promise<void> {
  while (waiting < agents) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, PARKED_MS));
  if (waiting < agents) return settled();
}

answerTasks(async (order) => {
  if (order['agents'] !== undefined) {
    agents = order['agents'];
    const first = allDownloaded();
    for (let number = 0; number < agents; number += 1) startAgent();
    await first;
  } else if (order['watch'] !== undefined) {
    const { p50, p99, last } = percentilesOf(Float64Array.from(await allDownloaded()));
    return { half_at_ms: p50, p99_at_ms: p99, last_at_ms: last };
  }
  await settled();
  return {};
});
