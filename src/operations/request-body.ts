import type { Request } from 'express';
import type { StartTimer } from '../decision/ports.ts';

/** Why a request's body is not taken. */
export interface BodyFault {
  readonly status: 400 | 408 | 413 | 415;
  readonly detail: string;
}

export interface BodyLimits {
  readonly maxBytes: number;
  /** Until the last byte is here. */
  readonly deadlineMs: number;
}

/**
 * The members of a body that is one JSON object, read strictly: plain `application/json` in UTF-8, bounded in bytes and
 * time. `parseJson` throws for whatever two readers could read differently, duplicate keys before all.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
  startTimer: StartTimer,
  parseJson: (text: string) => unknown,
): Promise<{ readonly members: { readonly [name: string]: unknown } } | BodyFault> {
  const { 'content-type': types = [], 'content-encoding': encodings = [] } = request.headersDistinct;
  const [type] = types;
  if (types.length !== 1 || type === undefined || !JSON_TYPE.test(type) || encodings.length > 0) {
    return { status: 415, detail: 'the body must be plain `application/json`' };
  }
  const bytes = await readBytes(request, limits, startTimer);
  if ('status' in bytes) return bytes;
  let value: unknown;
  try {
    value = parseJson(UTF8.decode(bytes));
  } catch {
    return { status: 400, detail: 'the body is no JSON that every reader reads alike' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { status: 400, detail: 'the body is no JSON object' };
  }
  // An object that came of JSON text: its members are named by texts.
  return { members: value as { readonly [name: string]: unknown } };
}

const JSON_TYPE = /^application\/json(?: *; *charset="?utf-8"?)?$/i;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const TOO_LARGE: BodyFault = { status: 413, detail: 'the body is too large' };
const TOO_SLOW: BodyFault = { status: 408, detail: 'the body took too long' };
const CUT_SHORT: BodyFault = { status: 400, detail: 'the body was cut short' };

function readBytes(
  request: Request,
  { maxBytes, deadlineMs }: BodyLimits,
  startTimer: StartTimer,
): Promise<Buffer | BodyFault> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve(TOO_LARGE);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (result: Buffer | BodyFault): void => {
      cancel();
      request.off('data', more);
      resolve(result);
    };
    const more = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) end(TOO_LARGE);
      else chunks.push(chunk);
    };
    const cancel = startTimer(deadlineMs, () => end(TOO_SLOW));
    request.on('data', more);
    request.once('end', () => end(Buffer.concat(chunks)));
    request.once('error', () => end(CUT_SHORT));
    request.once('close', () => end(CUT_SHORT));
  });
}
