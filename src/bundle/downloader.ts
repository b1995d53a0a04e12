import type { StartTimer } from '../decision/ports.ts';
import { BundleError } from './errors.ts';
import type { BundleSource, Download } from './source.ts';

export interface UrlSourceOptions {
  readonly url: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly startTimer: StartTimer;
}

/**
 * A bundle behind http or https: one bounded GET with `If-None-Match`. Redirects are refused, because who may serve
 * the bundle is local config's to say.
 */
export function createUrlSource({ url, timeoutMs, maxBytes, startTimer }: UrlSourceOptions): BundleSource {
  return {
    kind: 'url',
    load: async (etag, signal) => {
      const timeout = new AbortController();
      const stopTimer = startTimer(timeoutMs, () =>
        timeout.abort(new BundleError('bundle_unreachable', `\`${url}\` took longer than ${timeoutMs} ms`)),
      );
      try {
        return await download(url, etag, maxBytes, AbortSignal.any([signal, timeout.signal]));
      } catch (error) {
        throw toBundleError(url, error);
      } finally {
        stopTimer();
      }
    },
  };
}

async function download(
  url: string,
  etag: string | undefined,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Download | undefined> {
  const response = await fetch(url, {
    redirect: 'manual',
    signal,
    headers: {
      accept: 'application/gzip, application/octet-stream',
      'accept-encoding': 'identity',
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
    },
  });
  const refusal = refusalOf(response, etag, maxBytes);
  if (refusal !== undefined || response.status === 304) {
    await response.body?.cancel();
    if (refusal !== undefined) throw refusal(url);
    return undefined;
  }
  const bytes = await readBounded(url, response, maxBytes);
  const newEtag = response.headers.get('etag');
  return newEtag === null ? { bytes } : { bytes, etag: newEtag };
}

function refusalOf(
  { status, headers }: Response,
  etag: string | undefined,
  maxBytes: number,
): ((url: string) => BundleError) | undefined {
  const unreachable = (fault: string) => (url: string) => new BundleError('bundle_unreachable', `\`${url}\` ${fault}`);
  if (status === 304 && etag !== undefined) return undefined;
  if (status >= 300 && status < 400) return unreachable(`answered ${status}; redirects are not followed`);
  if (status !== 200) return unreachable(`answered ${status}`);
  const encoding = headers.get('content-encoding') ?? 'identity';
  // `fetch` would unpack it before a bound or the pin could be applied.
  if (encoding !== 'identity') return unreachable('answered with a content-encoding; the file is wanted as it is');
  return Number(headers.get('content-length') ?? 0) > maxBytes ? (url) => tooLarge(url, maxBytes) : undefined;
}

async function readBounded(url: string, response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > maxBytes) throw tooLarge(url, maxBytes);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function tooLarge(url: string, maxBytes: number): BundleError {
  return new BundleError(
    'bundle_too_large',
    `\`${url}\` sends more than the ${maxBytes} bytes of \`polling.max_bytes\``,
  );
}

function toBundleError(url: string, error: unknown): BundleError {
  if (error instanceof BundleError) return error;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new BundleError('bundle_unreachable', `\`${url}\` does not answer${code}`, { cause: error });
}
