import { connect } from 'node:net';
import { type LoadResult, toLoadResult } from './latency.ts';

export interface Http1Load {
  readonly port: number;
  /** One whole request, head and body, sent again and again. */
  readonly request: Buffer;
  readonly count: number;
  /** Kept-alive connections, one request at a time on each. */
  readonly concurrency: number;
  /** Whether an answer is the wanted one; the first that is not ends the run. */
  readonly accept: (head: string, body: string) => boolean;
}

/** Calls over kept-alive HTTP/1.1 connections, with as little work in the client as can be. */
export async function runHttp1Load(load: Http1Load): Promise<LoadResult> {
  const latenciesMs = new Float64Array(load.count);
  let started = 0;
  const beganMs = performance.now();
  const next = (): number | undefined => {
    if (started === load.count) return undefined;
    started += 1;
    return started - 1;
  };
  await Promise.all(Array.from({ length: load.concurrency }, () => runConnection(load, next, latenciesMs)));
  return toLoadResult(latenciesMs, performance.now() - beganMs);
}

function runConnection(load: Http1Load, next: () => number | undefined, latenciesMs: Float64Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(load.port, '127.0.0.1');
    socket.setNoDelay(true);
    let rest = '';
    let number: number | undefined;
    let startedMs = 0;
    const send = (): void => {
      number = next();
      if (number === undefined) {
        socket.destroy();
        resolve();
        return;
      }
      startedMs = performance.now();
      socket.write(load.request);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      rest += chunk;
      const answer = parseAnswer(rest);
      if (answer === undefined || number === undefined) return;
      rest = '';
      latenciesMs[number] = performance.now() - startedMs;
      if (!load.accept(answer.head, answer.body)) {
        reject(new Error(`answer ${number} is not the wanted one: ${answer.head}\n\n${answer.body}`));
        socket.destroy();
        return;
      }
      send();
    });
  });
}

/** A whole answer, by content-length or as one that ends in the last chunk; `undefined` while some is missing. */
function parseAnswer(text: string): { readonly head: string; readonly body: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const isWhole = length === undefined ? body === '' || body.endsWith('0\r\n\r\n') : body.length >= Number(length);
  return isWhole ? { head, body } : undefined;
}
