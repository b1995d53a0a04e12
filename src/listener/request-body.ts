import type { IncomingMessage } from 'node:http';
import { gunzip } from 'node:zlib';
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
  /** Whether gzip is taken, of a body that unpacks to no more than `maxBytes`. */
  readonly gzip?: boolean;
}

/**
 * The members of a body that is one JSON object, read strictly: `application/json` in UTF-8, plain or, where the limits
 * say so, packed with gzip; bounded in bytes and time. `parseJson` throws for whatever two readers could read
 * differently, duplicate keys before all.
 */
export async function readJsonObject(
  request: IncomingMessage,
  limits: BodyLimits,
  startTimer: StartTimer,
  parseJson: (text: string) => unknown,
): Promise<{ readonly members: { readonly [name: string]: unknown } } | BodyFault> {
  const { 'content-type': types = [], 'content-encoding': encodings = [] } = request.headersDistinct;
  const [type] = types;
  const [encoding = 'identity'] = encodings;
  const packed = limits.gzip === true && encoding === 'gzip';
  const plain = encodings.length === 0 || (limits.gzip === true && encoding === 'identity');
  if (types.length !== 1 || type === undefined || !JSON_TYPE.test(type) || encodings.length > 1 || !(plain || packed)) {
    const how = limits.gzip === true ? '`application/json`, plain or gzip' : 'plain `application/json`';
    return { status: 415, detail: `the body must be ${how}` };
  }
  const sent = await readBytes(request, limits, startTimer);
  if ('status' in sent) return sent;
  const bytes = packed ? await unpack(sent, limits.maxBytes) : sent;
  if (bytes === undefined) return { status: 400, detail: 'the body is no gzip that unpacks to what is allowed' };
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

/** The bytes of a body, bounded in size and time, or why they are not taken. */
export function readBytes(
  request: IncomingMessage,
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
      // The request outlives its body, and would keep it.
      chunks.length = 0;
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

function unpack(bytes: Buffer, maxOutputLength: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    gunzip(bytes, { maxOutputLength }, (error, result) => resolve(error === null ? result : undefined));
  });
}
