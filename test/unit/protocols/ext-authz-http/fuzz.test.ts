import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { deny } from '../../../../src/decision/decision.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../../support/seed.ts';
import { createCore, exchange, readAnswers, startDoor, verdict } from './door.ts';

/** Checks of requests that are denied, in the many ways in which a check can be written. */
const CORPUS = [
  'GET /ext-authz/tenant-a/llama/infer HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer bad\r\n\r\n',
  'POST /ext-authz/x?y=z HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nx-envoy-auth-partial-body: false\r\n\r\nabcd',
  'POST /ext-authz/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n',
  'GET /ext-authz/x HTTP/1.1\r\nHost: h\r\nx-envoy-expected-rq-timeout-ms: 200\r\nExpect: 100-continue\r\n\r\n',
  'GET /ext-authz/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n',
  'GET http://h/ext-authz/x HTTP/1.1\r\nHost: h\r\n\r\nGET /ext-authz/y HTTP/1.1\r\nHost: h\r\n\r\n',
].map((text) => Buffer.from(text, 'latin1'));

const SPLICES = [
  '\r\n',
  '\n',
  '\0',
  '\xff',
  ' ',
  ':',
  '/../',
  '%2e',
  'Host: h\r\n',
  'Content-Length: 1\r\n',
  '\r\n\r\n',
];

function mutate(random: Random): Buffer {
  let bytes = Buffer.from(random.pick(CORPUS));
  if (random.chance(0.05)) return Buffer.from(random.bytes(random.below(300)));
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const at = random.below(bytes.length + 1);
    switch (random.below(5)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + random.below(9)))]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(SPLICES), 'latin1'), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.pick(CORPUS)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length + 1))]);
    }
  }
  return bytes;
}

/** The statuses of everything that was answered before the connection fell silent for a moment. */
function statusesOf(port: number, bytes: Buffer): Promise<readonly number[]> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ host: '127.0.0.1', port });
    // Long for what may be waiting for more bytes, short for what may follow an answer.
    socket.setTimeout(300, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      socket.setTimeout(15);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(readAnswers(Buffer.concat(received)).answers.map(({ status }) => status)));
    socket.write(bytes);
  });
}

test('garbage is never allowed, never a 5xx and never a crash', async () => {
  const random = createRandom(seedOf('ext_authz_http fuzz'));
  const good = 'GET /ext-authz/ok HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer good\r\n\r\n';
  const faults: unknown[] = [];
  const core = createCore((request) =>
    request.headers.all('authorization').join() === 'Bearer good' ? verdict({ allow: true }) : deny('no_credential'),
  );
  const { door, port } = await startDoor(core, { max_in_flight: 50 }, { onFault: (cause) => faults.push(cause) });
  const counts = new Map<number, number>();
  let left = caseCount(5000);
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const bytes = mutate(random);
      for (const status of await statusesOf(port, bytes)) {
        if (!(status >= 400 && status <= 499))
          throw new Error(`${status} for ${JSON.stringify(bytes.toString('latin1'))}`);
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  console.info(`answers by status: ${JSON.stringify([...counts])}; asked ${core.asked.length} times`);
  expect(faults).toEqual([]);
  expect((await exchange(port, good))[0]?.status).toBe(200);
  await door.stop();
}, 120_000);
