import { isObject } from '../../decision/json.ts';
import { BundleError } from '../errors.ts';
import { type HttpClient, shownUrl } from './http-client.ts';
import { preferenceOf } from './preference.ts';

/** What a server says of a rollout: the author's signed order, not yet verified, and who met a guard rail. */
export interface OfferedOrder {
  /** A compact JWS; `null`: nothing is ordered. */
  readonly order: string | null;
  /** Instances that say that a guard rail tripped. The server's own word: it can only end a trial. */
  readonly trips: readonly string[];
  readonly etag?: string;
}

/** Where orders come from. */
export interface OrderSource {
  /** The order, or `undefined` when it still is what `etag` names. Throws a `BundleError`. */
  load(etag: string | undefined, signal: AbortSignal, waitSeconds: number): Promise<OfferedOrder | undefined>;
}

export interface OrderSourceOptions {
  readonly url: string;
  readonly timeoutMs: number;
  readonly http: HttpClient;
}

export function createOrderSource({ url, timeoutMs, http }: OrderSourceOptions): OrderSource {
  const target = new URL(url);
  return {
    load: async (etag, signal, waitSeconds) => {
      const { status, headers, body } = await http({
        url: target,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          prefer: preferenceOf({ waitSeconds }),
          ...(etag === undefined ? {} : { 'if-none-match': etag }),
        },
        maxBytes: MAX_BYTES,
        timeoutMs: timeoutMs + waitSeconds * 1000,
        signal,
      });
      if (status === 304 && etag !== undefined) return undefined;
      if (status !== 200) throw unreadable(target, `answered ${status}`);
      const offered = parseOffer(target, body);
      const newEtag = headers['etag'];
      return newEtag === undefined ? offered : { ...offered, etag: newEtag };
    },
  };
}

const MAX_BYTES = 512 * 1024;
const MAX_TRIPS = 10_000;

function parseOffer(url: URL, body: Uint8Array): OfferedOrder {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw unreadable(url, 'answered with what is no JSON', error);
  }
  if (!isObject(value)) throw unreadable(url, 'answered with JSON that is no object');
  const { order, trips = [] } = value;
  if (order !== null && typeof order !== 'string') throw unreadable(url, 'answered without the member `order`');
  if (!isNames(trips)) throw unreadable(url, 'answered with `trips` that are no list of instances');
  return { order, trips };
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_TRIPS &&
    value.every((name) => typeof name === 'string' && name.length <= 256)
  );
}

function unreadable(url: URL, fault: string, cause?: unknown): BundleError {
  return new BundleError('bundle_unreachable', `\`${shownUrl(url)}\` ${fault}`, { cause });
}
