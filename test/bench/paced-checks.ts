import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { GRPC_HEADERS } from './calls.ts';
import { checkResponseCode } from './check-message.ts';
import { percentilesOf } from './latency.ts';
import { answerTasks } from './task.ts';

/**
 * Checks at a pace that no slow answer holds up, each timed from when it was due: `{per_second}` begins, `{finish}`
 * ends and answers how long they took and how many were not allowed (denied or broken off), though the policy allows all.
 */
const [port = '0', bodyFile = ''] = process.argv.slice(2);
const body = readFileSync(bodyFile);
const HEADERS = Object.fromEntries(GRPC_HEADERS);
const TICK_MS = 1;

const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
let timer: NodeJS.Timeout | undefined;
let tookMs: number[] = [];
let notAllowed = 0;
let pending: Promise<void>[] = [];

/** Resolves when it is over; the time is from when it was due, however late it was sent. */
function check(dueMs: number): Promise<void> {
  return new Promise((resolve) => {
    const stream = session.request(HEADERS);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A stream that is reset closes without an answer.
    stream.on('error', () => undefined);
    stream.once('close', () => {
      tookMs.push(performance.now() - dueMs);
      const answer = Buffer.concat(chunks);
      if (answer.byteLength <= 5 || checkResponseCode(answer.subarray(5)) !== 0) notAllowed += 1;
      resolve();
    });
    stream.end(body);
  });
}

function begin(perSecond: number): void {
  const beganMs = performance.now();
  let sent = 0;
  [tookMs, pending, notAllowed] = [[], [], 0];
  timer = setInterval(() => {
    while (beganMs + (sent * 1000) / perSecond <= performance.now()) {
      pending.push(check(beganMs + (sent * 1000) / perSecond));
      sent += 1;
    }
  }, TICK_MS);
}

answerTasks(async (order) => {
  if (order['per_second'] !== undefined) {
    begin(order['per_second']);
    return {};
  }
  clearInterval(timer);
  await Promise.all(pending);
  const { p50, p99, last } = percentilesOf(Float64Array.from(tookMs));
  return { checks: tookMs.length, not_allowed: notAllowed, p50_ms: p50, p99_ms: p99, longest_ms: last };
});
