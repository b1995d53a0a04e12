import type { JwksConfig } from './config.ts';

/** The part of `fetch` that is used here. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>;

export interface FetchInit {
  readonly redirect: 'error';
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
}

export interface FetchAnswer {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
}

export type ReadFile = (path: string, signal: AbortSignal) => Promise<Uint8Array>;

/** Key sets are a few kilobytes; beyond this one is not read on. */
const MAX_BYTES = 256 * 1024;

/** Reads a key set's text from where config says. Throws when it is unreachable, redirects, or is too large. */
export function createJwksLoad(
  jwks: JwksConfig,
  { fetch, readFile }: { readonly fetch: Fetch; readonly readFile: ReadFile },
): (signal: AbortSignal) => Promise<string> {
  const { file, url } = jwks;
  if (url !== undefined) return (signal) => fetchText(fetch, url, signal);
  if (file !== undefined) return async (signal) => toText(await readFile(file, signal));
  throw new TypeError('a key set has neither `file` nor `url`: run `checkIdentityConfig` first');
}

async function fetchText(fetch: Fetch, url: string, signal: AbortSignal): Promise<string> {
  const ended = new AbortController();
  try {
    const answer = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.any([signal, ended.signal]),
      headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
    });
    if (answer.status !== 200) throw new Error(`the key set's address answered ${answer.status}`);
    return toText(await readBounded(answer.body));
  } finally {
    // Frees the connection when the answer was not read to its end.
    ended.abort();
  }
}

async function readBounded(body: AsyncIterable<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a key set; throws when it is too large or no UTF-8. */
export function toText(bytes: Uint8Array): string {
  if (bytes.byteLength > MAX_BYTES) throw tooLarge();
  return utf8.decode(bytes);
}

function tooLarge(): Error {
  return new Error(`the key set is larger than ${MAX_BYTES} bytes`);
}
