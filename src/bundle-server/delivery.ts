import type { Request, RequestHandler, Response } from 'express';
import type { Clock, StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { refusal, sendAnswer } from './answer.ts';
import type { Archives } from './archives.ts';
import { type Catalog, deltaKey, type Release, type Shelf } from './catalog.ts';
import type { ServedBundle } from './config.ts';
import { channelFor, parseLabels } from './labels.ts';
import type { OrderAnswer } from './order-answers.ts';
import { digestsOf, etagOf, parseIfNoneMatch, parsePrefer } from './prefer.ts';
import type { Waiters } from './waiters.ts';

/** What agents and OPAs fetch. Rights were looked at before any of it. */
export interface Delivery {
  /** `GET /v1/bundles/:name`, and `:name.jws` for the signature alone. */
  readonly current: RequestHandler;
  /** `GET /v1/bundles/:name/archives/:sha256`, and `:sha256.jws`: never changes. */
  readonly archive: RequestHandler;
  /** `GET /v1/bundles/:name/orders`. */
  readonly orders: RequestHandler;
}

export interface DeliveryPorts {
  readonly bundles: ReadonlyMap<string, ServedBundle>;
  readonly catalog: Catalog;
  readonly archives: Archives;
  readonly waiters: Waiters;
  readonly orderAnswer: (bundle: string) => OrderAnswer | undefined;
  readonly maxWaitSeconds: number;
  /** How long an answer may take to leave. */
  readonly transferMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Logger;
}

export function createDelivery(ports: DeliveryPorts): Delivery {
  const { bundles, catalog, archives, waiters, orderAnswer, maxWaitSeconds, transferMs, clock, startTimer, logger } =
    ports;

  /**
   * Answers `look` at once when it is new to the client, else once it is, else 304 when the time is up. A waiting
   * client that leaves is waited for no longer.
   */
  async function whenNew(
    request: Request,
    response: Response,
    topic: string,
    look: () => { readonly etag: string; readonly send: () => Promise<void> } | undefined,
  ): Promise<void> {
    const tags = parseIfNoneMatch(request.headersDistinct['if-none-match'] ?? []);
    const { waitSeconds } = parsePrefer(request.headersDistinct['prefer'] ?? []);
    const untilMs = clock.now().monotonicMs + Math.min(waitSeconds, maxWaitSeconds) * 1000;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.set('cache-control', 'private, no-cache').vary('x-sallyport-labels, prefer, authorization');
    for (;;) {
      const found = look();
      if (found === undefined) return sendAnswer(response, NOTHING_PROMOTED);
      response.set('etag', found.etag);
      if (!tags.has(found.etag) && !tags.has('*')) return found.send();
      const ended = await waiters.wait(topic, untilMs - clock.now().monotonicMs, gone.signal);
      if (gone.signal.aborted) return;
      if (ended === 'full') {
        response.removeHeader('etag');
        return sendAnswer(response, TOO_MANY_WAIT);
      }
      if (ended === 'over') {
        response.status(304).end();
        return;
      }
    }
  }

  async function sendFile(bundle: string, release: Release, response: Response, contentType: string): Promise<void> {
    const bytes = await archives.load(bundle, release.claims.sha256);
    if (bytes === undefined) {
      response.removeHeader('etag');
      return sendAnswer(response, refusal(503, 'damaged', 'the archive cannot be read just now'));
    }
    response.set('content-type', contentType).set('x-sallyport-signature', release.jws);
    sendWhole(response, bytes);
  }

  /** A client that reads slowly holds its socket no longer than `transferMs`. */
  function sendWhole(response: Response, bytes: Buffer | string): void {
    const cancel = startTimer(transferMs, () => {
      logger.limited('slow_client', 'warn', {}, 'a client took too long to read, and was cut off');
      response.socket?.destroy();
    });
    response.once('close', cancel);
    response.set('content-length', String(Buffer.byteLength(bytes))).end(bytes);
  }

  const sendSignature = async (response: Response, { jws }: Release): Promise<void> => {
    sendWhole(response.set('content-type', 'application/jose'), jws);
  };

  return {
    current: async (request, response) => {
      const name = nameIn(request);
      const bundle = bundles.get(name);
      const query = request.query['channel'];
      const asked = typeof query === 'string' ? query : undefined;
      const labels = parseLabels(request.headersDistinct['x-sallyport-labels'] ?? []);
      if (bundle === undefined) return sendAnswer(response, NO_BUNDLE);
      if (labels === undefined) return sendAnswer(response, refusal(400, 'bad_request', 'the labels are malformed'));
      if (query !== undefined && (asked === undefined || !bundle.channels.names.includes(asked))) {
        return sendAnswer(response, refusal(404, 'not_found', 'the bundle has no such channel'));
      }
      await whenNew(request, response, name, () => {
        const shelf = catalog.shelf(name);
        const turn = shelf?.channels.get(asked ?? channelFor(bundle, labels, shelf.channels));
        const release = shelf?.byDigest.get(turn?.sha256 ?? '');
        if (shelf === undefined || release === undefined) return undefined;
        const { sha256 } = release.claims;
        // Also on a 304: a signature may be renewed while the archive stays.
        response.set('x-sallyport-signature', release.jws);
        const isSignature = request.path.endsWith('.jws');
        const send = async (): Promise<void> => {
          if (isSignature) return sendSignature(response, release);
          const delta = deltaOf(request, shelf, release, bundle.opa_deltas);
          if (delta !== undefined) response.set('x-sallyport-base', delta.claims.baseSha256 ?? '');
          const { said } = parsePrefer(request.headersDistinct['prefer'] ?? []);
          // OPA takes this type as the promise that long polls are answered.
          const type = said ? 'application/vnd.openpolicyagent.bundles' : 'application/gzip';
          await sendFile(name, delta ?? release, response, type);
        };
        return { etag: isSignature ? `"jws:${sha256}:${release.claims.version}"` : etagOf(sha256), send };
      });
    },

    archive: async (request, response) => {
      const name = nameIn(request);
      const { sha256 = '' } = request.params;
      const [, digest = '', suffix] = /^([0-9a-f]{64})(\.jws)?$/.exec(String(sha256)) ?? [];
      const shelf = catalog.shelf(name);
      const release = shelf?.byDigest.get(digest) ?? deltaBy(shelf, digest);
      if (release === undefined) return sendAnswer(response, refusal(404, 'not_found', 'there is no such archive'));
      if (suffix !== undefined) return sendSignature(response, release);
      const tags = parseIfNoneMatch(request.headersDistinct['if-none-match'] ?? []);
      const etag = etagOf(digest);
      response.set('etag', etag).set('cache-control', 'private, max-age=31536000, immutable');
      if (tags.has(etag) || tags.has('*')) {
        response.status(304).end();
        return;
      }
      await sendFile(name, release, response, 'application/gzip');
    },

    orders: (request, response) => {
      const name = nameIn(request);
      return whenNew(request, response, ordersTopic(name), () => {
        const answer = orderAnswer(name);
        if (answer === undefined) return undefined;
        const send = async (): Promise<void> => {
          response.set('content-type', 'application/json');
          sendWhole(response, answer.body);
        };
        return { etag: answer.etag, send };
      });
    },
  };
}

const NO_BUNDLE = refusal(404, 'not_found', 'there is no such bundle');
const NOTHING_PROMOTED = refusal(404, 'nothing_promoted', 'nothing was promoted to that channel yet');
const TOO_MANY_WAIT = refusal(503, 'too_many_wait', 'too many clients wait; come again, or do not wait');

/** What those who wait for orders of a bundle wait on; the others wait on its name. */
export function ordersTopic(bundle: string): string {
  return `${bundle}/orders`;
}

/** The bundle of the path, without the suffix that asks for its signature. */
export function nameIn(request: Request): string {
  const { name = '' } = request.params;
  return String(name).replace(/\.jws$/, '');
}

/** What leads from the archive that the client has to this one, where it takes such and there is one. */
function deltaOf(request: Request, shelf: Shelf, { claims }: Release, opaDeltas: boolean): Release | undefined {
  if (shelf.deltas.size === 0) return undefined;
  const [named, ...more] = request.headersDistinct['x-sallyport-base'] ?? [];
  const { takesDelta } = parsePrefer(request.headersDistinct['prefer'] ?? []);
  const tags =
    takesDelta && opaDeltas ? digestsOf(parseIfNoneMatch(request.headersDistinct['if-none-match'] ?? [])) : [];
  const [base] = named !== undefined && more.length === 0 ? [named] : tags;
  return base === undefined ? undefined : shelf.deltas.get(deltaKey(claims.version, base));
}

function deltaBy(shelf: Shelf | undefined, digest: string): Release | undefined {
  return shelf?.deltaDigests.has(digest)
    ? [...shelf.deltas.values()].find(({ claims }) => claims.sha256 === digest)
    : undefined;
}
