import { gunzip } from 'node:zlib';
import type { Request } from 'express';
import type { StartTimer } from '../decision/ports.ts';
import { type Answer, refusal } from './answer.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** Until the last byte is here. */
  readonly deadlineMs: number;
}

/** The bytes of a body, bounded in size and time, or why they are not taken. */
export function readBytes(
  request: Request,
  { maxBytes, deadlineMs }: BodyLimits,
  startTimer: StartTimer,
): Promise<Buffer | Answer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve(TOO_LARGE);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (result: Buffer | Answer): void => {
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

/**
 * The members of a body that is one JSON object, in UTF-8, plain or packed with gzip. `parseJson` throws for whatever
 * two readers could read differently.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
  startTimer: StartTimer,
  parseJson: (text: string) => unknown,
): Promise<{ readonly members: { readonly [name: string]: unknown } } | Answer> {
  const { 'content-type': types = [], 'content-encoding': encodings = [] } = request.headersDistinct;
  const [type] = types;
  const [encoding = 'identity'] = encodings;
  if (types.length !== 1 || type === undefined || !JSON_TYPE.test(type)) return NOT_JSON;
  if (encodings.length > 1 || (encoding !== 'identity' && encoding !== 'gzip')) return NOT_JSON;
  const sent = await readBytes(request, limits, startTimer);
  if (!Buffer.isBuffer(sent)) return sent;
  const bytes = encoding === 'gzip' ? await unpack(sent, limits.maxBytes) : sent;
  if (bytes === undefined) return refusal(400, 'bad_request', 'the body is no gzip that unpacks to what is allowed');
  let value: unknown;
  try {
    value = parseJson(UTF8.decode(bytes));
  } catch {
    return refusal(400, 'bad_request', 'the body is no JSON that every reader reads alike');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal(400, 'bad_request', 'the body is no JSON object');
  }
  // An object that came of JSON text: its members are named by texts.
  return { members: value as { readonly [name: string]: unknown } };
}

const JSON_TYPE = /^application\/json(?: *; *charset="?utf-8"?)?$/i;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const TOO_LARGE = refusal(413, 'too_large', 'the body is too large');
const TOO_SLOW = refusal(408, 'too_slow', 'the body took too long');
const CUT_SHORT = refusal(400, 'bad_request', 'the body was cut short');
const NOT_JSON = refusal(415, 'bad_request', 'the body must be `application/json`, plain or gzip');

function unpack(bytes: Buffer, maxOutputLength: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    gunzip(bytes, { maxOutputLength }, (error, result) => resolve(error === null ? result : undefined));
  });
}
