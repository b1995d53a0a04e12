import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { answerTasks } from './task.ts';

/** Takes decision events in OPA's format and counts them: `{port}` answers where, `{events}` once so many have come. */
const LATE_MS = 30_000;

let events = 0;
let onEvents = (): void => undefined;
const server = createServer((request, response) => {
  buffer(request).then((body) => {
    // A sink that is measured sends arrays.
    events += (JSON.parse(gunzipSync(body).toString()) as readonly unknown[]).length;
    response.writeHead(200).end();
    onEvents();
  }, console.error);
});
const listening = new Promise<number>((resolve) => {
  // A TCP server that listens has an AddressInfo.
  server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
});

function received(wanted: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${events} of ${wanted} events came in time`)), LATE_MS);
    onEvents = () => {
      if (events < wanted) return;
      clearTimeout(late);
      resolve();
    };
    onEvents();
  });
}

answerTasks(async (order) => {
  if (order['events'] !== undefined) await received(order['events']);
  return { port: await listening, events };
});
