import { X509Certificate } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as requestInTheClear } from 'node:http';
import { request as requestWithTls, Agent as TlsAgent } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { TargetConfig } from './config-types.ts';
import { retryAfterMs } from './retry-after.ts';
import { credentialHeaders, readTls, type TlsContents } from './secrets.ts';

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly retryAfterMs: number;
  /** Of a 2xx answer, whole; any other's is not looked at: it may repeat what was sent. */
  readonly body: string;
}

/** A server that takes events by HTTP, on one connection that is kept. */
export interface Target {
  /** For messages: nothing of it is secret. */
  readonly shown: string;
  /** Reads all files once; rejects where one cannot be used. */
  open(): Promise<void>;
  /**
   * Posts once; follows no redirect, so that credentials go nowhere but where config says. Rejects without an answer or
   * when it is late; messages hold nothing that was sent or answered.
   */
  post(body: Uint8Array, headers: { readonly [name: string]: string }, signal?: AbortSignal): Promise<Answer>;
  /** Takes certificates anew, on a new connection. */
  reopen(): Promise<void>;
  close(): void;
}

export interface TargetOptions {
  readonly config: TargetConfig;
  /** Appended to the path; `filter_path=…`. */
  readonly query?: string;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
}

export function createTarget({ config, query, clock, startTimer }: TargetOptions): Target {
  const base = new URL(config.url);
  const path = base.pathname.replace(/\/$/, '') + config.path;
  const url = new URL(path + (query === undefined ? '' : `?${query}`), base);
  const shown = `${url.origin}${url.pathname}`;
  const isTls = url.protocol === 'https:';
  let agent: PlainAgent | TlsAgent | undefined;
  let contents: TlsContents = {};
  let readMs = 0;

  const connectAnew = (next: TlsContents): PlainAgent => {
    agent?.destroy();
    contents = next;
    const keep = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 };
    agent = isTls ? new TlsAgent({ ...keep, ...next, minVersion: 'TLSv1.2' }) : new PlainAgent(keep);
    return agent;
  };
  const readFiles = async (): Promise<TlsContents> => {
    const next = await readTls(config.tls);
    if (isTls) provePem(next);
    readMs = clock.now().monotonicMs;
    return next;
  };
  /** Renewed certificates are used within seconds, without a word from anybody. */
  const currentAgent = async (): Promise<PlainAgent> => {
    if (agent !== undefined && (!isTls || clock.now().monotonicMs - readMs < REREAD_MS)) return agent;
    const next = await readFiles();
    return agent !== undefined && isSame(contents, next) ? agent : connectAnew(next);
  };

  return {
    shown,
    open: async () => {
      connectAnew(await readFiles());
      await credentialHeaders(config.credentials);
    },
    post: async (body, headers, signal) => {
      const timeout = new AbortController();
      const stopTimer = startTimer(config.timeout_ms, () => timeout.abort());
      const either = signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]);
      try {
        const all = { ...headers, ...(await credentialHeaders(config.credentials)), 'content-length': body.length };
        const options = { method: 'POST', headers: all, agent: await currentAgent(), signal: either };
        either.throwIfAborted();
        const request = isTls ? requestWithTls(url, options) : requestInTheClear(url, options);
        return await exchange(request, body, clock.now().epochMs);
      } catch (cause) {
        if (signal?.aborted === true) throw new Error(`\`${shown}\` was given up`, { cause });
        if (timeout.signal.aborted) throw new Error(`\`${shown}\` took longer than ${config.timeout_ms} ms`, { cause });
        throw new Error(`\`${shown}\` does not answer: ${reasonOf(cause)}`, { cause });
      } finally {
        stopTimer();
      }
    },
    reopen: async () => {
      connectAnew(await readFiles());
    },
    close: () => {
      agent?.destroy();
      agent = undefined;
    },
  };
}

const REREAD_MS = 5_000;
/** Of one answer; ours ask for short ones. */
const MAX_ANSWER_BYTES = 4 * 2 ** 20;
/** Of an answer that says no more than its status. */
const MAX_DRAINED_BYTES = 64 * 1024;

function provePem(contents: TlsContents): void {
  try {
    for (const pem of [contents.ca, contents.cert]) if (pem !== undefined) new X509Certificate(pem);
    createSecureContext(contents);
  } catch {
    // OpenSSL's own words may quote the file.
    throw new Error('the files of `tls` are no certificates and key in PEM, or no pair: check them');
  }
}

function isSame(one: TlsContents, other: TlsContents): boolean {
  const isSameFile = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
    a === b || (a !== undefined && b !== undefined && a.equals(b));
  return isSameFile(one.ca, other.ca) && isSameFile(one.cert, other.cert) && isSameFile(one.key, other.key);
}

async function exchange(request: ClientRequest, body: Uint8Array, epochMs: number): Promise<Answer> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    // Stays after the first, because an aborted request may fail more than once.
    request.on('error', reject);
  });
  request.end(body);
  const response = await answered;
  const status = response.statusCode ?? 0;
  const asked = retryAfterMs(response.headers['retry-after'], epochMs);
  const isTaken = status >= 200 && status < 300;
  return { status, retryAfterMs: asked, body: await readAnswer(response, isTaken) };
}

async function readAnswer(response: IncomingMessage, isWanted: boolean): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    // A stream without an encoding gives buffers.
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (isWanted) chunks.push(chunk);
      if (length > (isWanted ? MAX_ANSWER_BYTES : MAX_DRAINED_BYTES)) break;
    }
  } catch (error) {
    // The status has said all that is wanted of such an answer.
    if (isWanted) throw error;
  }
  if (isWanted && length > MAX_ANSWER_BYTES) throw new Error('its answer is too long');
  return Buffer.concat(chunks).toString('utf8');
}

/** A word such as ECONNREFUSED, or what we said ourselves. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'no reason was given';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
