import { isObject } from '../decision/json.ts';
import type { StartTimer } from '../decision/ports.ts';
import { CredentialFault } from './credential-fault.ts';
import { parseStrictJson } from './strict-json.ts';

/** The part of `fetch` that asks with a body. */
export type FetchPost = (url: string, init: FetchPostInit) => Promise<FetchPostAnswer>;

export interface FetchPostInit {
  readonly method: 'POST';
  readonly redirect: 'error';
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface FetchPostAnswer {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** What an issuer says of a token: nothing more than that it is not active, or all of its members. */
export type IntrospectionAnswer =
  | { readonly active: false }
  | { readonly active: true; readonly members: { readonly [name: string]: unknown }; readonly sizeBytes: number };

/** Asks the issuer; throws a {@link CredentialFault} `issuer_unavailable` for everything that is no sound answer. */
export type Introspect = (token: string) => Promise<IntrospectionAnswer>;

export interface IntrospectionClientOptions {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly timeoutMs: number;
  /** Questions under way at one time; one more is answered `issuer_unavailable` at once. */
  readonly maxInFlight: number;
  readonly fetch: FetchPost;
  readonly startTimer: StartTimer;
}

/** A client of one introspection endpoint (RFC 7662 §2), authenticated by HTTP Basic (RFC 6749 §2.3.1). */
export function createIntrospectionClient(options: IntrospectionClientOptions): Introspect {
  const { url, clientId, clientSecret, timeoutMs, maxInFlight, fetch, startTimer } = options;
  const basic = Buffer.from(`${formText(clientId)}:${formText(clientSecret)}`).toString('base64');
  const headers = {
    authorization: `Basic ${basic}`,
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
    'accept-encoding': 'identity',
  };
  let inFlight = 0;

  return async (token) => {
    if (inFlight >= maxInFlight) throw unavailable('too many questions to the introspection endpoint are under way');
    inFlight += 1;
    const controller = new AbortController();
    const cancel = startTimer(timeoutMs, () => controller.abort(new Error(`no answer within ${timeoutMs} ms`)));
    const { signal } = controller;
    try {
      const body = `token=${formText(token)}&token_type_hint=access_token`;
      const asked = fetch(url, { method: 'POST', redirect: 'error', signal, headers, body });
      // Raced, so that a `fetch` that does not heed the signal keeps nobody waiting.
      return await orAborted(asked.then(readAnswer), signal);
    } catch (error) {
      if (error instanceof CredentialFault) throw error;
      throw unavailable(`the introspection endpoint did not answer: ${causeOf(error)}`);
    } finally {
      cancel();
      inFlight -= 1;
      // Frees the connection when the answer was not read to its end.
      controller.abort();
    }
  };
}

const MAX_BYTES = 64 * 1024;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** An endpoint that refuses us, redirects or talks nonsense is one that cannot be asked: that is no verdict on a token. */
async function readAnswer({ status, body }: FetchPostAnswer): Promise<IntrospectionAnswer> {
  if (status !== 200) throw unavailable(`the introspection endpoint answered ${status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw unavailable(`the introspection endpoint answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return parseAnswer(Buffer.concat(chunks));
}

function parseAnswer(bytes: Uint8Array): IntrospectionAnswer {
  let members: unknown;
  try {
    members = parseStrictJson(utf8.decode(bytes));
  } catch {
    throw unavailable('the introspection endpoint answered no strict JSON');
  }
  if (!isObject(members) || !Object.hasOwn(members, 'active') || typeof members['active'] !== 'boolean') {
    throw unavailable('the introspection endpoint answered without `active`');
  }
  return members['active'] ? { active: true, members, sizeBytes: bytes.byteLength } : { active: false };
}

function formText(text: string): string {
  // RFC 6749 appendix B; what encodeURIComponent leaves beyond it needs no encoding in a form.
  return encodeURIComponent(text).replaceAll('%20', '+');
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}

function unavailable(cause: string): CredentialFault {
  return new CredentialFault(cause, 'issuer_unavailable');
}
