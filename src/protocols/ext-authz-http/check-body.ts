import type { IncomingMessage } from 'node:http';
import type { StartTimer } from '../../decision/ports.ts';
import type { RawHeaders } from './raw-headers.ts';

/** `late`: not whole within the time; `gone`: the caller ended the check within it. */
export type CheckBody = Uint8Array | 'too_large' | 'late' | 'gone';

export interface BodyLimits {
  readonly maxBytes: number;
  readonly withinMs: number;
  readonly startTimer: StartTimer;
}

/** Whether the check has a body at all; without one nothing needs to be waited for. */
export function hasBody(headers: RawHeaders): boolean {
  if (headers.all('transfer-encoding').length > 0) return true;
  const [length] = headers.all('content-length');
  return length !== undefined && length !== '0';
}

/** Whether the declared length alone is too much. The parser lets no other than one plain number through. */
export function isDeclaredTooLarge(headers: RawHeaders, maxBytes: number): boolean {
  return Number(headers.all('content-length')[0] ?? 0) > maxBytes;
}

/** Reads the body, keeping at most `maxBytes`; answers as soon as it is clear that it is too large. Never throws. */
export function readBody(request: IncomingMessage, { maxBytes, withinMs, startTimer }: BodyLimits): Promise<CheckBody> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (body: CheckBody): void => {
      cancel();
      // What still arrives is thrown away.
      chunks.length = 0;
      size = Number.POSITIVE_INFINITY;
      resolve(body);
    };
    const cancel = startTimer(withinMs, () => settle('late'));
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size === Number.POSITIVE_INFINITY) return;
      if (size > maxBytes) settle('too_large');
      else chunks.push(chunk);
    });
    request.once('end', () => settle(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks)));
    request.once('error', () => settle('gone'));
    request.once('close', () => settle('gone'));
  });
}

const EMPTY = Buffer.alloc(0);
