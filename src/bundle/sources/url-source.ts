import { BundleError } from '../errors.ts';
import { claimedVersion } from '../signing/bundle-signature.ts';
import type { BundleSource, Download, LoadWish } from '../source.ts';
import { MAX_SIGNATURE_BYTES } from './file-source.ts';
import { type HttpAnswer, type HttpClient, shownUrl } from './http-client.ts';
import { labelHeaderOf } from './label-header.ts';
import { preferenceOf } from './preference.ts';

export interface UrlSourceOptions {
  readonly url: string;
  /** Of one download; the time that the server is asked to wait comes on top. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly http: HttpClient;
  /** Whether the signature is wanted too: from the header, else from `URL.jws`. */
  readonly signed?: boolean;
  /** Of this instance. */
  readonly labels?: { readonly [name: string]: string };
}

/** The header in which a server hands over the detached JWS of the archive that it answers with. */
export const SIGNATURE_HEADER = 'x-sallyport-signature';

/** Names what a delta may build on, where the entity tag does not. */
export const DELTA_FROM_HEADER = 'x-sallyport-base';

/**
 * A bundle behind http or https: one bounded GET with `If-None-Match`. Redirects are refused, because who may serve
 * the bundle is local config's to say.
 */
export function createUrlSource({
  url,
  timeoutMs,
  maxBytes,
  http,
  signed = false,
  labels = {},
}: UrlSourceOptions): BundleSource {
  const target = new URL(url);
  const labelHeader = labelHeaderOf(labels);
  const sidecar = new URL(url);
  sidecar.pathname += '.jws';

  const download = async (
    etag: string | undefined,
    signal: AbortSignal,
    { waitSeconds = 0, base, signature: known, newerThan }: LoadWish,
  ): Promise<Download | undefined> => {
    const answer = await http({
      url: target,
      headers: {
        accept: 'application/gzip, application/octet-stream, application/vnd.openpolicyagent.bundles',
        'accept-encoding': 'identity',
        ...labelHeader,
        prefer: preferenceOf({ waitSeconds, delta: base !== undefined }),
        ...(base === undefined ? {} : { [DELTA_FROM_HEADER]: base }),
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      },
      maxBytes,
      timeoutMs: timeoutMs + waitSeconds * 1000,
      signal,
    });
    if (answer.status === 304 && etag !== undefined) {
      const renewed = answer.headers[SIGNATURE_HEADER];
      if (!signed || renewed === undefined) return undefined;
      const isNews = newerThan === undefined ? renewed !== known : claimedVersion(renewed) > newerThan;
      if ((newerThan ?? known) === undefined || !isNews) return undefined;
      return download(undefined, signal, {});
    }
    demandFile(target, answer);
    const newEtag = answer.headers['etag'];
    const signature = signed ? (answer.headers[SIGNATURE_HEADER] ?? (await besides(signal))) : undefined;
    return {
      bytes: answer.body,
      ...(newEtag === undefined ? {} : { etag: newEtag }),
      ...(signature === undefined ? {} : { signature: signature.trim() }),
    };
  };

  /** That there is none is for the trust to judge. */
  const besides = async (signal: AbortSignal): Promise<string | undefined> => {
    const headers = { accept: 'application/jose', 'accept-encoding': 'identity', ...labelHeader };
    const answer = await http({ url: sidecar, headers, maxBytes: MAX_SIGNATURE_BYTES, timeoutMs, signal });
    if (answer.status === 404) return undefined;
    demandFile(sidecar, answer);
    return Buffer.from(answer.body).toString('latin1');
  };

  return { kind: 'url', load: (etag, signal, wish = {}) => download(etag, signal, wish) };
}

function demandFile(url: URL, { status, headers }: HttpAnswer): void {
  const fault = faultOf(status, headers);
  if (fault !== undefined) throw new BundleError('bundle_unreachable', `\`${shownUrl(url)}\` ${fault}`);
}

function faultOf(status: number, headers: HttpAnswer['headers']): string | undefined {
  if (status !== 304 && status >= 300 && status < 400) return `answered ${status}; redirects are not followed`;
  if (status !== 200) return `answered ${status}`;
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    return 'answered with a content-encoding; the file is wanted as it is';
  }
  // A portal, a login page or an error page of a proxy.
  if (/^text\/html\b/i.test(headers['content-type'] ?? '')) return 'answered with a web page in place of the file';
  return undefined;
}
