import type { IncomingMessage } from 'node:http';
import type { StartTimer } from '../../decision/ports.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  readonly withinMs: number;
  readonly startTimer: StartTimer;
}

/** Reads a whole body, keeping no more than `maxBytes`; `undefined` when it is larger, late or cut off. Never throws. */
export function readBody(
  request: IncomingMessage,
  { maxBytes, withinMs, startTimer }: BodyLimits,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (body: Uint8Array | undefined): void => {
      cancel();
      resolve(body);
    };
    const cancel = startTimer(withinMs, () => settle(undefined));
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      // What still arrives is thrown away.
      if (size <= maxBytes) chunks.push(chunk);
      else settle(undefined);
    });
    request.once('end', () => settle(size <= maxBytes ? Buffer.concat(chunks) : undefined));
    request.once('error', () => settle(undefined));
    request.once('close', () => settle(undefined));
  });
}
