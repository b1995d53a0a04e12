import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as requestInTheClear } from 'node:http';
import { request as requestWithTls } from 'node:https';
import type { StartTimer } from '../../decision/ports.ts';
import type { TlsClientConfig } from '../config-sources.ts';
import { BundleError } from '../errors.ts';
import type { AddCredentials } from './credentials.ts';

export interface HttpAsk {
  readonly url: URL;
  readonly method?: 'GET' | 'POST';
  readonly headers: { readonly [name: string]: string };
  readonly body?: string;
  /** Of the answer's body; more is an error. */
  readonly maxBytes: number;
  /** From the first step to the last byte. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  /** Of an answer with status 200; any other's is not read. */
  readonly body: Uint8Array;
}

/** Asks once: no redirect is followed, so credentials go nowhere but where config says. Throws a `BundleError`. */
export type HttpClient = (ask: HttpAsk) => Promise<HttpAnswer>;

export interface HttpClientOptions {
  readonly startTimer: StartTimer;
  readonly credentials?: AddCredentials | undefined;
  /** The files are read again at each request, so that renewed certificates are used. */
  readonly tls?: TlsClientConfig | undefined;
}

export function createHttpClient({ startTimer, credentials, tls }: HttpClientOptions): HttpClient {
  return async (ask) => {
    const { url, timeoutMs } = ask;
    const timeout = new AbortController();
    const stopTimer = startTimer(timeoutMs, () =>
      timeout.abort(new BundleError('bundle_unreachable', `\`${shownUrl(url)}\` took longer than ${timeoutMs} ms`)),
    );
    const signal = AbortSignal.any([ask.signal, timeout.signal]);
    try {
      const headers = credentials === undefined ? ask.headers : await credentials(url, ask.headers);
      const files = tls === undefined ? {} : await readTls(tls);
      signal.throwIfAborted();
      return await exchange({ ...ask, headers, signal }, files);
    } catch (error) {
      throw toBundleError(url, timeout.signal.aborted ? timeout.signal.reason : error);
    } finally {
      stopTimer();
    }
  };
}

/** For messages: a query may hold a secret. */
export function shownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

type TlsContents = { readonly [name in keyof TlsClientConfig]: Buffer };

async function readTls(files: TlsClientConfig): Promise<TlsContents> {
  const contents = Object.entries(files).map(async ([name, path]) => {
    try {
      return [name, await readFile(path)] as const;
    } catch (error) {
      throw new BundleError('bundle_unreachable', `cannot read \`tls.${name}\` at \`${path}\``, { cause: error });
    }
  });
  return Object.fromEntries(await Promise.all(contents));
}

async function exchange(ask: HttpAsk, tls: TlsContents): Promise<HttpAnswer> {
  const { url, method = 'GET', headers, body, maxBytes, signal } = ask;
  // A connection of its own: none is kept for the minutes between two polls.
  const options = { method, headers, signal, agent: false as const, ...tls };
  const request = url.protocol === 'https:' ? requestWithTls(url, options) : requestInTheClear(url, options);
  const answered = answerOf(request);
  request.end(body);
  const response = await answered;
  try {
    const status = response.statusCode ?? 0;
    const answer = { status, headers: singleHeaders(response) };
    if (status !== 200) return { ...answer, body: new Uint8Array() };
    if (Number(answer.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(url, maxBytes);
    return { ...answer, body: await readBounded(url, response, maxBytes) };
  } finally {
    response.destroy();
  }
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    // Stays after the first, because an aborted request may fail more than once.
    request.on('error', reject);
  });
}

/** Twins of a header are refused by leaving it out: what they mean together, nobody said. */
function singleHeaders({ headersDistinct }: IncomingMessage): { readonly [name: string]: string } {
  const single = new Map<string, string>();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    const [value, twin] = values;
    if (value !== undefined && twin === undefined) single.set(name, value);
  }
  return Object.fromEntries(single);
}

async function readBounded(url: URL, response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  // A stream without an encoding gives buffers.
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    total += chunk.length;
    if (total > maxBytes) throw tooLarge(url, maxBytes);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function tooLarge(url: URL, maxBytes: number): BundleError {
  return new BundleError(
    'bundle_too_large',
    `\`${shownUrl(url)}\` sends more than ${maxBytes} bytes; \`polling.max_bytes\` bounds a bundle`,
  );
}

function toBundleError(url: URL, error: unknown): BundleError {
  if (error instanceof BundleError) return error;
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new BundleError('bundle_unreachable', `\`${shownUrl(url)}\` does not answer${code}`, { cause: error });
}
