import { readFileSync } from 'node:fs';
import { checkResponseCode } from './check-message.ts';
import { runHttp1Load } from './http1-load.ts';
import { runHttp2Load } from './http2-load.ts';
import type { LoadResult } from './latency.ts';

/** What the parent asks this process for; answered by a {@link LoadAnswer}. */
export type LoadOrder =
  | {
      readonly kind: 'http2';
      readonly port: number;
      readonly headers: readonly (readonly [string, string])[];
      /** Framed messages one after the other. */
      readonly bodiesFile: string;
      readonly count: number;
      readonly concurrency: number;
      readonly wanted: 'echo' | 'allow' | 'deny' | 'within_limit';
    }
  | {
      readonly kind: 'http1';
      readonly port: number;
      readonly requestFile: string;
      readonly count: number;
      readonly concurrency: number;
      /** What the head must begin with, and what the body must hold. */
      readonly wantedHead: string;
      readonly wantedBody: string;
    };

export type LoadAnswer = { readonly result: LoadResult } | { readonly error: string };

async function run(order: LoadOrder): Promise<LoadResult> {
  const { port, count, concurrency } = order;
  if (order.kind === 'http1') {
    const { wantedHead, wantedBody } = order;
    const accept = (head: string, body: string): boolean => head.startsWith(wantedHead) && body.includes(wantedBody);
    return runHttp1Load({ port, count, concurrency, request: readFileSync(order.requestFile), accept });
  }
  const bodies = splitFrames(readFileSync(order.bodiesFile));
  const accept = (body: Buffer, number: number): boolean => {
    if (order.wanted === 'echo') return body.byteLength === bodies[number % bodies.length]?.byteLength;
    if (order.wanted === 'within_limit') return body[5] === RESPONSE_CODE_TAG && body[6] === RESPONSE_CODE_OK;
    return body.byteLength > 5 && (checkResponseCode(body.subarray(5)) === 0) === (order.wanted === 'allow');
  };
  return runHttp2Load({ port, count, concurrency, headers: order.headers, bodies, accept });
}

/** `overall_code` of a RateLimitResponse, which both services write first. */
const RESPONSE_CODE_TAG = 8;
const RESPONSE_CODE_OK = 1;

function splitFrames(all: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < all.byteLength; ) {
    const end = at + 5 + all.readUInt32BE(at + 1);
    frames.push(all.subarray(at, end));
    at = end;
  }
  return frames;
}

process.on('message', (order: LoadOrder) => {
  run(order).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ error: String(error) }),
  );
});

function answer(what: LoadAnswer): void {
  process.send?.(what);
}
